package version

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the order of testdata/deb.txt as the installed dpkg has it")

const orderFile = "testdata/deb.txt"

// pair is two versions and the sign of their comparison.
type pair struct {
	a, b string
	want int
}

var signs = map[string]int{"<": -1, "=": 0, ">": 1}

func readPairs(t *testing.T) (pairs []pair, comments string) {
	t.Helper()
	b, err := os.ReadFile(orderFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			comments += line
			continue
		}
		f := strings.Fields(line)
		want, ok := signs[f[1]]
		if len(f) != 3 || !ok {
			t.Fatalf("%s: not a comparison: %q", orderFile, line)
		}
		pairs = append(pairs, pair{f[0], f[2], want})
	}
	return pairs, comments
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func check(t *testing.T, p pair) {
	t.Helper()
	got, err := Deb.Compare(p.a, p.b)
	if err != nil || sign(got) != p.want {
		t.Errorf("Compare(%q, %q): got %d, %v, want %d", p.a, p.b, sign(got), err, p.want)
	}
	if back, err := Deb.Compare(p.b, p.a); err != nil || sign(back) != -p.want {
		t.Errorf("Compare(%q, %q): got %d, %v, want %d", p.b, p.a, sign(back), err, -p.want)
	}
}

func TestDebOrder(t *testing.T) {
	pairs, _ := readPairs(t)
	if len(pairs) < 100 {
		t.Fatalf("only %d pairs", len(pairs))
	}
	for _, p := range pairs {
		check(t, p)
	}
}

// dpkgCompare asks the real dpkg.
func dpkgCompare(t *testing.T, a, b string) int {
	t.Helper()
	for op, want := range map[string]int{"lt": -1, "eq": 0, "gt": 1} {
		var stderr bytes.Buffer
		cmd := exec.Command("dpkg", "--compare-versions", a, op, b)
		cmd.Stderr = &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		switch {
		case stderr.Len() > 0:
			t.Fatalf("dpkg on %q and %q: %s", a, b, &stderr)
		case err == nil:
			return want
		case !errors.As(err, &exit):
			t.Fatal(err)
		}
	}
	t.Fatalf("dpkg finds no order of %q and %q", a, b)
	return 0
}

func needDpkg(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("dpkg is not installed")
	}
}

func TestDebOrderFileIsDpkgs(t *testing.T) {
	needDpkg(t)
	pairs, comments := readPairs(t)
	out := bytes.NewBufferString(comments)
	for _, p := range pairs {
		got := dpkgCompare(t, p.a, p.b)
		if got != p.want && !*update {
			t.Errorf("%s has %q %q as %d, dpkg says %d", orderFile, p.a, p.b, p.want, got)
		}
		fmt.Fprintf(out, "%s %c %s\n", p.a, "<=>"[got+1], p.b)
	}
	if *update {
		if err := os.WriteFile(orderFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// randomVersion draws a valid version of few different characters, so that two of them are often close.
func randomVersion(r *rand.Rand) string {
	part := func(chars string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = chars[r.IntN(len(chars))]
		}
		return string(b)
	}
	v := part("0129", 1) + part("0019aZ.+~-", r.IntN(6)) + part("09a", 1)
	if r.IntN(4) == 0 {
		v += "-" + part("019az.+~", 1+r.IntN(4))
	}
	if r.IntN(5) == 0 {
		v = part("01", 1) + ":" + v
	}
	return v
}

func TestDebAgainstDpkg(t *testing.T) {
	needDpkg(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		a, b := randomVersion(r), randomVersion(r)
		check(t, pair{a, b, dpkgCompare(t, a, b)})
	}
}

func TestDebInvalid(t *testing.T) {
	for _, s := range []string{
		"", " ", " 1.0", "1.0 ", "1 0", "1.0\n", ":1", "a:1", "-1:1", "+1:1", "1:", "1:-1", "-1", "-", "1.0-", "1:1-",
		"a1", "~1", ".1", "1_0", "1/0", "1.0-1_2", "1.0-1:2", "1é", "1\x00", "1\xff", "2147483648:1", "99999999999999999999:1", "1,2",
	} {
		var invalid *InvalidError
		for _, pair := range [][2]string{{s, s}, {s, "1"}, {"1", s}} {
			if _, err := Deb.Compare(pair[0], pair[1]); !errors.As(err, &invalid) || invalid.Version != s {
				t.Errorf("Compare(%q, %q): got %v, want an InvalidError of %q", pair[0], pair[1], err, s)
			}
		}
		if got := Deb.Level("1", s); got != Major {
			t.Errorf("Level to %q: got %s, want major", s, got)
		}
		if got := Deb.Level(s, "1"); got != Major {
			t.Errorf("Level from %q: got %s, want major", s, got)
		}
	}
}

// sharedVectors finds third-party test data that is no part of the project.
func sharedVectors(t *testing.T, name string) *bufio.Scanner {
	t.Helper()
	dir := os.Getenv("NANOPATCH_SHARED_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	b, err := os.ReadFile(filepath.Join(dir, "versions", name))
	if err != nil {
		t.Skipf("no shared test data: %v (NANOPATCH_SHARED_DATA names its directory)", err)
	}
	return bufio.NewScanner(bytes.NewReader(b))
}

// The vectors of dpkg's and apt's own test suites. Both programs compare strings that dpkg does not take as the
// version of a package: these are errors here.
func TestDebVectorsOfDpkgAndApt(t *testing.T) {
	words := map[string]int{"LESS": -1, "EQUAL": 0, "GREATER": 1}
	for _, name := range []string{"dpkg-version.tsv", "apt-compareversion.tsv"} {
		t.Run(name, func(t *testing.T) {
			lines, refused := 0, 0
			for scan := sharedVectors(t, name); scan.Scan(); lines++ {
				f := strings.Split(scan.Text(), "\t")
				if len(f) != 3 {
					t.Fatalf("line %d: %q", lines+1, scan.Text())
				}
				want, ok := words[f[2]]
				if !ok {
					var err error
					if want, err = strconv.Atoi(f[2]); err != nil {
						t.Fatal(err)
					}
				}
				if !dpkgTakes(f[0]) || !dpkgTakes(f[1]) {
					refused++
					if got, err := Deb.Compare(f[0], f[1]); err == nil {
						t.Errorf("Compare(%q, %q): got %d, want an error", f[0], f[1], got)
					}
					continue
				}
				check(t, pair{f[0], f[1], want})
			}
			if lines-refused < 40 {
				t.Errorf("only %d of %d lines hold valid versions", lines-refused, lines)
			}
		})
	}
}

// dpkgTakes matches what deb-version(7) allows.
var dpkgTakes = regexp.MustCompile(`^([0-9]+:)?[0-9][A-Za-z0-9.+~:-]*$`).MatchString

func FuzzCompareDeb(f *testing.F) {
	for _, s := range [][3]string{
		{"1.0~rc1", "1.0", "1.0+b1"}, {"1:0", "0:9-1", "9"}, {"1.0-0", "1.0", "1.00"}, {"0~~", "0~", "0"}, {"1:2:3", "", "a"},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		compare := func(x, y string) int {
			n, err := Deb.Compare(x, y)
			if err != nil {
				var invalid *InvalidError
				if !errors.As(err, &invalid) || invalid.Version != x && invalid.Version != y {
					t.Fatalf("Compare(%q, %q): %v", x, y, err)
				}
				t.Skip("invalid")
			}
			return sign(n)
		}
		ab, bc, ac := compare(a, b), compare(b, c), compare(a, c)
		if compare(a, a) != 0 || compare(b, a) != -ab {
			t.Fatalf("%q and %q: not antisymmetric", a, b)
		}
		if ab <= 0 && bc <= 0 && (ac > 0 || ac == 0 && (ab < 0 || bc < 0)) {
			t.Fatalf("%q, %q, %q: not transitive", a, b, c)
		}
		if l := Deb.Level(a, b); l != Deb.Level(b, a) || l < Revision || l > Major || ab != 0 && a == b {
			t.Fatalf("%q to %q: level %v", a, b, l)
		}
	})
}
