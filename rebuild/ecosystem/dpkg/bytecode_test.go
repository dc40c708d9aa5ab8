package dpkg

import "testing"

func TestCompiledModule(t *testing.T) {
	for name, want := range map[string]string{
		"ssl.cpython-311.pyc": "ssl", "ssl.cpython-311.opt-1.pyc": "ssl", "__phello__.foo.cpython-39.pyc": "__phello__.foo",
		"ssl.pyc": "", "ssl.cpython-311.pyo": "", ".pyc": "", "a.b.cpython-39.opt-2.pyc": "a.b",
	} {
		if got := compiledModule(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
