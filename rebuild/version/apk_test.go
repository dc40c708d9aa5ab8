package version

import (
	"errors"
	"strings"
	"testing"
)

// TestApkVectors checks all lines of apk-tools' own test data: relations, and valid and invalid versions. Relations
// between invalid versions are checked too, although Compare refuses these.
func TestApkVectors(t *testing.T) {
	lines := 0
	for scan := sharedVectors(t, "apk-version.data"); scan.Scan(); {
		text, _, _ := strings.Cut(scan.Text(), "#")
		f := strings.Fields(text)
		switch len(f) {
		case 0:
			continue
		case 1:
			v, invalid := strings.CutPrefix(f[0], "!")
			if _, err := Apk.Compare(v, v); (err != nil) != invalid {
				t.Errorf("%q: got %v", f[0], err)
			}
		case 3:
			if !apkRelates(f[0], f[1], f[2]) {
				t.Errorf("%s: does not hold", text)
			}
			checkApkPair(t, f[0], f[2])
		default:
			t.Fatalf("line %q", text)
		}
		lines++
	}
	if lines < 700 {
		t.Errorf("only %d lines", lines)
	}
}

func apkRelates(a, op, b string) bool {
	plain := strings.TrimPrefix(op, "!")
	n := orderApk(a, b, strings.Contains(plain, "~"))
	holds := n < 0 && strings.Contains(plain, "<") || n > 0 && strings.Contains(plain, ">") ||
		n == 0 && strings.ContainsAny(plain, "=~")
	return holds != (plain != op)
}

func checkApkPair(t *testing.T, a, b string) {
	t.Helper()
	n, err := Apk.Compare(a, b)
	var invalid *InvalidError
	if checkApk(a) != nil || checkApk(b) != nil {
		if !errors.As(err, &invalid) {
			t.Errorf("Compare(%q, %q): got %v, want an InvalidError", a, b, err)
		}
		return
	}
	back, _ := Apk.Compare(b, a)
	if err != nil || sign(n) != -sign(back) || ApkWithin(a, b) != (orderApk(a, b, true) == 0) {
		t.Errorf("Compare(%q, %q): got %d and %d back, %v", a, b, n, back, err)
	}
}

func TestApkWithin(t *testing.T) {
	for _, c := range []struct {
		v, want string
		within  bool
	}{
		{"3.6.1-r2", "3.6", true},
		{"3.6_rc1", "3.6", true},
		{"3.60", "3.6", false},
		{"3.5", "3.6", false},
		{"3.6", "3.6.0", false},
		{"3.6-r1", "3.6-r1", true},
		{"x", "3.6", false},
		{"3.6", "", false},
	} {
		if got := ApkWithin(c.v, c.want); got != c.within {
			t.Errorf("ApkWithin(%q, %q): got %t", c.v, c.want, got)
		}
	}
}

func TestApkLevel(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     Level
	}{
		{"1.36.1-r15", "1.36.1-r19", Revision},
		{"1.36.1", "1.36.1-r1", Revision},
		{"1.2.4_git20230717-r4", "1.2.4_git20230717-r5", Revision},
		{"9.6_p1-r0", "9.6_p1-r2", Revision},
		{"2.11.7-r0", "2.11.8-r0", Patch},
		{"3.1.4-r5", "3.1.8-r0", Patch},
		{"9.6_p1-r0", "9.6_p2-r0", Patch},
		{"9.6_p1-r0", "9.7_p1-r0", Patch}, // two components
		{"1.2.3_rc1-r0", "1.2.3-r0", Patch},
		{"6.4_p20231125-r0", "6.4_p20240420-r0", Patch},
		{"1.0~1234-r0", "1.0~2345-r0", Patch},
		{"1.2.3-r0", "1.2.3a-r0", Patch},
		{"20230506-r0", "20240226-r0", Patch},
		{"2023d-r0", "2024a-r0", Patch}, // tzdata
		{"15.5-r0", "15.6-r0", Patch},
		{"8.2.0-r0", "8.2.001-r0", Patch},
		{"2.11.8-r0", "2.12.0-r0", Minor},
		{"3.17.2-r0", "4.0.0-r0", Major},
		{"15.5-r0", "16.0-r0", Major},
		{"1.2.3-r0", "1.2.4-1", Major}, // not a version
	} {
		if got := Apk.Level(c.from, c.to); got != c.want {
			t.Errorf("Level(%s, %s): got %s, want %s", c.from, c.to, got, c.want)
		}
		if got := Apk.Level(c.to, c.from); got != c.want {
			t.Errorf("Level(%s, %s): got %s, want %s", c.to, c.from, got, c.want)
		}
	}
}

func FuzzCompareApk(f *testing.F) {
	for _, s := range [][2]string{
		{"1.0_rc1", "1.0"}, {"1.0_p1", "1.0~12ab-r1"}, {"1.0-r0", "1.01"}, {"99999999999999999999999", "1.0a"}, {"1_", ""}, {"a", "1."},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		n, err := Apk.Compare(a, b)
		back, errBack := Apk.Compare(b, a)
		if (err == nil) != (errBack == nil) || sign(n) != -sign(back) {
			t.Fatalf("Compare(%q, %q): got %d, %v and %d, %v", a, b, n, err, back, errBack)
		}
		if err == nil && a == b && n != 0 {
			t.Fatalf("%q differs from itself", a)
		}
		if l := Apk.Level(a, b); l != Apk.Level(b, a) || l < Revision || l > Major {
			t.Fatalf("%q to %q: level %v", a, b, l)
		}
	})
}
