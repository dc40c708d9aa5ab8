//go:build e2e

package render

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom"
	"github.com/nanopatch/nanopatch/sbom/diff"
)

var shots = flag.String("shots", "", "keep the screenshots in this directory")

//go:embed testdata/audit.js
var audit string

// browser starts Chromium without anything that asks the network by itself.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is needed: .ci/run installs it")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(2*time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if _, err := chromedp.Call(ctx, accessibility.Enable, cdp.Empty{}); err != nil {
		t.Fatalf("starting chromium: %v", err)
	}
	return ctx
}

// pages are reports of every kind, by name.
func pages(t *testing.T) map[string][]byte {
	t.Helper()
	p, empty := samplePlan(), samplePlan()
	empty.Updates, empty.Held, empty.Unmanaged, empty.EOL, empty.Overridden, empty.KeptFiles = nil, nil, nil, nil, nil, nil
	other := samplePlan()
	other.Image.Platform = "linux/arm64/v8"
	older, newer := sampleSides()
	d := diff.Compare(older, newer, nil)
	out := map[string][]byte{}
	for name, write := range map[string]func(b *bytes.Buffer) error{
		"rebuild":   func(b *bytes.Buffer) error { return ResultHTML(b, sampleResult(p), sampleRun) },
		"plan":      func(b *bytes.Buffer) error { return PlanHTML(b, []*plan.Plan{p}, sampleRun) },
		"platforms": func(b *bytes.Buffer) error { return PlanHTML(b, []*plan.Plan{p, other}, sampleRun) },
		"nothing":   func(b *bytes.Buffer) error { return PlanHTML(b, []*plan.Plan{empty}, sampleRun) },
		"hostile": func(b *bytes.Buffer) error {
			h := hostilePlan()
			return ResultHTML(b, sampleResult(h), sampleRun)
		},
		"diff": func(b *bytes.Buffer) error { return DiffHTML(b, d, sampleLayers(0), sampleLayers(1), sampleRun) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		out[name] = b.Bytes()
	}
	return out
}

// sampleSides have one difference of each kind.
func sampleSides() (older, newer diff.Side) {
	at := func(i int) *sbom.Layer { return &sbom.Layer{Index: i, DiffID: fmt.Sprint("sha256:", i)} }
	older = diff.Side{Image: sbom.Image{Ref: "registry.example/app:1"}, Packages: []sbom.Package{
		{Type: "deb", Name: "libssl3", Arch: "amd64", Version: "3.0.11-1"},
		{Type: "npm", Name: "gone", Version: "1"},
		{Type: "npm", Name: "moved", Version: "1", Layer: at(0)},
		{Type: "npm", Name: "license", Version: "1", Licenses: []string{"MIT"}},
	}}
	newer = diff.Side{Image: sbom.Image{Ref: "registry.example/app:2"}, Packages: []sbom.Package{
		{Type: "deb", Name: "libssl3", Arch: "amd64", Version: "3.0.17-1"},
		{Type: "npm", Name: hostileName, Version: "1"},
		{Type: "npm", Name: "moved", Version: "1", Layer: at(2)},
		{Type: "npm", Name: "license", Version: "1", Licenses: []string{"BUSL-1.1"}},
	}}
	return older, newer
}

// view is one way to look at a page.
type view struct {
	scheme, media string
	width         int64
}

func views() []view {
	var out []view
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 800, 390, 320} {
			out = append(out, view{scheme: scheme, media: "screen", width: width})
		}
	}
	return append(out, view{scheme: "light", media: "print", width: 720})
}

func (v view) String() string { return fmt.Sprintf("%s-%s-%d", v.media, v.scheme, v.width) }

func (v view) set(ctx context.Context) error {
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: v.media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.scheme}},
	})
	if err != nil {
		return err
	}
	return chromedp.Do(ctx, chromedp.EmulateViewport(v.width, 900))
}

// open shows a page from a file and audits it.
func open(ctx context.Context, t *testing.T, html []byte, v view) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, html, 0o600); err != nil {
		t.Fatal(err)
	}
	address := url.URL{Scheme: "file", Path: file}
	if err := errors.Join(v.set(ctx), chromedp.Do(ctx, chromedp.Navigate(address.String()))); err != nil {
		t.Fatal(err)
	}
	problems, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](audit))
	if err != nil {
		t.Fatal(err)
	}
	return append(problems, unnamed(ctx, t)...)
}

// named are the roles that a screen reader announces by name.
var named = []string{"heading", "link", "button", "table", "columnheader", "rowheader", "navigation", "region", "image", "DisclosureTriangle", "RootWebArea"}

// unnamed looks for nodes without a name in the tree that the browser gives to screen readers.
func unnamed(ctx context.Context, t *testing.T) []string {
	t.Helper()
	tree, err := chromedp.Call(ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		t.Fatal(err)
	}
	var problems []string
	seen := 0
	for _, n := range tree.Nodes {
		role := valueText(n.Role)
		if n.Ignored || !slices.Contains(named, role) {
			continue
		}
		seen++
		if strings.TrimSpace(valueText(n.Name)) == "" {
			problems = append(problems, "label: a "+role+" has no name")
		}
	}
	if seen < 2 {
		problems = append(problems, fmt.Sprintf("label: the accessibility tree has %d nodes of note", seen))
	}
	return problems
}

func valueText(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	return strings.Trim(string(v.Value), `"`)
}

// TestReportsInBrowser looks at each report in light and dark, from a phone's width to a desktop's, and as it prints.
func TestReportsInBrowser(t *testing.T) {
	ctx := browser(t)
	w := watch(ctx, t)
	for name, html := range pages(t) {
		for _, v := range views() {
			for _, p := range open(ctx, t, html, v) {
				t.Errorf("%s %s: %s", name, v, p)
			}
			screenshot(ctx, t, name+"-"+v.String()+".png")
		}
	}
	if asked, ran := w.seen(); len(asked) > 0 || len(ran) > 0 {
		t.Errorf("the pages asked for %q and ran %q", asked, ran)
	}
}

// watcher notes what a page asks for besides itself, and what it says in dialogs.
type watcher struct {
	mu         sync.Mutex
	asked, ran []string
}

func watch(ctx context.Context, t *testing.T) *watcher {
	t.Helper()
	w := &watcher{}
	err := chromedp.Listen(ctx, func(event any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, "file://") {
				w.asked = append(w.asked, e.Request.URL)
			}
		case *runtime.EventConsoleAPICalled:
			w.ran = append(w.ran, string(e.Type))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *watcher) seen() (asked, ran []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked), slices.Clone(w.ran)
}

func screenshot(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	if *shots == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name), png, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestAuditFinds: a check that finds nothing in a bad page is none.
func TestAuditFinds(t *testing.T) {
	ctx := browser(t)
	const head = `<!doctype html><html lang="en"><head><title>x</title></head><body style="background: #fff; color: #000"><h1>x</h1><h2>y</h2>`
	for name, c := range map[string]struct{ body, want string }{
		"grey on white":    {`<p style="color: #999">text</p>`, "contrast: p"},
		"half transparent": {`<p style="color: rgba(0, 0, 0, 0.4)">text</p>`, "contrast: p"},
		"on its parent":    {`<div style="background: #222"><p>text</p></div>`, "contrast: p"},
		"a pale bar":       {`<div style="background: #eee"><span class="bar" style="background: #ddd">&nbsp;</span></div>`, "contrast: a bar"},
		"too wide":         {`<div style="width: 3000px">text</div>`, "overflow: the page"},
		"cut off":          {`<div style="width: 50px; overflow: hidden; white-space: nowrap">a rather long text</div>`, "overflow: div"},
		"a nameless link":  {`<a href="https://example.com/"></a>`, "label: a link has no name"},
		"a nameless table": {`<table role="table"><tr><th scope="col"></th></tr><tr><td>x</td></tr></table>`, "label: a table has no name"},
		"a skipped level":  {`<h4>z</h4>`, "label: h4"},
		"a dead anchor":    {`<a href="#nowhere">x</a>`, "leads nowhere"},
		"an id twice":      {`<p id="a">x</p><p id="a">y</p>`, "is there twice"},
	} {
		problems := open(ctx, t, []byte(head+c.body), view{"light", "screen", 800})
		if !strings.Contains(strings.Join(problems, "\n"), c.want) {
			t.Errorf("%s: want %q, got %q", name, c.want, problems)
		}
	}
	if problems := open(ctx, t, []byte(head+"<p>text</p>"), view{"light", "screen", 800}); len(problems) > 0 {
		t.Errorf("a good page: %q", problems)
	}
	w := watch(ctx, t)
	open(ctx, t, []byte(head+`<img alt="x" src="http://127.0.0.1:1/x.png"><script>console.log("ran")</script>`), view{"light", "screen", 800})
	if asked, ran := w.seen(); len(asked) == 0 || len(ran) == 0 {
		t.Errorf("an image and a script: asked for %q and ran %q", asked, ran)
	}
}

// TestLargeReport: 500 updates are laid out and loaded in less than a second.
func TestLargeReport(t *testing.T) {
	ctx := browser(t)
	p := largePlan(500)
	var b bytes.Buffer
	start := time.Now()
	if err := ResultHTML(&b, sampleResult(p), sampleRun); err != nil {
		t.Fatal(err)
	}
	made := time.Since(start)
	shown := time.Hour
	for range 3 { // the quickest says what it takes, the others what else the machine was doing
		if problems := open(ctx, t, b.Bytes(), views()[0]); len(problems) > 0 {
			t.Errorf("problems: %q", problems)
		}
		loaded, err := chromedp.Run(ctx, chromedp.Evaluate[float64](`performance.getEntriesByType("navigation")[0].loadEventEnd`))
		if err != nil {
			t.Fatal(err)
		}
		if loaded > 0 {
			shown = min(shown, time.Duration(loaded*float64(time.Millisecond)))
		}
	}
	t.Logf("500 updates: %d KB made in %v, loaded in %v", b.Len()/1000, made, shown)
	if made+shown > time.Second {
		t.Errorf("500 updates took %v to make and %v to load", made, shown)
	}
}

// TestPrinted: the report prints, with what is folded on the screen unfolded.
func TestPrinted(t *testing.T) {
	ctx := browser(t)
	open(ctx, t, pages(t)["rebuild"], view{"dark", "print", 720})
	last := manyCVEs(9)[8]
	visible, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(
		`[...document.querySelectorAll("details li")].some(e => e.textContent === %q && e.checkVisibility({contentVisibilityAuto: true}) && e.getBoundingClientRect().height > 0)`, last)))
	if err != nil {
		t.Fatal(err)
	}
	if !visible {
		t.Errorf("%s is folded away in print", last)
	}
	pdf, err := chromedp.Run(ctx, chromedp.PrintToPDF())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(pdf, []byte("%PDF-")) {
		t.Errorf("%d bytes that are no PDF", len(pdf))
	}
}

// sampleLayers are one side of a diff: the base is on both, the second layer is made anew and there is one more each time.
func sampleLayers(side int) []sbom.Layer {
	layers := []sbom.Layer{
		{Index: 0, Digest: "sha256:" + strings.Repeat("a1", 32), DiffID: "base", Size: 48 << 20, CreatedBy: "ADD rootfs.tar / # buildkit"},
		{Index: 1, Digest: "sha256:" + strings.Repeat("b2", 32), DiffID: fmt.Sprint("packages ", side), Size: 12<<20 + int64(side), CreatedBy: "RUN apt-get install -y nginx"},
	}
	for i := range side {
		layers = append(layers, sbom.Layer{
			Index: 2 + i, Digest: "sha256:" + strings.Repeat("c3", 32), DiffID: fmt.Sprint("more ", i), Size: 4 << 10, CreatedBy: "COPY site/ /srv/ # buildkit",
		})
	}
	return layers
}
