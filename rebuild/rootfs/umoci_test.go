//go:build e2e

package rootfs

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// umoci unpacks the same layers for real.
func TestAgainstUmoci(t *testing.T) {
	umoci, err := exec.LookPath("umoci")
	if err != nil {
		t.Skip("umoci is not installed")
	}
	for name, layers := range map[string][][]string{
		"whiteouts": {
			{"a/", "a/x=1", "a/y=1", "b/", "b/c/", "b/c/d=1", "e=1"},
			{"a/", "a/.wh.x", ".wh.b", "e=2"},
			{"b/", "b/f=3", "a/x=3"},
		},
		"whiteout and new content in one layer": {
			{"a/", "a/x=1", "a/y/", "a/y/1=1", "f=1"},
			{"a/", "a/.wh..wh..opq", "a/z=2", ".wh.f", "f=2"},
			{"a/", "a/x=3"},
		},
		"opaque whiteout behind the new content": {
			{"a/", "a/x=1", "a/y/", "a/y/1=1"},
			{"a/", "a/y/", "a/y/2=2", "a/z=2", "a/.wh..wh..opq"},
		},
		"kinds that change": {
			{"a/", "a/x=1", "b=1", "l->b", "m->a"},
			{"a=2", "b/", "b/y=2", "l=2", "m/", "m/z=2"},
			{"a/", "a/w=3", "b->a"},
		},
		"entries through links": {
			{"usr/", "usr/bin/", "usr/bin/ls=1", "bin->usr/bin", "run/", "var/", "var/run->/run"},
			{"bin/ls=2", "bin/tool=2", "var/run/pid=2", "lib/deep/er=2"},
			{"bin/.wh.ls"},
		},
		"hard links": {
			{"a=1", "b=>a", "d/", "d/c=>a", "s->a", "t=>s"},
			{"a=2", "e=>b"},
			{".wh.b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, layers...)
			got := onDisk(t, unpack(t, umoci, layers))
			if want := plain(t, s.Top()); got != want {
				t.Errorf("umoci unpacked %s\nthe tree shows %s", got, want)
			}
		})
	}
}

// plain spells a tree without its layers.
func plain(t *testing.T, v *View) string {
	var all []string
	for word := range strings.SplitSeq(list(t, v), " ") {
		word = word[:strings.LastIndexByte(word, '@')]
		all = append(all, strings.TrimSuffix(word, "?"))
	}
	return strings.Join(all, " ")
}

func unpack(t *testing.T, umoci string, layers [][]string) string {
	dir := t.TempDir()
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	for _, lines := range layers {
		var err error
		if img, err = mutate.AppendLayers(img, static.NewLayer(archive(t, lines), types.OCIUncompressedLayer)); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, cfg); err != nil {
		t.Fatal(err)
	}
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	p, err := layout.Write(filepath.Join(dir, "oci"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	name := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "test"})
	if err := p.AppendImage(img, name, layout.WithPlatform(v1.Platform{OS: "linux", Architecture: "amd64"})); err != nil {
		t.Fatal(err)
	}
	args := []string{"unpack", "--image", filepath.Join(dir, "oci") + ":test"}
	if os.Getuid() != 0 {
		args = append(args, "--rootless")
	}
	if out, err := exec.Command(umoci, append(args, filepath.Join(dir, "bundle"))...).CombinedOutput(); err != nil {
		t.Fatalf("umoci: %v\n%s", err, out)
	}
	return filepath.Join(dir, "bundle", "rootfs")
}

func archive(t *testing.T, lines []string) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, line := range lines {
		e := entry(line)
		_, text, _ := strings.Cut(line, "=")
		h := &tar.Header{
			Typeflag: e.Type, Name: e.Path, Linkname: e.Linkname, Mode: e.Mode, Size: e.Size, ModTime: e.ModTime,
			Uid: os.Getuid(), Gid: os.Getgid(),
		}
		if e.IsDir() {
			h.Name += "/"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if e.IsRegular() {
			if _, err := w.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// onDisk spells a directory as plain does a View.
func onDisk(t *testing.T, root string) string {
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case rel == ".":
		case d.IsDir():
			all = append(all, rel+"/")
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			all = append(all, rel+"->"+target)
		default:
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all = append(all, fmt.Sprintf("%s=%s", rel, text))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}
