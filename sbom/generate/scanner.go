package generate

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"
	_ "unsafe" // for go:linkname

	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/cataloging"
	"github.com/google/licensecheck"
)

// Syft's catalogers take what recognizes license texts out of their context, and CreateSBOM builds a new one where there is
// none: most of a second of one processor for every process, also for an image that has no text to be recognized. What puts
// another in its place is in a package of syft's that only syft may import, but takes nothing except a function of
// licensecheck's own type. So two of its functions are linked by name. Where they are missing, the program does not link; where
// they take something else, this file has to be changed with them. So other versions than linkedVersion, where the build tells
// one, are left alone, as is what does not give the function back that it was given.

// linkedVersion is the version of syft whose functions are declared below: the one of go.mod. A program that asks for this
// package beside another syft gets the stock scanner.
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

// linkable tells whether the functions that are linked can be those that are declared here. Builds that tell no versions, such as
// those of tests, use the one of go.mod or say otherwise by what comes back.
var linkable = sync.OnceValue(func() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return true
	}
	i := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == "github.com/anchore/syft" })
	return i < 0 || info.Deps[i].Version == linkedVersion && info.Deps[i].Replace == nil
})

// withScan is ctx with scan as what the catalogers recognize license texts by, or with syft's own where linked is false or scan
// cannot take its place.
func withScan(ctx context.Context, linked bool, scan func([]byte) licensecheck.Coverage) (context.Context, error) {
	config := cataloging.DefaultLicenseConfig()
	if linked {
		scanner, err := newTextScanner(&scannerConfig{CoverageThreshold: config.Coverage, Scanner: scan})
		if err == nil && holds(scanner, config.Coverage, scan) {
			return withTextScanner(ctx, scanner), nil
		}
	}
	ctx, err := syft.SetContextLicenseScanner(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("preparing the license scanner: %w", err)
	}
	return ctx, nil
}

// holds tells whether a scanner is a threshold and a function: those that it was made with.
func holds(scanner any, threshold float64, scan func([]byte) licensecheck.Coverage) bool {
	v := reflect.ValueOf(scanner)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct || v.Elem().NumField() != 2 {
		return false
	}
	first, second := v.Elem().Field(0), v.Elem().Field(1)
	return first.Kind() == reflect.Float64 && first.Float() == threshold &&
		second.Type() == reflect.TypeOf(scan) && second.Pointer() == reflect.ValueOf(scan).Pointer()
}
