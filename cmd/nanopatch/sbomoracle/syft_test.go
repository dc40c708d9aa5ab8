//go:build e2e

package sbomoracle

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/jedib0t/go-pretty/v6/table"
)

// rounds is how often each program is timed; the quickest counts.
var rounds = flag.Int("rounds", 5, "how often each program is timed")

// How many times as fast as the stock command nanopatch is to be at least: without a cache, with an image that is in its cache, and with
// one that has a layer more.
const (
	coldPart  = 2
	warmPart  = 10
	layerPart = 2
)

// TestSameAsSyft holds the packages of each image against the stock command's, in both scopes, and prints a table.
func TestSameAsSyft(t *testing.T) {
	if _, err := exec.LookPath("syft"); err != nil {
		t.Skipf("the stock syft is not built, make sbom-oracle does it: %v", err)
	}
	out := table.NewWriter()
	out.AppendHeader(table.Row{"image", "size", "layers", "packages", "of them", "different", "all layers", "syft", "cold", "new layer", "warm", "cpu of syft", "cold", "new layer", "warm"})
	for _, image := range images {
		t.Run(image.name, func(t *testing.T) {
			img := image.build(t)
			dir := layout(t, img)
			theirs, ours, cache := measure(t, img, dir)
			cost := theirs.cost
			packages := list(t, ours[0].document)
			different := compare(t, "squashed", list(t, theirs.document), packages)
			all, _ := nanopatch(t, cache, "sbom", "oci:"+dir+":image", "-o", "syft-json", "--scope", "all-layers")
			allTheirs, _ := syft(t, "oci-dir:"+dir, "-o", "syft-json", "--scope", "all-layers")
			everywhere := list(t, all)
			different += compare(t, "all layers", list(t, allTheirs), everywhere)
			layers, err := img.Layers()
			if err != nil {
				t.Fatal(err)
			}
			row := table.Row{image.name, size(t, img), len(layers), len(packages), kinds(packages), different, len(everywhere), seconds(cost.wall)}
			for _, r := range ours {
				row = append(row, times(cost.wall, r.cost.wall))
			}
			row = append(row, seconds(cost.cpu))
			for _, r := range ours {
				row = append(row, times(cost.cpu, r.cost.cpu))
			}
			out.AppendRow(row)
			cold, layer, warm := ours[0].cost.wall, ours[1].cost.wall, ours[2].cost.wall
			if cold > cost.wall/coldPart || layer > cost.wall/layerPart || warm > cost.wall/warmPart {
				t.Errorf("nanopatch takes %v cold, %v with a new layer and %v warm, the stock command %v", cold, layer, warm, cost.wall)
			}
		})
	}
	t.Logf("\n%s", out.Render())
}

// timed is the document that a program makes, and the least that it took.
type timed struct {
	document []byte
	cost     cost
}

// measure has the stock command make the document of an image, and nanopatch in three ways, which are to be the same: with an empty
// cache, with a layer more than the cache has seen, and with nothing new. It returns the cache, too.
func measure(t *testing.T, img v1.Image, dir string) (theirs timed, ours [3]timed, cache string) {
	t.Helper()
	document := func(cache, dir string) ([]byte, cost) {
		return nanopatch(t, cache, "sbom", "oci:"+dir+":image", "-o", "syft-json")
	}
	tiny := t.TempDir()
	if err := os.WriteFile(filepath.Join(tiny, "file"), []byte("text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	added := layout(t, appendLayer(t, img, tiny, "COPY file / # buildkit"))
	// In turn, so that a while in which the machine is slower meets them all.
	for range *rounds {
		theirs.time(func() ([]byte, cost) { return syft(t, "oci-dir:"+dir, "-o", "syft-json") })
		cache = t.TempDir()
		ours[0].time(func() ([]byte, cost) { return document(cache, dir) })
		ours[1].time(func() ([]byte, cost) { return document(cache, added) })
		for range 3 { // the first time, the cached document is checked
			ours[2].time(func() ([]byte, cost) { return document(cache, dir) })
		}
	}
	if diff := gocmp.Diff(string(ours[0].document), string(ours[2].document)); diff != "" {
		t.Errorf("the document differs out of the cache (-cold):\n%.2000s", diff)
	}
	compare(t, "a new layer", list(t, ours[0].document), list(t, ours[1].document)) // it has no package
	sameInAllFormats(t, cache, dir)
	return theirs, ours, cache
}

// time runs a program once more.
func (r *timed) time(program func() ([]byte, cost)) {
	document, took := program()
	if r.document == nil || took.wall < r.cost.wall {
		r.document, r.cost.wall = document, took.wall
	}
	if r.cost.cpu == 0 || took.cpu < r.cost.cpu {
		r.cost.cpu = took.cpu
	}
}

// sameInAllFormats wants no difference between the documents of one image in the three formats.
func sameInAllFormats(t *testing.T, cache, dir string) {
	t.Helper()
	at := t.TempDir()
	formats := []string{"spdx-json", "cyclonedx-json", "syft-json"}
	args := []string{"sbom", "oci:" + dir + ":image"}
	for _, f := range formats {
		args = append(args, "-o", f+"="+filepath.Join(at, f))
	}
	nanopatch(t, cache, args...)
	for i, f := range formats {
		other := formats[(i+1)%len(formats)]
		out, _ := nanopatch(t, cache, "diff", filepath.Join(at, f), filepath.Join(at, other))
		if !strings.Contains(string(out), "No difference") {
			t.Errorf("%s and %s differ:\n%.2000s", f, other, out)
		}
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// times is how many times as fast as another something was.
func times(slow, fast time.Duration) string {
	return fmt.Sprintf("%s (%.1f×)", seconds(fast), slow.Seconds()/fast.Seconds())
}

// found is what a document says of one package.
type found struct{ kind, text string }

// list reads the packages of a document in syft's format: all that identifies them, their licenses and where they were
// found. The ids are left out: they hash what the formats' readers do not see.
func list(t *testing.T, document []byte) []found {
	t.Helper()
	var doc struct {
		Artifacts []struct {
			Name, Version, Type, PURL, FoundBy string
			Licenses                           []struct{ Value, SpdxExpression string }
			Locations                          []struct{ Path, LayerID string }
			CPEs                               []struct{ CPE string }
		}
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	var out []found
	for _, p := range doc.Artifacts {
		var licenses, locations, cpes []string
		for _, l := range p.Licenses {
			licenses = append(licenses, l.Value+"="+l.SpdxExpression)
		}
		for _, l := range p.Locations {
			locations = append(locations, l.LayerID[len("sha256:"):][:8]+":"+l.Path)
		}
		for _, c := range p.CPEs {
			cpes = append(cpes, c.CPE)
		}
		slices.Sort(licenses)
		slices.Sort(locations)
		slices.Sort(cpes)
		out = append(out, found{p.Type, fmt.Sprintf("%s %s %s %s by %s, licenses %q, at %q, %d CPEs %.80q", p.Type, p.Name, p.Version, p.PURL, p.FoundBy,
			licenses, locations, len(cpes), cpes)})
	}
	slices.SortFunc(out, func(a, b found) int { return strings.Compare(a.text, b.text) })
	return out
}

// compare reports every package that one document has and the other does not, and counts them.
func compare(t *testing.T, scope string, theirs, ours []found) int {
	t.Helper()
	counts := map[string]int{}
	for _, p := range theirs {
		counts[p.text]--
	}
	for _, p := range ours {
		counts[p.text]++
	}
	different := 0
	for text, n := range counts {
		if n != 0 {
			different++
			t.Errorf("%s: %+d times in ours: %.600s", scope, n, text)
		}
	}
	return different
}

// kinds counts the packages by type: "deb 120, npm 140".
func kinds(packages []found) string {
	counts := map[string]int{}
	for _, p := range packages {
		counts[p.kind]++
	}
	names := make([]string, 0, len(counts))
	for kind := range counts {
		names = append(names, kind)
	}
	slices.Sort(names)
	for i, kind := range names {
		names[i] = fmt.Sprintf("%s %d", kind, counts[kind])
	}
	return strings.Join(names, ", ")
}
