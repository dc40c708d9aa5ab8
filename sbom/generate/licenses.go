package generate

import (
	"sync"

	"github.com/google/licensecheck"

	"github.com/nanopatch/nanopatch/sbom/licensetext"
)

// recognize finds the licenses in a text, as licensecheck does. It is safe for concurrent use.
func recognize(text []byte) licensecheck.Coverage { return recognizer()(text) }

// recognizer is what recognize is, once for a process. Of licenses that this module was not tested with, and cannot read, it is
// licensecheck itself.
var recognizer = sync.OnceValue(func() func([]byte) licensecheck.Coverage {
	scanner, err := licensetext.New(licensecheck.BuiltinLicenses())
	if err != nil {
		return licensecheck.Scan
	}
	return scanner.Scan
})
