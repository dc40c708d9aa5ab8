package dpkg

import (
	"archive/tar"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

func TestFnmatch(t *testing.T) {
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"/usr/share/doc/*", "/usr/share/doc/a/b", true},
		{"/usr/share/doc/*", "/usr/share/doc", false},
		{"/usr/share/doc/*/copyright", "/usr/share/doc/a/b/copyright", true},
		{"/a?c", "/abc", true},
		{"/a?c", "/a/c", true},
		{"/a?c", "/aéc", true},
		{"/[ab]*", "/b", true},
		{"/[!ab]*", "/b", false},
		{"/[^ab]*", "/c", true},
		{"/[a-c]x", "/bx", true},
		{"/[", "/[", true},
		{`/\*`, "/*", true},
		{`/\*`, "/a", false},
		{"*", "", true},
		{"", "a", false},
		{strings.Repeat("*a", 40), strings.Repeat("a", 5000) + "b", false},
	} {
		if got := fnmatch(tc.pattern, tc.name); got != tc.want {
			t.Errorf("%.40q, %.40q: %v", tc.pattern, tc.name, got)
		}
	}
}

// TestFnmatchLikeShell compares with the shell's case, which matches as fnmatch(3) does.
func TestFnmatchLikeShell(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skipf("no shell to compare with: %v", err)
	}
	pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab/*?")), 0, 8, -1)
	name := rapid.StringOfN(rapid.SampledFrom([]rune("ab/")), 0, 8, -1)
	var script strings.Builder
	var want []string
	rapid.Check(t, func(t *rapid.T) {
		p, n := pattern.Draw(t, "pattern"), name.Draw(t, "name")
		script.WriteString("case '" + n + "' in " + orEmpty(p) + ") echo yes;; *) echo no;; esac\n")
		want = append(want, map[bool]string{true: "yes", false: "no"}[fnmatch(p, n)])
	})
	cmd := exec.Command(shell)
	cmd.Stdin = strings.NewReader(script.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(script.String(), "\n")
	for i, got := range strings.Fields(string(out)) {
		if got != want[i] {
			t.Errorf("%s: the shell says %s", lines[i], got)
		}
	}
}

func orEmpty(s string) string {
	if s == "" {
		return "''"
	}
	return s
}

func TestFilters(t *testing.T) {
	fs := parseConfig([]byte(`# what slim images have
path-exclude=/usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude "/usr/share/man/*"
path-include='/usr/share/locale/locale.alias'
force-unsafe-io
no-debsig
log /var/log/dpkg.log
`))
	if len(fs) != 4 {
		t.Fatalf("%d filters: %v", len(fs), fs)
	}
	for _, tc := range []struct {
		path string
		kind byte
		want bool
	}{
		{"usr/share/doc/a/README", tar.TypeReg, true},
		{"usr/share/doc/a/copyright", tar.TypeReg, false},
		{"usr/share/doc/a", tar.TypeDir, false},
		{"usr/share/doc/a", tar.TypeSymlink, false},
		{"usr/share/doc", tar.TypeDir, false},
		{"usr/share/man/man1", tar.TypeDir, true},
		{"usr/share/man", tar.TypeDir, false},
		{"usr/bin/a", tar.TypeReg, false},
	} {
		if got := fs.skips(&layer.Entry{Path: tc.path, Type: tc.kind}); got != tc.want {
			t.Errorf("%s: %v", tc.path, got)
		}
	}
}

// TestFiltersTakeNoTime feeds a pattern that takes exponential time where every star is tried with every other.
func TestFiltersTakeNoTime(t *testing.T) {
	fs := parseConfig([]byte("path-exclude=/" + strings.Repeat("*a", 200) + "b\n"))
	start := time.Now()
	fs.skips(&layer.Entry{Path: strings.Repeat("a", 4000), Type: tar.TypeReg})
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestConfigNames(t *testing.T) {
	for name, want := range map[string]bool{"docker": true, "01_nodoc": true, "excludes": true, "a.conf": false, ".hidden": false, "x~": false, "": false} {
		if isConfigName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
