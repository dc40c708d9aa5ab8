package pkgrepo_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

func mkdir(t *testing.T, dir string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// Whatever the umask is.
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
}

// TestCacheIsClosed has cache directories that were there before.
func TestCacheIsClosed(t *testing.T) {
	tests := []struct {
		name string
		// setup makes what lies at dir, below a directory of the test's own.
		setup func(t *testing.T, dir string)
		// text is part of the error; empty where there is none.
		text string
	}{
		{"not there", func(*testing.T, string) {}, ""},
		{"the user's own", func(t *testing.T, dir string) { mkdir(t, dir, 0o700) }, ""},
		{"to be read by all", func(t *testing.T, dir string) { mkdir(t, dir, 0o755) }, ""},
		{"the group writes", func(t *testing.T, dir string) { mkdir(t, dir, 0o775) }, "run chmod go-w DIR,"},
		{"all write", func(t *testing.T, dir string) { mkdir(t, dir, 0o777) }, "run chmod go-w DIR,"},
		{"all write, as in /tmp", func(t *testing.T, dir string) { mkdir(t, dir, 0o777|os.ModeSticky) }, "run chmod go-w DIR,"},
		{"all write to a part of it", func(t *testing.T, dir string) { mkdir(t, filepath.Join(dir, "derived"), 0o777) }, "run chmod go-w DIR/derived,"},
		{"a link", func(t *testing.T, dir string) {
			mkdir(t, dir+"2", 0o700)
			if err := os.Symlink(dir+"2", dir); err != nil {
				t.Fatal(err)
			}
		}, "DIR is a symbolic link"},
		{"a link in it", func(t *testing.T, dir string) {
			mkdir(t, dir, 0o700)
			mkdir(t, dir+"2", 0o700)
			if err := os.Symlink(dir+"2", filepath.Join(dir, "derived")); err != nil {
				t.Fatal(err)
			}
		}, "DIR/derived is a symbolic link"},
		{"a file", func(t *testing.T, dir string) {
			if err := os.WriteFile(dir, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a directory"},
		{"another user's", func(t *testing.T, dir string) {
			mkdir(t, dir, 0o700)
			if err := os.Chown(dir, 65534, -1); err != nil {
				t.Skipf("giving a directory away takes root: %v", err)
			}
		}, "DIR belongs to the user with the ID 65534"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			tt.setup(t, dir)
			_, err := pkgrepo.New(pkgrepo.Options{Dir: dir, Now: now})
			if tt.text == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			want := strings.ReplaceAll(tt.text, "DIR", dir)
			if !errors.As(err, new(*pkgrepo.CacheError)) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v, want a CacheError of one line with %q", err, want)
			}
		})
	}
}

// TestCacheIsMadeClosed wants the cache to be the user's alone, and so to pass the check, whatever the umask.
func TestCacheIsMadeClosed(t *testing.T) {
	dir := cacheDir(t)
	newClient(t, dir)
	for _, sub := range []string{"", "blob", "ref", "derived", "lock", "tmp"} {
		info, err := os.Stat(filepath.Join(dir, sub))
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%q: %v, %v", sub, info.Mode(), err)
		}
	}
}
