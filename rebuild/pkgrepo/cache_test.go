package pkgrepo_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

func TestDamagedBlobIsFetchedAgain(t *testing.T) {
	url, requests := server(t, func(_ int64, w http.ResponseWriter, _ *http.Request) { send(w, content) })
	c := newClient(t, cacheDir(t))
	a := artifact(url+"/a", content)
	for i, damage := range []string{"", "short", "A package file"} {
		if damage != "" {
			paths, err := c.Fetch(t.Context(), []pkgrepo.Artifact{a}, 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(paths[0], []byte(damage), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		paths, err := c.Fetch(t.Context(), []pkgrepo.Artifact{a}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if data, _ := os.ReadFile(paths[0]); string(data) != content {
			t.Errorf("damaged as %q, got %q", damage, data)
		}
		if got := requests.Load(); got != int64(i+1) {
			t.Errorf("%d requests, want %d", got, i+1)
		}
	}
}

func latest(t *testing.T, c *pkgrepo.Client, url string) string {
	t.Helper()
	f, err := c.Latest(t.Context(), url, 100)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestLatest(t *testing.T) {
	text, etag := "one", `"1"`
	var asked []string
	url, _ := server(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("If-None-Match")+" "+r.Header.Get("If-Modified-Since"))
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		w.Header().Set("Last-Modified", now().Format(http.TimeFormat))
		if etag != "" && r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		send(w, text)
	})
	date := now().Format(http.TimeFormat)
	dir := cacheDir(t)
	steps := []struct {
		name, text, etag, asked string
		before                  func()
	}{
		{"first", "one", `"1"`, " ", func() {}},
		{"unchanged", "one", `"1"`, `"1" ` + date, func() {}},
		{"changed", "two", `"2"`, `"1" ` + date, func() {}},
		{"after damage", "two", `"2"`, " ", func() { damageAll(t, filepath.Join(dir, "ref")) }},
		{"unchanged again", "two", `"2"`, `"2" ` + date, func() {}},
		{"validators gone", "three", "", `"2" ` + date, func() {}},
		{"date only", "three", "", " " + date, func() {}},
	}
	for i, s := range steps {
		text, etag = s.text, s.etag
		s.before()
		c := newClient(t, dir)
		if got := latest(t, c, url+"/InRelease"); got != s.text {
			t.Errorf("%s: got %q, want %q", s.name, got, s.text)
		}
		if asked[i] != s.asked {
			t.Errorf("%s: asked with %q, want %q", s.name, asked[i], s.asked)
		}
		want := int64(len(s.text))
		if strings.HasPrefix(s.name, "unchanged") {
			want = 0
		}
		if got := c.Bytes().Repository; got != want {
			t.Errorf("%s: %d bytes, want %d", s.name, got, want)
		}
	}
}

// damageAll changes one byte of every file in a directory, near the end of its content.
func damageAll(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing to damage in %s: %v", dir, err)
	}
	for _, f := range files {
		name := filepath.Join(dir, f.Name())
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-40] ^= 1
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLatestTooLarge(t *testing.T) {
	url, _ := server(t, func(_ int64, w http.ResponseWriter, _ *http.Request) { send(w, strings.Repeat("x", 101)) })
	dir := cacheDir(t)
	_, err := newClient(t, dir).Latest(t.Context(), url, 100)
	wantKind(t, err, pkgrepo.ErrVerification)
	wantClean(t, dir)
}

func TestDerived(t *testing.T) {
	dir := cacheDir(t)
	key := artifact("", content).SHA256
	var computed atomic.Int64
	get := func() string {
		f, err := newClient(t, dir).Derived(t.Context(), "test-1", key, func(w io.Writer) error {
			computed.Add(1)
			time.Sleep(10 * time.Millisecond)
			_, err := io.WriteString(w, strings.Repeat("derived ", 10))
			return err
		})
		if err != nil {
			t.Error(err)
			return ""
		}
		data, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Error(err)
		}
		return string(data)
	}
	for want := range int64(2) {
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if got := get(); got != strings.Repeat("derived ", 10) {
					t.Errorf("got %q", got)
				}
			})
		}
		wg.Wait()
		if got := computed.Load(); got != want+1 {
			t.Errorf("computed %d times, want %d", got, want+1)
		}
		damageAll(t, filepath.Join(dir, "derived", "test-1"))
	}

	broken := errors.New("broken")
	_, err := newClient(t, dir).Derived(t.Context(), "test-2", key, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half of it")
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	wantClean(t, dir)
}

func TestStaleTemporaryFiles(t *testing.T) {
	dir := cacheDir(t)
	newClient(t, dir)
	for name, age := range map[string]time.Duration{"old": 25 * time.Hour, "young": time.Hour} {
		p := filepath.Join(dir, "tmp", name)
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p, now(), now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	newClient(t, dir)
	left, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil || len(left) != 1 || left[0].Name() != "young" {
		t.Errorf("left: %v, %v", left, err)
	}
}
