package image_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image"
)

const hex64 = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b"

var someDigest = v1.Hash{Algorithm: "sha256", Hex: hex64}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		in        string
		transport image.Transport
		repo, tag string
		digest    v1.Hash
	}{
		{"debian", image.Registry, "index.docker.io/library/debian", "latest", v1.Hash{}},
		{"debian:12", image.Registry, "index.docker.io/library/debian", "12", v1.Hash{}},
		{"127.0.0.1:5000/base:old", image.Registry, "127.0.0.1:5000/base", "old", v1.Hash{}},
		{"ghcr.io/a/b/c@sha256:" + hex64, image.Registry, "ghcr.io/a/b/c", "", someDigest},
		{"ghcr.io/a/b:1@sha256:" + hex64, image.Registry, "ghcr.io/a/b", "", someDigest},
		{"oci:dir", image.Layout, "dir", "", v1.Hash{}},
		{"oci:/var/lib/dir:12.5-slim", image.Layout, "/var/lib/dir", "12.5-slim", v1.Hash{}},
		{"oci:dir:example.com/app:1.0", image.Layout, "dir", "example.com/app:1.0", v1.Hash{}},
		{"oci:./d@x/y", image.Layout, "./d@x/y", "", v1.Hash{}},
		{"oci:dir@sha256:" + hex64, image.Layout, "dir", "", someDigest},
		{"oci:dir:tag@sha256:" + hex64, image.Layout, "dir", "", someDigest},
		{"oci-archive:f.tar:1", image.LayoutArchive, "f.tar", "1", v1.Hash{}},
		{"docker-archive:f.tar", image.DockerArchive, "f.tar", "", v1.Hash{}},
		{"docker-archive:f.tar:docker.io/library/app", image.DockerArchive, "f.tar", "app:latest", v1.Hash{}},
		{"docker-daemon:localhost/app:1", image.DockerDaemon, "localhost/app", "1", v1.Hash{}},
		{"docker-daemon:debian", image.DockerDaemon, "debian", "latest", v1.Hash{}},
	} {
		t.Run(tc.in, func(t *testing.T) {
			got, err := image.Parse(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			if got.Transport != tc.transport || got.Repository != tc.repo || got.Tag != tc.tag || got.Digest != tc.digest {
				t.Errorf("%+v", got)
			}
			if got.String() != tc.in {
				t.Errorf("String = %q", got)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "empty",
		"UPPER/case":                      "not an image name",
		"a/b:c d":                         "not an image name",
		"a/b@sha256:123":                  "not an image name",
		"https://ghcr.io/a/b":             "write ghcr.io/a/b",
		"docker://ghcr.io/a/b":            "write ghcr.io/a/b",
		"oci:":                            "no path",
		"oci::tag":                        "no path",
		"oci:dir:":                        `"" is not a tag`,
		"oci:dir:-x":                      `"-x" is not a tag`,
		"oci:dir@sha256:12":               "not a digest",
		"oci-archive:f.tar:":              `"" is not a tag`,
		"docker-archive::a/b:1":           "no path",
		"docker-archive:f.tar:A":          "not an image name",
		"docker-daemon:":                  "not an image name",
		"docker-daemon:a@sha256:" + hex64: "not a name with a tag",
	} {
		_, err := image.Parse(in)
		if !errors.Is(err, image.ErrUsage) {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q in it", in, err, want)
		}
	}
}

func TestDestinations(t *testing.T) {
	var refs []image.Ref
	for _, s := range []string{"r.io/a:1", "oci:dir", "r.io/a:2", "r.io/b", "r.io/a:1", "oci:dir:x", "docker-archive:f", "docker-archive:f:a/b", "oci-archive:f", "docker-daemon:a"} {
		refs = append(refs, ref(t, s))
	}
	got, err := image.Destinations(refs)
	if err != nil {
		t.Fatal(err)
	}
	var flat []string
	for _, d := range got {
		flat = append(flat, d.Ref.Repository+" "+strings.Join(d.Tags, ","))
	}
	if diff := cmp.Diff([]string{"r.io/a 1,2", "dir latest,x", "r.io/b latest", "f ,a/b:latest", "f latest", "a latest"}, flat); diff != "" {
		t.Error(diff)
	}
	if _, err := image.Destinations([]image.Ref{ref(t, "r.io/a@sha256:"+hex64)}); !errors.Is(err, image.ErrUsage) {
		t.Errorf("a digest as destination: %v", err)
	}
}

func TestRefWith(t *testing.T) {
	for in, want := range map[string]string{
		"debian:12":     "index.docker.io/library/debian",
		"oci:a/dir:tag": "oci:a/dir",
	} {
		r := ref(t, in)
		if got := r.WithDigest(someDigest).String(); got != want+"@sha256:"+hex64 {
			t.Errorf("WithDigest = %s", got)
		}
		if got := r.WithTag("new").String(); got != want+":new" {
			t.Errorf("WithTag = %s", got)
		}
		for _, made := range []image.Ref{r.WithDigest(someDigest), r.WithTag("new")} {
			if again := ref(t, made.String()); again != made {
				t.Errorf("%+v reads back as %+v", made, again)
			}
		}
	}
}

func TestParsePlatforms(t *testing.T) {
	got, err := image.ParsePlatforms([]string{"linux/amd64", "linux/arm/v7", "windows/amd64:10.0.17763.1"})
	if err != nil {
		t.Fatal(err)
	}
	want := []v1.Platform{
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "arm", Variant: "v7"},
		{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "linux", "linux/", "/amd64", "a/b/c/d"} {
		if _, err := image.ParsePlatforms([]string{bad}); !errors.Is(err, image.ErrUsage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"debian:12", "oci:a:b", "oci:a@sha256:" + hex64, "a/b@sha256:" + hex64, "http://x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := image.Parse(s)
		if err != nil {
			if !errors.Is(err, image.ErrUsage) || strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if r.String() != s || r.Repository == "" || (r.ByDigest() && r.Tag != "") {
			t.Fatalf("%q: %+v", s, r)
		}
	})
}
