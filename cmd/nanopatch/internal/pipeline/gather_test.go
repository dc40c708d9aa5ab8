package pipeline

import (
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/plan"
)

// TestArchiveLocations: where the archives that are built in, and others, are looked for an update's package file.
func TestArchiveLocations(t *testing.T) {
	date := time.Date(2026, 11, 26, 15, 4, 5, 0, time.FixedZone("", 3600))
	repositories := []plan.Repository{
		{URI: "http://mirror.example/debian-security", Date: date},
		{URI: "http://mirror.example/debian/", Date: date},
		{URI: "http://archive.example/ubuntu", Date: date},
	}
	at := func(url string) plan.Update {
		return plan.Update{Artifact: plan.Artifact{URL: url, SHA256: "ab12"}}
	}
	for _, c := range []struct {
		archive Archive
		url     string
		want    string
	}{
		{
			archives["pkg:deb/debian/"], "http://mirror.example/debian/pool/main/o/openssl/a.deb",
			"https://snapshot.debian.org/archive/debian/20261126T140405Z/pool/main/o/openssl/a.deb",
		},
		{
			archives["pkg:deb/debian/"], "http://mirror.example/debian-security/pool/b.deb",
			"https://snapshot.debian.org/archive/debian-security/20261126T140405Z/pool/b.deb",
		},
		{
			archives["pkg:deb/ubuntu/"], "http://archive.example/ubuntu/pool/c.deb",
			"https://snapshot.ubuntu.com/ubuntu/20261126T140405Z/pool/c.deb",
		},
		{"file:///srv/mirror", "http://mirror.example/debian/pool/d.deb", "file:///srv/mirror/pool/d.deb"},
		{"file:///srv/by/{sha256}", "http://elsewhere.example/e.deb", "file:///srv/by/ab12"},
		{"https://archive.example/{archive}/", "http://elsewhere.example/f.deb", ""},
	} {
		if got := c.archive.locate(at(c.url), repositories); got != c.want {
			t.Errorf("%s of %s: %q, want %q", c.archive, c.url, got, c.want)
		}
	}
}
