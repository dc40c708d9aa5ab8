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

	"github.com/google/go-cmp/cmp"
	"github.com/jedib0t/go-pretty/v6/table"
)

// rounds is how often each program is timed; the quickest counts.
var rounds = flag.Int("rounds", 3, "how often each program is timed")

// nanopatch is to be at least so many times as fast as the stock command, without and with its cache.
//
// Neither can be quicker than the floor: the stock command on an image of one small file, nearly all of which goes into
// building the recognizer of license texts, once for each process and in a package that only syft itself may reach. Where the
// whole is not twice as fast, what is done beyond the floor must be.
const (
	coldPart = 2
	warmPart = 10
)

// TestSameAsSyft holds the packages of each image against the stock command's, in both scopes, and prints a table.
func TestSameAsSyft(t *testing.T) {
	if _, err := exec.LookPath("syft"); err != nil {
		t.Skipf("the stock syft is not built, make sbom-oracle does it: %v", err)
	}
	out := table.NewWriter()
	out.AppendHeader(table.Row{"image", "size", "layers", "packages", "of them", "different", "all layers", "syft", "cold", "beyond the floor", "new layer", "warm", "cpu of syft", "cold", "new layer", "warm"})
	tiny := layout(t, appendLayer(t, alone(t), tinyDir(t), "COPY file / # buildkit"))
	_, floor := timed(*rounds, func() ([]byte, cost) { return syft(t, "oci-dir:"+tiny, "-o", "syft-json") })
	t.Logf("the floor is %s, %s of CPU", seconds(floor.wall), seconds(floor.cpu))
	for _, image := range images {
		t.Run(image.name, func(t *testing.T) {
			img := image.build(t)
			dir := layout(t, img)
			theirs, stock := timed(*rounds, func() ([]byte, cost) { return syft(t, "oci-dir:"+dir, "-o", "syft-json") })
			cache := ""
			ours, cold := timed(*rounds, func() ([]byte, cost) {
				cache = t.TempDir()
				return nanopatch(t, cache, "sbom", "oci:"+dir+":image", "-o", "syft-json")
			})
			again, warm := timed(*rounds, func() ([]byte, cost) {
				return nanopatch(t, cache, "sbom", "oci:"+dir+":image", "-o", "syft-json")
			})
			if diff := cmp.Diff(string(ours), string(again)); diff != "" {
				t.Errorf("the second document differs (-cold +warm):\n%.2000s", diff)
			}
			sameInAllFormats(t, cache, dir)
			added := layout(t, appendLayer(t, img, tinyDir(t), "COPY file / # buildkit"))
			_, changed := timed(1, func() ([]byte, cost) {
				return nanopatch(t, cache, "sbom", "oci:"+added+":image", "-o", "syft-json")
			})
			packages := list(t, ours)
			different := compare(t, "squashed", list(t, theirs), packages)
			all, _ := nanopatch(t, cache, "sbom", "oci:"+dir+":image", "-o", "syft-json", "--scope", "all-layers")
			allTheirs, _ := syft(t, "oci-dir:"+dir, "-o", "syft-json", "--scope", "all-layers")
			everywhere := list(t, all)
			different += compare(t, "all layers", list(t, allTheirs), everywhere)
			layers, err := img.Layers()
			if err != nil {
				t.Fatal(err)
			}
			out.AppendRow(table.Row{
				image.name, size(t, img), len(layers), len(packages), kinds(packages), different, len(everywhere), seconds(stock.wall),
				times(stock.wall, cold.wall),
				fmt.Sprintf("%s, not %s", seconds(max(0, cold.wall-floor.wall)), seconds(max(0, stock.wall-floor.wall))),
				times(stock.wall, changed.wall), times(stock.wall, warm.wall),
				seconds(stock.cpu), times(stock.cpu, cold.cpu), times(stock.cpu, changed.cpu), times(stock.cpu, warm.cpu),
			})
			beyond := cold.wall-floor.wall <= (stock.wall-floor.wall)/coldPart
			if cold.wall > stock.wall/coldPart && !beyond || warm.wall > stock.wall/warmPart {
				t.Errorf("nanopatch takes %v cold and %v warm, the stock command %v and at least %v", cold.wall, warm.wall, stock.wall, floor.wall)
			}
		})
	}
	t.Logf("\n%s", out.Render())
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

// tinyDir holds one small file.
func tinyDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// timed runs a program several times and returns the least that it took.
func timed(n int, program func() ([]byte, cost)) ([]byte, cost) {
	out, best := program()
	for range n - 1 {
		again, took := program()
		if took.wall < best.wall {
			out, best.wall = again, took.wall
		}
		best.cpu = min(best.cpu, took.cpu)
	}
	return out, best
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
