package rebuild_test

import (
	"archive/tar"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// TestWithoutApk: an image of Wolfi's kind has the database and nothing else of apk: no tools, no keys, no repositories, no world.
// With repositories and keys from outside it is updated like any other; without keys nothing is believed.
func TestWithoutApk(t *testing.T) {
	twin, err := fixture.NewAlpineTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const osRelease = "ID=wolfi\nNAME=\"Wolfi\"\nVERSION_ID=\"20230201\"\n"
	img := withLayer(t, twin.Images[0],
		entry{Header: tar.Header{Name: "etc/.wh.apk", Typeflag: tar.TypeReg, Mode: 0o644}},
		entry{Header: tar.Header{Name: "usr/lib/os-release", Typeflag: tar.TypeReg, Mode: 0o644}, content: osRelease})
	opts := options(t, twin)
	p := planImage(t, img, opts).Plan
	if p.Distro.ID != "wolfi" {
		t.Errorf("the distribution is %q", p.Distro.ID)
	}
	updated := make(map[string]plan.Update)
	for _, u := range p.Updates {
		updated[u.Name] = u
	}
	// Nobody's world pins it any more.
	for _, name := range []string{"np-openssl", "np-libssl3", "np-nginx", "np-zlib", "np-pinned"} {
		u, ok := updated[name]
		if !ok || !strings.HasPrefix(u.PURL, "pkg:apk/wolfi/"+name+"@") {
			t.Errorf("%s: got %+v, held are %+v", name, u, p.Held)
		}
	}
	opts.Keyrings = nil
	_, err = rebuild.Plan(t.Context(), img, plan.Image{Ref: "test:old"}, opts)
	if !errors.Is(err, pkgrepo.ErrVerification) || !strings.Contains(err.Error(), "the image trusts none: name a key with --keyring") {
		t.Errorf("without keys: got %v", err)
	}
	// Without repositories either, Wolfi's own are asked.
	opts.Repositories = nil
	opts.Client = unreachable(t)
	_, err = rebuild.Plan(t.Context(), img, plan.Image{Ref: "test:old"}, opts)
	if !errors.Is(err, pkgrepo.ErrUnreachable) || !strings.Contains(err.Error(), "https://packages.wolfi.dev/os/x86_64/APKINDEX.tar.gz") {
		t.Errorf("without repositories: got %v", err)
	}
}

// unreachable is a client for which no server answers.
func unreachable(t *testing.T) *pkgrepo.Client {
	t.Helper()
	client, err := pkgrepo.New(pkgrepo.Options{
		Dir: t.TempDir(), Now: func() time.Time { return day }, Transport: refusing{}, Tries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

// TestAlpineFiles looks at what an update of the Alpine twin leaves behind: protected files, files that come and go, the database
// in both layers, and a package that moved to another repository.
func TestAlpineFiles(t *testing.T) {
	twin, err := fixture.NewAlpineTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	opts := options(t, twin)
	job := planTwin(t, twin, opts)
	applied, err := job.Apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range job.Plan.Updates {
		if u.Name == "np-tzdata" && !strings.Contains(u.Artifact.URL, "/community/") {
			t.Errorf("np-tzdata comes from %s", u.Artifact.URL)
		}
	}
	const db = "usr/lib/apk/db/installed"
	for _, want := range []struct {
		// prefix is how many layers count; text is in the file, "-" where there must be none.
		prefix     int
		path, text string
	}{
		{2, "etc/np-nginx/mime.types", "# the build's own"},       // a protected file that the build changed
		{2, "etc/np-nginx/mime.types.apk-new", "# 1.24.0-r16"},    // and what the package would have there
		{2, "etc/np-nginx/nginx.conf", "# nginx\n# 1.24.0-r16"},   // one that it did not change
		{3, "etc/np-nginx/nginx.conf", "# the application's own"}, // the application's copy stays
		{2, "etc/np-nginx/nginx.conf.apk-new", "-"},
		{3, "usr/share/np-nginx/index.html", "-"}, // removed by the application
		{2, "usr/share/np-nginx/index.html", "# 1.24.0-r16"},
		{1, "usr/lib/np-perl/Gone.pm", "-"},
		{1, "usr/lib/np-perl/New.pm", "package New;"},
		{1, "usr/lib/np-zlib.so", "zlib 1.2.12"}, // at home in layer 1
		{2, "usr/lib/np-zlib.so", "# 1.2.13-r1"},
		{1, db, "P:np-zlib\nV:1.2.12-r9\n"},
		{2, db, "P:np-zlib\nV:1.2.13-r1\n"},
		{1, db, "P:np-perl\nV:5.36.1-r0\n"}, // in the copy of the layer above, too
		{2, db, "P:np-perl\nV:5.36.1-r0\n"},
		{3, "usr/bin/np-tool", "# 3.23.2-r0"}, // copied up by a chmod
		{2, "usr/lib/libnpssl.so.3.1.4", "-"},
		{2, "etc/apk/world", "np-pinned=1.0-r0\n"},
	} {
		v := applied.Tree.View(want.prefix)
		text, err := fs.ReadFile(v, want.path)
		switch {
		case want.text == "-" && !errors.Is(err, fs.ErrNotExist):
			t.Errorf("after %d layers there is %s: %v", want.prefix, want.path, err)
		case want.text != "-" && (err != nil || !strings.Contains(string(text), want.text)):
			t.Errorf("after %d layers %s is %q, %v; want %q", want.prefix, want.path, text, err, want.text)
		}
	}
}
