package apt

import (
	"strings"
	"testing"
	"time"
)

func TestParseDate(t *testing.T) {
	want := time.Date(2026, 11, 2, 0, 19, 16, 0, time.UTC)
	for _, s := range []string{
		"Mon, 02 Nov 2026 00:19:16 UTC", "Mon, 2 Nov 2026  0:19:16 GMT", "Mon,  2 Nov 2026 00:19:16 +0000", "2 Nov 2026 00:19:16 Z",
	} {
		if got, err := parseDate(s); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "Mon, 02 Nov 2026 00:19:16", "Mon, 02 Nov 2026 00:19:16 CET", "Mon, 02 Nov 2026 25:19:16 UTC", "2026-11-02T00:19:16Z"} {
		if got, err := parseDate(s); err == nil {
			t.Errorf("%q is taken for %v", s, got)
		}
	}
}

// TestPockets uses the header fields of real Release files, of November 2026.
func TestPockets(t *testing.T) {
	bookworm := Distro{ID: "debian", VersionID: "12", Codename: "bookworm"}
	forky := Distro{ID: "debian", Codename: "forky"}
	noble := Distro{ID: "ubuntu", VersionID: "24.04", Codename: "noble"}
	tests := []struct {
		distro                         Distro
		origin, label, suite, codename string
		security, frozen               bool
	}{
		{bookworm, "Debian", "Debian", "oldstable", "bookworm", false, true},
		{bookworm, "Debian", "Debian", "oldstable-updates", "bookworm-updates", false, true},
		{bookworm, "Debian", "Debian-Security", "oldstable-security", "bookworm-security", true, true},
		{bookworm, "Debian", "Debian", "oldstable-proposed-updates", "bookworm-proposed-updates", false, false},
		{bookworm, "Debian Backports", "Debian Backports", "oldstable-backports", "bookworm-backports", false, false},
		{bookworm, "Debian", "Debian-Security", "stable-security", "trixie-security", true, false},
		{bookworm, "Docker", "Docker CE", "bookworm", "bookworm", false, false},
		{forky, "Debian", "Debian", "testing", "forky", false, false},
		{forky, "Debian", "Debian-Security", "testing-security", "forky-security", true, false},
		{noble, "Ubuntu", "Ubuntu", "noble", "noble", false, true},
		{noble, "Ubuntu", "Ubuntu", "noble-updates", "noble", false, true},
		{noble, "Ubuntu", "Ubuntu", "noble-security", "noble", true, true},
		{noble, "UbuntuESM", "UbuntuESM", "noble-infra-security", "noble", true, true},
		{noble, "UbuntuESM", "UbuntuESM", "noble-infra-updates", "noble", false, true},
		{noble, "UbuntuESMApps", "UbuntuESMApps", "noble-apps-security", "noble", true, true},
		{noble, "UbuntuESMApps", "UbuntuESMApps", "noble-infra-security", "noble", true, false},
		{noble, "UbuntuESM", "UbuntuESM", "jammy-infra-security", "jammy", true, false},
		{bookworm, "UbuntuESM", "UbuntuESM", "bookworm-infra-security", "bookworm", true, false},
		{noble, "Ubuntu", "Ubuntu", "noble-proposed", "noble", false, false},
		{noble, "Ubuntu", "Ubuntu", "noble-backports", "noble", false, false},
		{noble, "Debian", "Debian", "noble", "noble", false, false},
		{Distro{ID: "ubuntu", Codename: "noble", Development: true}, "Ubuntu", "Ubuntu", "noble", "noble", false, false},
		{Distro{}, "", "", "", "", false, false},
		{Distro{ID: "debian"}, "Debian", "", "", "", false, false},
	}
	for _, tt := range tests {
		r := &releaseFile{origin: tt.origin, label: tt.label, suite: tt.suite, codename: tt.codename}
		if got := r.security(); got != tt.security {
			t.Errorf("%s %s: security %t", tt.label, tt.suite, got)
		}
		if got := r.frozen(tt.distro); got != tt.frozen {
			t.Errorf("%s %s for %s: frozen %t", tt.label, tt.suite, tt.distro, got)
		}
	}
}

func TestCheckSuite(t *testing.T) {
	tests := []struct {
		asked, origin, label, suite, codename string
		problem, fatal                        bool
	}{
		{"bookworm", "Debian", "Debian", "oldstable", "bookworm", false, false},
		{"oldstable", "Debian", "Debian", "oldstable", "bookworm", false, false},
		{"bookworm-security", "Debian", "Debian-Security", "oldstable-security", "bookworm-security", false, false},
		{"oldstable-security", "Debian", "Debian-Security", "oldstable-security", "bookworm-security", false, false},
		{"buster/updates", "Debian", "Debian-Security", "oldoldstable", "buster", false, false},
		{"buster/updates", "Debian", "Debian", "oldoldstable", "buster", true, true},
		{"buster", "Debian", "Debian-Security", "oldoldstable", "buster", true, true},
		{"bookworm-security", "Debian", "Debian", "oldstable", "bookworm", true, true},
		{"noble", "Ubuntu", "Ubuntu", "noble", "noble", false, false},
		{"noble-updates", "Ubuntu", "Ubuntu", "noble-updates", "noble", false, false},
		{"noble-security", "Ubuntu", "Ubuntu", "noble-updates", "noble", true, true},
		{"noble", "Ubuntu", "Ubuntu", "noble-proposed", "noble", true, true},
		{"stable", "Vendor", "Vendor", "main", "", true, false},
		{"noble", "Vendor", "Vendor", "any", "noble", false, false},
		{"stable", "Vendor", "Vendor", "", "", false, false},
		{"./", "Debian", "Debian", "x", "y", false, false},
	}
	for _, tt := range tests {
		r := &releaseFile{origin: tt.origin, label: tt.label, suite: tt.suite, codename: tt.codename}
		if problem, fatal := r.checkSuite(Source{Suite: tt.asked}); (problem != "") != tt.problem || fatal != tt.fatal {
			t.Errorf("%+v: %q, %t", tt, problem, fatal)
		}
	}
}

func FuzzRelease(f *testing.F) {
	f.Add("Origin: Debian\nDate: Mon, 02 Nov 2026 00:19:16 UTC\nSHA256:\n " + strings.Repeat("0", 64) + " 1 ./main/binary-amd64/Packages.xz\n")
	f.Add("SHA256:\n x\n\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRelease([]byte(text))
		if err != nil {
			return
		}
		for name, sum := range r.files {
			if sum.size < 0 || strings.HasPrefix(name, "./") {
				t.Errorf("%q: %+v", name, sum)
			}
		}
	})
}
