//go:build e2e

package sbomoracle

import (
	"encoding/json"
	"flag"
	"fmt"
	"os/exec"
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
	out.AppendHeader(table.Row{"image", "size", "layers", "packages", "of them", "different", "all layers", "syft", "cold", "warm"})
	for _, image := range images {
		t.Run(image.name, func(t *testing.T) {
			img := image.build(t)
			dir := layout(t, img)
			theirs, stock := timed(*rounds, func() ([]byte, time.Duration) { return syft(t, "oci-dir:"+dir, "-o", "syft-json") })
			cache := ""
			ours, cold := timed(*rounds, func() ([]byte, time.Duration) {
				cache = t.TempDir()
				return nanopatch(t, cache, "sbom", "oci:"+dir+":image", "-o", "syft-json")
			})
			again, warm := timed(*rounds, func() ([]byte, time.Duration) {
				return nanopatch(t, cache, "sbom", "oci:"+dir+":image", "-o", "syft-json")
			})
			if diff := cmp.Diff(string(ours), string(again)); diff != "" {
				t.Errorf("the second document differs (-cold +warm):\n%.2000s", diff)
			}
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
				image.name, size(t, img), len(layers), len(packages), kinds(packages), different, len(everywhere), seconds(stock),
				fmt.Sprintf("%s (%.1f×)", seconds(cold), stock.Seconds()/cold.Seconds()),
				fmt.Sprintf("%s (%.1f×)", seconds(warm), stock.Seconds()/warm.Seconds()),
			})
			if cold > stock/coldPart || warm > stock/warmPart {
				t.Errorf("nanopatch takes %v cold and %v warm, the stock command %v", cold, warm, stock)
			}
		})
	}
	t.Logf("\n%s", out.Render())
}

// timed runs a program several times and returns the quickest one's time.
func timed(n int, program func() ([]byte, time.Duration)) ([]byte, time.Duration) {
	out, best := program()
	for range n - 1 {
		if again, took := program(); took < best {
			out, best = again, took
		}
	}
	return out, best
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

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
