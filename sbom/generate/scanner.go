package generate

import (
	"context"
	"fmt"
	"io"
	_ "unsafe" // for go:linkname

	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/cataloging"
	"github.com/google/licensecheck"
)

// Syft's catalogers take what recognizes license texts out of their context, and CreateSBOM builds a new one where there is
// none: most of a second of one processor for every process, also for an image that has no text to be recognized. What puts
// another in its place is in a package of syft's that only syft may import, but takes nothing except a function of
// licensecheck's own type. So two of its functions are linked by name. Where they are missing, the program does not link; where
// they take something else, this file has to be changed with them, and other versions than linkedVersion are left alone.

// linkedVersion is the version of syft whose functions are declared below: the one of go.mod, and so of every program whose build
// does not tell versions, such as a test. A program that asks for this package beside a newer syft gets the stock scanner.
const linkedVersion = "v1.57.0"

// scannerConfig is licenses.ScannerConfig: from how many percent on a text counts as covered by what was found in it, and what
// finds it.
type scannerConfig struct {
	CoverageThreshold float64
	Scanner           func([]byte) licensecheck.Coverage
}

// textScanner is licenses.Scanner. Its method is named for the sake of the type and never called here.
type textScanner interface {
	FindEvidence(context.Context, io.Reader) ([]struct{}, []byte, error)
}

//go:linkname newTextScanner github.com/anchore/syft/internal/licenses.NewScanner
func newTextScanner(*scannerConfig) (textScanner, error)

//go:linkname withTextScanner github.com/anchore/syft/internal/licenses.SetContextLicenseScanner
func withTextScanner(context.Context, textScanner) context.Context

// withScan is ctx with scan as what the catalogers recognize license texts by, or with syft's own where scan cannot take its place.
func withScan(ctx context.Context, version string, scan func([]byte) licensecheck.Coverage) (context.Context, error) {
	config := cataloging.DefaultLicenseConfig()
	if version != linkedVersion && version != unknownVersion {
		ctx, err := syft.SetContextLicenseScanner(ctx, config)
		if err != nil {
			return nil, fmt.Errorf("preparing the license scanner: %w", err)
		}
		return ctx, nil
	}
	scanner, err := newTextScanner(&scannerConfig{CoverageThreshold: config.Coverage, Scanner: scan})
	if err != nil {
		return nil, fmt.Errorf("preparing the license scanner: %w", err)
	}
	return withTextScanner(ctx, scanner), nil
}
