package generate

import (
	"sync"

	"github.com/google/licensecheck"

	"github.com/nanopatch/nanopatch/sbom/licensetext"
)

// recognizing returns what finds the licenses in a text, as licensecheck does. It is made for the first text, and safe for concurrent
// use. Of licenses that this module was not tested with, and cannot read, it is licensecheck itself, after warn has heard why.
func recognizing(warn func(error)) func(text []byte) licensecheck.Coverage {
	scan := sync.OnceValue(func() func([]byte) licensecheck.Coverage {
		scanner, err := licensetext.New(licensecheck.BuiltinLicenses())
		if err != nil {
			warn(err)
			return licensecheck.Scan
		}
		return scanner.Scan
	})
	return func(text []byte) licensecheck.Coverage { return scan()(text) }
}
