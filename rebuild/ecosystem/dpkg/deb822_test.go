package dpkg

import (
	"errors"
	"strings"
	"testing"
)

func TestReader(t *testing.T) {
	const text = "\n\nPackage: a\nVersion : 1 \nDescription:  first \n second\n .\nConffiles:\n /etc/a 0123\n\n\n" +
		"Package: b\nX-Empty:\n"
	r := NewReader([]byte(text))
	first, ok, err := r.Next()
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	for name, want := range map[string]string{
		"package": "a", "Version": "1", "Description": "first \n second\n .", "Conffiles": "\n /etc/a 0123", "Other": "",
	} {
		if got := first.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := text[first.Start:first.End]; !strings.HasPrefix(got, "Package: a\n") || !strings.HasSuffix(got, "0123\n") {
		t.Errorf("stanza is %q", got)
	}
	if f, _ := first.Field("Conffiles"); f.Line != 8 {
		t.Errorf("Conffiles are on line %d, want 8", f.Line)
	}
	second, ok, err := r.Next()
	if !ok || err != nil || second.Get("Package") != "b" || second.Fields[1].Name != "X-Empty" {
		t.Errorf("second stanza is %v, %v, %v", second, ok, err)
	}
	if _, ok, err := r.Next(); ok || err != nil {
		t.Errorf("after the last stanza: %v, %v", ok, err)
	}
}

func TestReaderRefuses(t *testing.T) {
	for _, tc := range []struct {
		text    string
		strict  bool
		line    int
		problem string
	}{
		{text: "Package: a\nVersion: 1", line: 2, problem: "truncated"},
		{text: "Package: a\nDescription: x\n more", line: 3, problem: "truncated"},
		{text: "Package: a\nVers", line: 2, problem: "truncated"},
		{text: "Package: a\nno colon\n", line: 2, problem: "colon"},
		{text: "Package: a\n: no name\n", line: 2, problem: "bad field name"},
		{text: "Package: a\n-x: y\n", line: 2, problem: "bad field name"},
		{text: " starts with a space: x\n", line: 1, problem: "bad field name"},
		{text: "Package: a\nPACKAGE: a\n", line: 2, problem: "duplicate"},
		{text: "Package: a\nDescription: x\n \n y\n", strict: true, line: 3, problem: "blank line"},
		{text: strings.Repeat("F", 3) + ": x\n" + manyFields(maxFields), line: maxFields + 1, problem: "more than"},
	} {
		r := NewReader([]byte(tc.text))
		r.Strict = tc.strict
		_, ok, err := r.Next()
		var syntax *SyntaxError
		if ok || !errors.As(err, &syntax) || syntax.Line != tc.line || !strings.Contains(syntax.Problem, tc.problem) {
			t.Errorf("%.40q: %v, %v; want line %d: %s", tc.text, ok, err, tc.line, tc.problem)
		}
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("X" + strings.Repeat("x", i+1) + ": y\n")
	}
	return b.String()
}

// FuzzDeb822 checks that stanzas lie in the file one after the other, and say the same when read alone.
func FuzzDeb822(f *testing.F) {
	f.Add([]byte("Package: a\nDescription: b\n c\n\nPackage: d\n"), true)
	f.Add([]byte("A :\t\n b\n \n c\n\n\n"), false)
	f.Fuzz(func(t *testing.T, data []byte, strict bool) {
		r := NewReader(data)
		r.Strict = strict
		end := 0
		for {
			s, ok, err := r.Next()
			if !ok {
				if err == nil && strings.Trim(string(data[end:]), "\n") != "" {
					t.Fatalf("%q was passed over", data[end:])
				}
				return
			}
			if strings.Trim(string(data[end:s.Start]), "\n") != "" || s.End <= s.Start || data[s.End-1] != '\n' {
				t.Fatalf("stanza at %d to %d after %d", s.Start, s.End, end)
			}
			end = s.End
			alone := NewReader(data[s.Start:s.End])
			alone.Strict = strict
			again, ok, err := alone.Next()
			if !ok || err != nil || len(again.Fields) != len(s.Fields) {
				t.Fatalf("read alone: %v, %v", ok, err)
			}
			for i, field := range s.Fields {
				if again.Fields[i].Name != field.Name || again.Fields[i].Value != field.Value {
					t.Fatalf("field %d is %v, alone %v", i, field, again.Fields[i])
				}
			}
		}
	})
}
