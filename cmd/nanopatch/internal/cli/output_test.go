package cli

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWriteFile wants a file to be replaced as a whole, and what is none to be written to and left what it is.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	file, link, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	read := func(name string) string {
		t.Helper()
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	for _, content := range []string{"first", "2nd"} {
		if err := writeFile(file, []byte(content)); err != nil || read(file) != content {
			t.Errorf("%q, %v", read(file), err)
		}
	}
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(link, []byte("through the link")); err != nil || read(file) != "through the link" {
		t.Errorf("%q, %v", read(file), err)
	}
	if to, err := os.Readlink(link); to != "file" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	go func() {
		content, err := os.ReadFile(pipe)
		if err != nil {
			content = []byte(err.Error())
		}
		got <- string(content)
	}()
	if err := writeFile(pipe, []byte("through the pipe")); err != nil {
		t.Fatal(err)
	}
	if content := <-got; content != "through the pipe" {
		t.Errorf("read %q", content)
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != os.ModeNamedPipe {
		t.Errorf("the pipe became %v, %v", info, err)
	}
	// Whoever writes to the null device as root must still have one.
	if err := writeFile(os.DevNull, []byte("nothing")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(os.DevNull); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Errorf("%s became %v, %v", os.DevNull, info, err)
	}
}
