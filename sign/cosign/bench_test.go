package cosign_test

import (
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/signtest"
)

// BenchmarkLargeSBOM attests and verifies an SBOM of 8 MiB, some ten times that of a Debian base image.
func BenchmarkLargeSBOM(b *testing.B) {
	_, d := signtest.Image(b, "rebuilt")
	one := `{"name":"openssl","versionInfo":"3.0.17-1~deb12u2","downloadLocation":"NOASSERTION"},`
	document := `{"packages":[` + strings.Repeat(one, 8<<20/len(one)) + `{}]}`
	st := statement(b, d.Digest, attest.PredicateSPDX, document)
	b.SetBytes(int64(len(document)))
	b.ReportAllocs()
	for b.Loop() {
		repo := &signtest.Memory{}
		mustSign(b, repo, d, "ours", st)
		if got, _ := failures(b, repo, d.Digest, "ours", attest.PredicateSPDX); got != "" {
			b.Fatalf("failed checks: %s", got)
		}
	}
}
