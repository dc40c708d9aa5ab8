package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sbom/report/page"
)

func resultHTML(t *testing.T, p *plan.Plan) string {
	t.Helper()
	var b bytes.Buffer
	if err := ResultHTML(&b, sampleResult(p), sampleRun); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestReportSaysEverything: what a plan and a result know is on the page.
func TestReportSaysEverything(t *testing.T) {
	html := strings.NewReplacer("&#43;", "+", "&#39;", "'").Replace(resultHTML(t, samplePlan()))
	for _, want := range []string{
		"libssl3", "3.0.17-1~deb12u3", "minor by number", ">57 days<", ">1 day<", ">0 days<", "CVE-2025-40909", "changelog (perl-base 5.36.0-7+deb12u3)",
		"linux-libc-dev", "modified-file", "usr/share/nginx/html/index.html was changed", "acme-agent", "its repository was removed",
		"usr/share/zoneinfo/Europe/Berlin", "replaced in layer 4", "etc/ssl/openssl.cnf", "End of life.", "30 June 2026", "149 days", "2 unmanaged packages.",
		">rewritten<", ">kept<", "112.0 MB", "COPY --chown=app", "certifi", "SHA256:8u1dwKqPWc0Bv9f3fUeQJ0o1", "https://slsa.dev/provenance/v1",
		"bookworm-security main", digest(91).String(), digest(90).String(), "26 November 2026, 14:30 UTC", "3 updates held back",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if again := strings.NewReplacer("&#43;", "+", "&#39;", "'").Replace(resultHTML(t, samplePlan())); again != html {
		t.Error("the same result gives two pages")
	}
}

// TestReportIsOneFile: nothing that a browser would fetch or run, whatever the texts are.
func TestReportIsOneFile(t *testing.T) {
	active := regexp.MustCompile(`(?i)<(script|img|iframe|object|embed|link|form|base|svg)\b|\son[a-z]+\s*=\s*["']|javascript:[^c]|url\(|@import`)
	for name, p := range map[string]*plan.Plan{"sample": samplePlan(), "hostile": hostilePlan()} {
		html := resultHTML(t, p)
		if found := active.FindString(html); found != "" {
			t.Errorf("%s: the page has %q", name, found)
		}
		for _, m := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
			if !strings.HasPrefix(m[1], "#") && !strings.HasPrefix(m[1], "https://www.cve.org/CVERecord?id=CVE-") {
				t.Errorf("%s: the page refers to %q", name, m[1])
			}
		}
		if strings.ContainsAny(html, "\x1b\u202e") {
			t.Errorf("%s: a control character is in the page", name)
		}
	}
}

// TestMarkdownFits: a thousand updates fit a comment, and what does not fit is said.
func TestMarkdownFits(t *testing.T) {
	for n, cut := range map[int]bool{8: false, 1500: true} {
		p := largePlan(n)
		var b bytes.Buffer
		if err := ResultMarkdown(&b, sampleResult(p), sampleRun.Now); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if size := utf8.RuneCountInString(text); size > page.MarkdownLimit {
			t.Errorf("%d updates: %d characters", n, size)
		}
		if got := strings.Contains(text, "Not shown: "); got != cut {
			t.Errorf("%d updates: cut is %v, want %v", n, got, cut)
		}
		if opened, closed := strings.Count(text, "<details>"), strings.Count(text, "</details>"); opened == 0 || opened != closed {
			t.Errorf("%d updates: %d opened and %d closed", n, opened, closed)
		}
		if !cut {
			continue
		}
		shown := strings.Count(text, "\n| package-number-")
		if want := fmt.Sprintf("%d of %d rows of “Updates”", n-shown, n); shown == 0 || !strings.Contains(text, want) {
			t.Errorf("%d rows are shown, and the note does not say %q:\n%s", shown, want, text[len(text)-300:])
		}
	}
}

func TestDays(t *testing.T) {
	now := sampleRun.Now
	for _, c := range []struct {
		since time.Time
		want  string
	}{
		{time.Time{}, ""},
		{now, "0 days"},
		{now.Add(time.Hour), "0 days"},
		{now.Add(-24 * time.Hour), "1 day"},
		{now.Add(-47 * time.Hour), "1 day"},
		{now.Add(-48 * time.Hour), "2 days"},
	} {
		if got := days(c.since, now); got != c.want {
			t.Errorf("since %v: %q, want %q", c.since, got, c.want)
		}
	}
}

// TestSARIF: the held security updates and no other, each known again on the next night.
func TestSARIF(t *testing.T) {
	write := func(plans ...*plan.Plan) (log struct {
		Runs []struct {
			Results []struct {
				RuleID              string
				Message             struct{ Text string }
				PartialFingerprints map[string]string
			}
		}
	},
	) {
		var b bytes.Buffer
		if err := SARIF(&b, plans, "0.1.0"); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b.Bytes(), &log); err != nil {
			t.Fatal(err)
		}
		return log
	}
	tonight, tomorrow := write(samplePlan()).Runs[0].Results, samplePlan()
	tomorrow.Image.Digest = digest(1)
	again := write(tomorrow).Runs[0].Results
	if len(tonight) != 1 || tonight[0].RuleID != "held-security/modified-file" || !strings.Contains(tonight[0].Message.Text, "deb nginx") {
		t.Fatalf("results %+v", tonight)
	}
	if a, b := tonight[0].PartialFingerprints["nanopatch/v1"], again[0].PartialFingerprints["nanopatch/v1"]; a == "" || a != b {
		t.Errorf("fingerprints %q and %q of one finding", a, b)
	}
	if text := write(hostilePlan()).Runs[0].Results[0].Message.Text; strings.ContainsAny(text, "\x1b\u202e") || strings.Contains(text, "?[") {
		t.Errorf("message %q", text)
	}
	if none := write().Runs[0].Results; none == nil || len(none) > 0 {
		t.Errorf("without plans: results %v", none)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

var errBroken = fmt.Errorf("broken")

func TestWriteErrors(t *testing.T) {
	p := samplePlan()
	plans := []*plan.Plan{p}
	for i, err := range []error{
		PlanHTML(brokenWriter{}, plans, sampleRun), ResultHTML(brokenWriter{}, sampleResult(p), sampleRun),
		DiffHTML(brokenWriter{}, &diff.Diff{}, nil, nil, sampleRun), SARIF(brokenWriter{}, plans, ""), PlanMarkdown(brokenWriter{}, plans, sampleRun.Now),
	} {
		if err == nil {
			t.Errorf("function %d: no error", i)
		}
	}
}
