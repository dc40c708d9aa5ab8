package dpkg

import "testing"

func TestRelations(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "",
		"a":                                    "a",
		"a,b":                                  "a, b",
		"a|b , c:any(>=1)":                     "a | b, c:any (>= 1)",
		"libc6 (>= 2.3.2-1), x (<<0:1.0)":      "libc6 (>= 2.3.2-1), x (<< 1.0)",
		"a (> 1), b (< 2), c (= 1:2), d (3)":   "a (>= 1), b (<= 2), c (= 1:2), d (= 3)",
		"a\n (>= 1),\n b [not an arch list]":   "error",
		"a ( >> 007:1 )":                       "a (>> 7:1)",
		"a (>= 1":                              "error",
		"a (>= )":                              "error",
		"a (>= 1) b":                           "error",
		"a:":                                   "error",
		"| a":                                  "error",
		"a,":                                   "error",
		", a":                                  "error",
		"a!b":                                  "error",
		"${misc:Depends}":                      "error",
		"foo (>= 1.0) | bar:amd64 (= 1-1),baz": "foo (>= 1.0) | bar:amd64 (= 1-1), baz",
	} {
		got := "error"
		if rs, err := parseRelations("Depends", in); err == nil {
			got = rs.String()
		}
		if got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestCanonicalVersion(t *testing.T) {
	for in, want := range map[string]string{
		"1.0": "1.0", "0:1.0": "1.0", "00:1-1": "1-1", "01:2": "1:2", "1:2": "1:2", ":1": ":1", "a:1": "a:1", "0:1:2": "0:1:2", "": "",
	} {
		if got := canonicalVersion(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}
