//go:build e2e

package conformance

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cli/clitest"
	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

const (
	// marker is a file in the rewritten layer that no update touches, updated one that is updated there, and what it holds.
	marker   = "usr/share/kind"
	updated  = "usr/lib/np-zlib.so"
	expected = "zlib 1:1.2.13.dfsg-1+deb12u1\n"
)

// chosen are the kinds of layers to try, by their names.
var chosen = flag.String("kinds", "gzip,zstd,whiteouts", "the kinds of layers to try, or all")

func TestMain(m *testing.M) {
	os.Exit(clitest.Main(context.Background(), m.Run, nil))
}

// suite is what all trials share.
type suite struct {
	twin       *fixture.Twin
	transports []*transport
	urls       *blobServer
	// dir has a short name; scratch is a registry for images under way.
	dir, scratch string

	mu    sync.Mutex
	notes []string
}

func newSuite(t *testing.T, archs ...string) *suite {
	t.Helper()
	for _, r := range readers {
		_, err := exec.LookPath(r.name)
		must(t, err) // a tool that is not there reads no source either
	}
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{Archs: archs})
	must(t, err)
	return &suite{
		twin: twin, transports: transports(t), urls: newBlobServer(t), dir: shortDir(t), scratch: imagetest.NewRegistry(t, true).Host,
	}
}

// TestConformance rebuilds an image of each kind of layer into each transport, plans from there again, and has the other
// tools read the results. It prints a table: nanopatch and the tools that read each, by their first letters.
func TestConformance(t *testing.T) {
	s := newSuite(t)
	header := []string{"layers"}
	for _, tr := range s.transports {
		header = append(header, tr.name)
	}
	var all, table []string
	for _, k := range kinds(s.urls) {
		all = append(all, k.name)
		if *chosen != "all" && !slices.Contains(strings.Split(*chosen, ","), k.name) {
			continue
		}
		t.Run(strings.ReplaceAll(k.name, " ", "-"), func(t *testing.T) {
			table = append(table, row(append([]string{k.name}, s.try(t, k)...)))
		})
	}
	for _, name := range strings.Split(*chosen, ",") {
		if name != "all" && !slices.Contains(all, name) {
			t.Errorf("there is no kind %q", name)
		}
	}
	fmt.Println(strings.Join(slices.Concat([]string{row(header), strings.Repeat("|---", len(header)) + "|"}, table, s.footnotes()), "\n"))
}

func row(cells []string) string { return "| " + strings.Join(cells, " | ") + " |" }

func (s *suite) footnotes() []string {
	var lines []string
	for i, n := range s.notes {
		lines = append(lines, fmt.Sprintf("\n%s %s", number(i), n))
	}
	return lines
}

func number(i int) string { return fmt.Sprintf("[%d]", i+1) }

// noted returns the number of the footnote that says what a tool, or the one that copied for it, said of the source.
func (s *suite) noted(tool string, why error) string {
	text := specific.ReplaceAllString(why.Error(), "…") // differs from run to run
	if name, _, _ := strings.Cut(text, ":"); !slices.ContainsFunc(readers, func(r reader) bool { return r.name == name }) {
		text = tool + ": " + text
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.notes, text)
	if i < 0 {
		i = len(s.notes)
		s.notes = append(s.notes, text)
	}
	return number(i)
}

// try rebuilds one image into all transports and returns what the table says of each.
func (s *suite) try(t *testing.T, k kind) []string {
	t.Helper()
	image := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(k.name), "-")
	source := filepath.Join(t.TempDir(), "source")
	must(t, fixture.WriteLayout(source, "old", withKind(t, s.twin.Images[0], k)))
	cells := make([]string, len(s.transports))
	var g errgroup.Group
	g.SetLimit(3)
	for i, tr := range s.transports {
		g.Go(func() error {
			cells[i] = s.through(t, k, tr, "oci:"+source+":old", image)
			return nil
		})
	}
	must(t, g.Wait())
	return cells
}

// through rebuilds into a transport, plans from there, and has the tools read what is there.
func (s *suite) through(t *testing.T, k kind, tr *transport, source, image string) string {
	result, err := s.rebuild(t, tr, source, image)
	if err != nil {
		return "not rebuilt: " + s.blame(t, "nanopatch", k, tr, source, image, err)
	}
	if err := k.rewritten(result); err != nil {
		t.Errorf("%s: %v", tr.name, err)
	}
	cell := []string{"N"}
	// What was written is a source too, read by a run that knows nothing of it: nothing is left to update.
	if _, stderr, err := s.program(t, tr, "plan", tr.ref(image), "--only", "np-zlib"); err != nil || !strings.Contains(stderr, "0 updates") {
		cell[0] = s.blame(t, "nanopatch", k, tr, source, image, fmt.Errorf("planning from the result: %w: %s", err, strings.TrimSpace(stderr)))
	}
	for _, r := range readers {
		files, err := r.read(t.Context(), s.place(t, tr, image))
		if err == nil {
			err = k.as(files, true)
		}
		letter := strings.ToUpper(r.name[:1])
		if err != nil {
			letter = s.blame(t, r.name, k, tr, source, image, err)
		}
		cell = append(cell, letter)
	}
	return strings.Join(cell, " ")
}

func (s *suite) place(t *testing.T, tr *transport, image string) place {
	t.Helper()
	dir, err := os.MkdirTemp(s.dir, "r") //nolint:usetesting // as in shortDir
	must(t, err)
	return place{transport: tr, image: image, platform: "linux/amd64", dir: dir, scratch: s.scratch}
}

// blame tells whether a tool fails at the source too, put there by skopeo: then the result is not to blame, and a footnote
// says so. Where nanopatch fails it is to blame, unless skopeo cannot write the source there, or skopeo or crane, which is of
// the library that nanopatch reads registries with, cannot read it. Otherwise the test fails.
func (s *suite) blame(t *testing.T, tool string, k kind, tr *transport, source, image string, failed error) string {
	t.Helper()
	p := s.place(t, tr, image+"-source-"+tool)
	witnesses := []string{tool}
	if tool == "nanopatch" {
		witnesses = []string{"skopeo", "crane"}
	}
	witness, why := "skopeo", copyImage(t.Context(), tr.socket, source, tr.other(p.image))
	for _, r := range readers {
		if slices.Contains(witnesses, r.name) && why == nil {
			p := s.place(t, tr, p.image)
			witness, why = r.name, r.source(t.Context(), p, k)
		}
	}
	letter := strings.ToUpper(tool[:1])
	if why == nil || !slices.Contains(k.trouble, tool) {
		t.Errorf("%s: %s fails at the result: %v; at the source: %v", tr.name, tool, failed, why)
		return letter + "✗"
	}
	t.Logf("%s: %s: %v; %s of the source: %v", tr.name, tool, failed, witness, why)
	return letter + s.noted(witness, why)
}

var specific = regexp.MustCompile(`(/var)?/tmp/[^\s:"]+|time="[^"]*" level=fatal msg=|(sha256:)?[0-9a-f]{64}|127\.0\.0\.1:[0-9]+|localhost/[^\s:"]+`)

// rebuild updates one package.
func (s *suite) rebuild(t *testing.T, tr *transport, source, image string) (*pipeline.Result, error) {
	t.Helper()
	stdout, stderr, err := s.program(t, tr, "rebuild", source, "-t", tr.ref(image), "--no-sign", "--no-attest", "--only", "np-zlib", "-o", "json", "-q")
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr))
	}
	var result pipeline.Result
	return &result, json.Unmarshal([]byte(stdout), &result)
}

// program runs nanopatch as a process of its own, with a cache of its own.
func (s *suite) program(t *testing.T, tr *transport, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cache, err := os.MkdirTemp(s.dir, "c") //nolint:usetesting // as in shortDir
	must(t, err)
	args = append(args, "--repo-override", s.twin.Repository, "--repo-override", fixture.SecurityMirror(s.twin.Repository), "--keyring", s.twin.Keyring)
	return run(t.Context(), append(tr.env(), clitest.Environ, "NANOPATCH_CACHE_DIR="+cache), os.Args[0], args...)
}

// rewritten tells whether a report has the one layer rewritten, and says what became of it.
func (k *kind) rewritten(result *pipeline.Result) error {
	if len(result.Platforms) != 1 {
		return fmt.Errorf("%d platforms", len(result.Platforms))
	}
	for i, l := range result.Platforms[0].Layers {
		if kept := l.Action == plan.Keep; kept != (l.OldDigest == l.NewDigest) || i == 0 && !kept {
			return fmt.Errorf("layer %d, %s: %s, %s", i, l.Action, l.OldDigest, l.NewDigest)
		}
	}
	if !strings.Contains(strings.Join(result.Notes, "\n"), k.note) {
		return fmt.Errorf("the notes do not say %q: %q", k.note, result.Notes)
	}
	return nil
}
