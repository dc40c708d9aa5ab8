//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// TestAlpine lets the rebuilt image's own apk judge it. The index lists newer versions whose files are not to be had; they are
// held, and the rest ships.
func TestAlpine(t *testing.T) {
	b := alpineBase(t)
	host := referrersRegistry(t)
	push(t, host+"/alpine:old", b.image)
	args := []string{"rebuild", host + "/alpine:old", "-t", host + "/alpine:new", "--no-sign", "-o", "json"}
	r := decode[result](t, nanopatch(t, append(args, b.from...)...).must(t, 0))
	p := r.Platforms[0]
	if len(p.Updates) != 1 || p.Updates[0].Name != "libxml2" || p.Updates[0].To != "2.11.8-r0" {
		t.Errorf("updates: %+v, held: %+v", p.Updates, p.Held)
	}
	gone := 0
	for _, h := range p.Held {
		if h.Reason == "no-artifact" {
			gone++
		}
	}
	if gone == 0 {
		t.Errorf("nothing is held as no-artifact: %+v", p.Held)
	}
	t.Logf("%d held because their files are gone", gone)
	layout := filepath.Join(t.TempDir(), "layout")
	run(t, "skopeo", "copy", "--src-tls-verify=false", "docker://"+host+"/alpine:new", "oci:"+layout+":new")
	root := unpack(t, layout, "new")
	run(t, "cp", filepath.Join(alpineData(t), "v3.19-main", "libxml2-2.11.8-r0.apk"), root+"/tmp/")
	for command, want := range map[string]string{
		"apk --no-network --repositories-file /dev/null info -vv": "libxml2-2.11.8-r0 - XML parsing library",
		// It prints each file that differs from what the database says of it.
		"apk audit --system": "",
		"apk audit --full --check-permissions | { grep -v '^A' || [ $? = 1 ]; }":                             "",
		"apk verify /tmp/libxml2-2.11.8-r0.apk":                                                              "/tmp/libxml2-2.11.8-r0.apk: 0 - OK",
		"apk fix --simulate --no-network --repositories-file /dev/null":                                      "OK: 13 MiB in 19 packages",
		"apk version -t $(cat /lib/apk/db/installed | grep -A1 '^P:libxml2$' | sed -n 's/^V://p') 2.11.8-r0": "=",
	} {
		out := strings.TrimSpace(inChroot(t, root, command))
		t.Logf("%s: %.200s", command, out)
		if want == "" && out != "" || !strings.Contains(out, want) {
			t.Errorf("%s: got %q, want %q", command, out, want)
		}
	}
}

// alpine builds the image, whose layers are files of data and dir: the official root file system, and on top of it everything as the real apk leaves it.
func alpine(t *testing.T, data, dir string) v1.Image {
	t.Helper()
	base := filepath.Join(data, "minirootfs", "alpine-minirootfs-3.19.4-x86_64.tar.gz")
	root := t.TempDir()
	run(t, "tar", "-xzf", base, "-C", root)
	run(t, "mkdir", "-p", root+"/packages")
	var names []string
	for _, pattern := range []string{"3.19.1/x86_64/libxml2-2.11.7*.apk", "3.19.1/x86_64/xz-libs*.apk", "3.19.1/x86_64/tzdata-2*.apk", "3.19.1/x86_64/libnl3-3*.apk"} {
		found, err := filepath.Glob(filepath.Join(data, pattern))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v %v", pattern, found, err)
		}
		run(t, "cp", found[0], root+"/packages/")
		names = append(names, "/packages/"+filepath.Base(found[0]))
	}
	stamp := filepath.Join(t.TempDir(), "stamp")
	if err := os.WriteFile(stamp, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inChroot(t, root, "apk add --no-network --repositories-file /dev/null "+strings.Join(names, " "))
	run(t, "rm", "-r", root+"/packages")
	// apk pins what it installs from a file to that very file; an image gets its packages from a repository.
	run(t, "sed", "-i", "s/><.*//", root+"/etc/apk/world")
	// The packages' own times are years ago, so the layer is told by the time of the inode's change.
	added := filepath.Join(dir, "added.tar")
	script := fmt.Sprintf("cd %s && find . -newercm %s ! -type d -print0 | LC_ALL=C sort -z | tar --null --no-recursion --numeric-owner -cf %s -T -", root, stamp, added)
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.ConfigFile(img, &v1.ConfigFile{Architecture: "amd64", OS: "linux", RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range []string{base, added} {
		l, err := tarball.LayerFromFile(file, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.Append(img, mutate.Addendum{Layer: l, History: v1.History{CreatedBy: fmt.Sprintf("layer %d", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	return img
}
