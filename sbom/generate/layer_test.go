package generate

import (
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// apkEntry is a package of apk's installed database with one directory of files.
func apkEntry(name, version, dir string, files ...string) string {
	s := "C:Q1p78yvTLG094tHE1+dToJGbmYzQE=\nP:" + name + "\nV:" + version + "\nA:x86_64\nT:a package\nL:MIT\no:" + name + "\nF:" + dir + "\n"
	for _, f := range files {
		s += "R:" + f + "\nZ:Q1pcfTfDNEbNKQc2s1tia7da05M8Q=\n"
	}
	return s + "\n"
}

// layersOf generates a document and lists the layers of its packages by name.
func layersOf(t *testing.T, layers [][]member) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, p := range generateFixture(t, layers, newTree(layers)).Packages {
		out[p.Name] = -1
		if p.Layer != nil {
			out[p.Name] = p.Layer.Index
		}
	}
	return out
}

// TestLayerOfAPK has a database that a later layer copied up: the files tell where each package is.
func TestLayerOfAPK(t *testing.T) {
	release := member{path: "etc/os-release", content: "ID=alpine\nVERSION_ID=3.19.1\n"}
	base := apkEntry("base", "1.0-r0", "usr/share/base", "one", "two", "three")
	files := func(dir string, names ...string) (out []member) {
		for _, n := range names {
			out = append(out, member{path: dir + "/" + n, content: n})
		}
		return out
	}
	got := layersOf(t, [][]member{
		append(files("usr/share/base", "one", "two", "three"), release, member{path: "lib/apk/db/installed", content: base}),
		append(files("usr/share/tool", "x", "y"), member{path: "usr/share/base/one", content: "chmodded"},
			member{path: "lib/apk/db/installed", content: base + apkEntry("tool", "2.0-r1", "usr/share/tool", "x", "y") +
				apkEntry("meta", "3.0-r0", "usr/share/none")}),
	})
	// What owns no file is where the database is.
	for name, want := range map[string]int{"base": 0, "tool": 1, "meta": 1} {
		if l, ok := got[name]; !ok || l != want {
			t.Errorf("%s is in layer %d (found: %t), want %d", name, l, ok, want)
		}
	}
}

// TestLayerOfDistroless has a status file per package.
func TestLayerOfDistroless(t *testing.T) {
	got := layersOf(t, [][]member{
		{
			{path: "usr/lib/os-release", content: "ID=debian\nVERSION_ID=12\n"},
			{path: "var/lib/dpkg/status.d/base", content: stanza("base-files", "", "amd64", "", "12.4")},
			{path: "var/lib/dpkg/status.d/base.md5sums", content: "7215ee9c7d9dc229d2921a40e899ec5f  etc/x\n"},
		},
		{{path: "var/lib/dpkg/status.d/libc6", content: stanza("libc6", "glibc", "amd64", "", "2.36-9")}},
	})
	if got["base-files"] != 0 || got["libc6"] != 1 || len(got) != 2 {
		t.Errorf("layers %v", got)
	}
}

func TestDescribe(t *testing.T) {
	layers := [][]member{{{path: "a", content: "1"}}, {{path: "b", content: "2"}}}
	img := newImage(t, layers)
	d, err := Describe("app", img)
	if err != nil {
		t.Fatal(err)
	}
	var instructions []string
	for i, l := range d.Layers {
		instructions = append(instructions, l.CreatedBy)
		if l.Index != i || !strings.HasPrefix(l.Digest, "sha256:") || l.Digest == l.DiffID || l.Size == 0 {
			t.Errorf("layer %d: %+v", i, l)
		}
	}
	if want := []string{"RUN step 0", "RUN step 1"}; !slices.Equal(instructions, want) {
		t.Errorf("instructions %q, want %q", instructions, want)
	}

	// A history that does not fit the layers names none of them.
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	short := config.DeepCopy()
	short.History = short.History[:1]
	changed, err := mutate.ConfigFile(img, short)
	if err != nil {
		t.Fatal(err)
	}
	if d, err = Describe("app", changed); err != nil || d.Layers[0].CreatedBy != "" {
		t.Errorf("layer 0 was made by %q, %v", d.Layers[0].CreatedBy, err)
	}
	if _, err := Describe("app", fewerDiffIDs{img}); err == nil || !strings.Contains(err.Error(), "app has 2 layers and 1 diffIDs") {
		t.Errorf("an image with a diffID too few: %v", err)
	}
}

type fewerDiffIDs struct{ v1.Image }

func (f fewerDiffIDs) ConfigFile() (*v1.ConfigFile, error) {
	c, err := f.Image.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.RootFS.DiffIDs = c.RootFS.DiffIDs[:1]
	return c, nil
}
