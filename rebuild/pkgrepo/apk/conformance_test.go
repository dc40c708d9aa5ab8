package apk

import (
	"context"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/pkgrepotest"
)

func TestConformance(t *testing.T) {
	r := newRepository(t)
	r.add("a", "1.0-r0")
	r.add("a", "1.1-r0")
	r.add("b", "1.0-r0")
	r.write("APKINDEX.tar.gz", r.index("RSA256"))
	const index = "x86_64/APKINDEX.tar.gz"
	pkgrepotest.Run(t, pkgrepotest.Config{
		Dir: r.dir, Name: "a", Arch: "x86_64", Versions: []string{"1.0-r0", "1.1-r0"}, Indexes: []string{index}, Signed: index,
		Open: func(ctx context.Context, client *pkgrepo.Client, dir string, trust bool) (pkgrepotest.Archive, error) {
			root := alpineRoot("3.20.3")
			if trust {
				root = trustingRoot(t)
			}
			return Open(ctx, Options{
				Client: client, Root: root, Sources: []Source{{URI: "file://" + dir}}, Arch: "x86_64", Names: []string{"a", "not-there"}, Now: clock,
			})
		},
		Resolve: func(ctx context.Context, a pkgrepotest.Archive, artifact pkgrepo.Artifact) (pkgrepo.Artifact, error) {
			return a.(*Archive).Resolve(ctx, artifact)
		},
	})
}
