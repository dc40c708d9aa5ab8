package dpkg

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// wall compresses a manifest's lines; the header is put in front.
func wall(t testing.TB, lines ...string) string {
	t.Helper()
	return compressed(t, append([]string{`{"jsonwall":"1.0","schema":"1.0","count":9}`}, lines...)...)
}

func compressed(t testing.TB, lines ...string) string {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(z.EncodeAll([]byte(strings.Join(lines, "\n")+"\n"), nil))
}

// TestChiselled reads an image that has a manifest and no database of dpkg, and one that has both.
func TestChiselled(t *testing.T) {
	manifest := wall(t,
		`{"kind":"content","slice":"libc6_libs","path":"/usr/lib/x86_64-linux-gnu/libc.so.6"}`,
		`{"kind":"content","slice":"openssl_bins","path":"/usr/bin/openssl"}`,
		`{"kind":"content","slice":"openssl_config","path":"/../etc/passwd"}`,
		`{"kind":"package","name":"libc6","version":"2.39-0ubuntu8.4","sha256":"00","arch":"amd64"}`,
		`{"kind":"package","name":"openssl","version":"3.0.13-0ubuntu3.5","sha256":"00","arch":"amd64"}`,
		`{"kind":"path","path":"/usr/bin/openssl","mode":"0755","slices":["openssl_bins"],"sha256":"00","size":1}`,
		`{"kind":"slice","name":"openssl_bins"}`,
	)
	m := newImage(t, spec{name: "openssl", version: "3.0.13-0ubuntu3.5"}, spec{name: "whole", version: "1"})
	m.write(manifestPath, manifest)
	both, err := open(viewOf(t, m.layer()))
	if err != nil {
		t.Fatal(err)
	}
	partial := make(map[string]bool)
	for _, p := range both.Packages() {
		partial[p.Name] = p.Partial != ""
	}
	if len(partial) != 3 || !partial["openssl"] || !partial["libc6"] || partial["whole"] {
		t.Errorf("beside dpkg's database: partial are %v, want openssl and libc6", partial)
	}

	m.remove(statusPath)
	alone, err := open(viewOf(t, m.layer()))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range alone.Packages() {
		names = append(names, p.Key.String()+" "+p.Version)
	}
	if want := []string{"libc6:amd64 2.39-0ubuntu8.4", "openssl:amd64 3.0.13-0ubuntu3.5"}; !slices.Equal(names, want) {
		t.Errorf("packages %v, want %v", names, want)
	}
	files := alone.Files(ecosystem.Key{Name: "openssl", Arch: "amd64"})
	if want := []string{".", "usr", "usr/bin", "usr/bin/openssl"}; !slices.Equal(files, want) {
		t.Errorf("openssl has %v, want %v", files, want)
	}
}

func TestBadManifests(t *testing.T) {
	const pkg = `{"kind":"package","name":"a","version":"1","arch":"all"}`
	for name, tt := range map[string]struct{ content, problem string }{
		"no zstd":         {"{}", "manifest.wall"},
		"truncated":       {wall(t, pkg, pkg)[:20], "manifest.wall"},
		"another schema":  {compressed(t, `{"jsonwall":"1.0","schema":"2.0"}`), "schema"},
		"no header":       {compressed(t, pkg), "only 1.x"},
		"no JSON":         {wall(t, "kind=package"), "line 2"},
		"no version":      {wall(t, `{"kind":"package","name":"a"}`), "line 2"},
		"impossible name": {wall(t, `{"kind":"package","name":"../a","version":"1","arch":"all"}`), "line 2"},
		"too large":       {wall(t, strings.Repeat(pkg+"\n", maxManifest/len(pkg))), "larger"},
	} {
		m := newImage(t)
		m.remove(statusPath)
		m.write(manifestPath, tt.content)
		_, err := open(viewOf(t, m.layer()))
		if err == nil || !strings.Contains(err.Error(), tt.problem) || errors.Is(err, ecosystem.ErrNoDatabase) {
			t.Errorf("%s: %v, want %q", name, err, tt.problem)
		}
	}
}
