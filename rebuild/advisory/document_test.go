package advisory_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nanopatch/nanopatch/rebuild/advisory"
)

func document(name, text string) advisory.Document {
	return advisory.Document{Name: name, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text)), nil
	}}
}

var (
	debian = advisory.Distro{ID: "debian", VersionID: "12", Codename: "bookworm"}
	alpine = advisory.Distro{ID: "alpine", VersionID: "3.19.4"}
	wolfi  = advisory.Distro{ID: "wolfi", VersionID: "20230201"}
	ubuntu = advisory.Distro{ID: "ubuntu", VersionID: "22.04", Codename: "jammy"}

	libssl = advisory.Update{
		Type: "deb", Name: "libssl3", Source: "openssl", From: "3.0.17-1~deb12u1", To: "3.0.19-1~deb12u1",
		SourceFrom: "3.0.17-1~deb12u1", SourceTo: "3.0.19-1~deb12u1",
	}
	crypto = advisory.Update{
		Type: "apk", Name: "libcrypto3", Source: "openssl", From: "3.1.4-r5", To: "3.1.6-r0", SourceFrom: "3.1.4-r5", SourceTo: "3.1.6-r0",
	}
)

// The documents below have the shape of the real ones, keys that are not read among theirs.
const (
	secdb = `{"apkurl":"{{urlprefix}}/{{distroversion}}/{{reponame}}/{{arch}}/{{pkg.name}}-{{pkg.ver}}.apk","archs":["x86_64"],"reponame":"main",
"urlprefix":"https://dl-cdn.alpinelinux.org/alpine","distroversion":"v3.19","packages":[
{"pkg":{"name":"zlib","secfixes":{"1.3.1-r0":["CVE-2023-45853"]}}},
{"pkg":{"name":"openssl","secfixes":{"3.1.4-r6":["CVE-2024-2511 GHSA-x-y-z","CVE-2024-4603"],"3.1.6-r0":["CVE-2024-5535"],"3.1.6-r1":["CVE-2024-6119"],
"3.1.4-r5":["CVE-2024-0727"],"0":["CVE-2022-1292"],"not a version":["CVE-2022-9999"]}}},
{"pkg":{"name":"empty","secfixes":null}}]}`
	wolfiDB = `{"apkurl":"{{urlprefix}}/{{reponame}}/{{arch}}/{{pkg.name}}-{{pkg.ver}}.apk","archs":["x86_64"],"reponame":"os",
"urlprefix":"https://packages.wolfi.dev","packages":[{"pkg":{"name":"openssl","secfixes":{"3.1.5-r0":["CVE-2024-2511"]}}}]}`
	trackerDump = `{"nginx":{"CVE-2024-7347":{"releases":{"bookworm":{"status":"resolved","fixed_version":"1.22.1-9+deb12u1"}}}},
"openssl":{"CVE-2025-1":{"description":"x","debianbug":1,"scope":"local","releases":{
"bookworm":{"status":"resolved","repositories":{"bookworm":"3.0.17-1~deb12u1"},"fixed_version":"3.0.18-1~deb12u1","urgency":"not yet assigned"},
"bullseye":{"status":"open","urgency":"x"}}},
"CVE-2025-9230":{"releases":{"bookworm":{"status":"resolved","fixed_version":"3.0.17-1~deb12u3"}}},
"CVE-2025-9231":{"releases":{"bookworm":{"status":"resolved","fixed_version":"0"}}},
"CVE-2025-9232":{"releases":{"bookworm":{"status":"open"}}},
"CVE-2025-9233":{"releases":{"trixie":{"status":"resolved","fixed_version":"3.0.18-1"}}},
"TEMP-0000000-ABCDEF":{"releases":{"bookworm":{"status":"resolved","fixed_version":"3.0.18-1~deb12u1"}}}}}`
	osvRecord = `{"id":"DEBIAN-CVE-2025-9230","schema_version":"1.7.0","upstream":["CVE-2025-9230"],"details":"about CVE-2000-0001","affected":[
{"package":{"ecosystem":"Debian:12","name":"openssl","purl":"pkg:deb/debian/openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.17-1~deb12u3"}]}]},
{"package":{"ecosystem":"Debian:13","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`
	osvList = `[{"id":"CVE-2025-1000","affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},"versions":["3.0.17-1~deb12u1"]}]},
{"id":"CVE-2025-1001","affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"fixed":"3.0.18-1"},{"introduced":"3.0.19-1~deb12u1"},{"introduced":"3.0.17-1~deb12u1"}]}]}]},
{"id":"CVE-2025-1002","affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"last_affected":"3.0.17-1~deb12u1"}]}]}]},
{"id":"CVE-2025-1003","withdrawn":"2025-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},"versions":["3.0.17-1~deb12u1"]}]},
{"id":"CVE-2025-1004","affected":[{"package":{"ecosystem":"Ubuntu:22.04:LTS","name":"openssl"},"versions":["3.0.17-1~deb12u1"]}]}]`
	grypeReport = `{"matches":[
{"vulnerability":{"id":"CVE-2025-9230","fix":{"versions":["3.0.17-1~deb12u3"],"state":"fixed"}},"relatedVulnerabilities":[{"id":"CVE-2025-9230"}],"artifact":{"name":"libssl3","version":"3.0.17-1~deb12u1","type":"deb"}},
{"vulnerability":{"id":"CVE-2025-27587","fix":{"versions":[],"state":"not-fixed"}},"artifact":{"name":"libssl3","version":"3.0.17-1~deb12u1","type":"deb"}},
{"vulnerability":{"id":"GHSA-1","fix":{"versions":["3.0.18-1~deb12u1"],"state":"fixed"}},"relatedVulnerabilities":[{"id":"CVE-2025-5"},{"id":"CVE-2025-2222"}],"artifact":{"name":"libssl3","version":"3.0.17-1~deb12u1","type":"deb"}},
{"vulnerability":{"id":"CVE-2025-3","fix":{"versions":["3.0.18"],"state":"fixed"}},"artifact":{"name":"libssl3","version":"3.0.16-1","type":"deb"}},
{"vulnerability":{"id":"CVE-2025-4444","fix":{"versions":["3.0.20-1"],"state":"fixed"}},"artifact":{"name":"libssl3","version":"3.0.17-1~deb12u1","type":"deb"}}],
"source":{"type":"image"},"descriptor":{"name":"grype"}}`
	trivyReport = `{"SchemaVersion":2,"ArtifactName":"x","Results":[{"Target":"x (debian 12)","Class":"os-pkgs","Type":"debian","Vulnerabilities":[
{"VulnerabilityID":"CVE-2025-9230","PkgID":"libssl3@3","PkgName":"libssl3","InstalledVersion":"3.0.17-1~deb12u1","FixedVersion":"3.0.17-1~deb12u3"},
{"VulnerabilityID":"CVE-2025-27587","PkgName":"libssl3","InstalledVersion":"3.0.17-1~deb12u1"}]},
{"Target":"Python","Class":"lang-pkgs","Type":"python-pkg","Vulnerabilities":[{"VulnerabilityID":"CVE-2025-8888","PkgName":"libssl3","InstalledVersion":"3.0.17-1~deb12u1","FixedVersion":"3.0.18-1~deb12u1"}]}]}`
)

func TestDocuments(t *testing.T) {
	for name, c := range map[string]struct {
		distro advisory.Distro
		update advisory.Update
		text   string
		kind   advisory.Kind
		// want is what the document says; nil that it says nothing.
		want []string
	}{
		"secdb":                    {alpine, crypto, secdb, advisory.SecDB, []string{"CVE-2024-2511", "CVE-2024-4603", "CVE-2024-5535"}},
		"secdb of another release": {advisory.Distro{ID: "alpine", VersionID: "3.20.1"}, crypto, secdb, advisory.SecDB, nil},
		"Alpine's for Wolfi":       {wolfi, crypto, secdb, advisory.SecDB, nil},
		"Wolfi's":                  {wolfi, crypto, wolfiDB, advisory.SecDB, []string{"CVE-2024-2511"}},
		"Wolfi's for Alpine":       {alpine, crypto, wolfiDB, advisory.SecDB, nil},
		"secdb for a deb":          {alpine, libssl, secdb, advisory.SecDB, nil},
		"tracker":                  {debian, libssl, trackerDump, advisory.Tracker, []string{"CVE-2025-9230"}},
		"tracker for Ubuntu":       {ubuntu, libssl, trackerDump, advisory.Tracker, nil},
		"an OSV record":            {debian, libssl, osvRecord, advisory.OSV, []string{"CVE-2025-9230"}},
		"OSV of another release":   {advisory.Distro{ID: "debian", VersionID: "11"}, libssl, osvRecord, advisory.OSV, nil},
		"OSV where it stays":       {advisory.Distro{ID: "debian", VersionID: "13"}, libssl, osvRecord, advisory.OSV, []string{}},
		"a list of OSV records":    {debian, libssl, osvList, advisory.OSV, []string{"CVE-2025-1000", "CVE-2025-1002"}},
		"OSV vulns":                {debian, libssl, `{"vulns":` + osvList + `}`, advisory.OSV, []string{"CVE-2025-1000", "CVE-2025-1002"}},
		"OSV for Ubuntu":           {ubuntu, libssl, osvList, advisory.OSV, []string{"CVE-2025-1004"}},
		"grype":                    {debian, libssl, grypeReport, advisory.Grype, []string{"CVE-2025-2222", "CVE-2025-9230"}},
		"grype, another package":   {alpine, crypto, grypeReport, advisory.Grype, nil},
		"trivy":                    {debian, libssl, trivyReport, advisory.Trivy, []string{"CVE-2025-9230"}},
	} {
		t.Run(name, func(t *testing.T) {
			doc := document("the document", c.text)
			if kind, err := doc.Detect(t.Context()); kind != c.kind || err != nil {
				t.Errorf("detected %q, %v", kind, err)
			}
			var want []advisory.Statement
			if c.want != nil {
				want = []advisory.Statement{{Kind: c.kind, Name: "the document", CVEs: c.want}}
			}
			got := find(t, c.distro, []advisory.Update{{Name: "another", Source: "another"}, c.update}, doc)
			if diff := cmp.Diff([][]advisory.Statement{nil, want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBadDocuments(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "no JSON": "<html>", "a number": "1", "nothing in it": "{}", "an empty list": "[]", "a list of other things": `[{"a":1}]`,
		"another JSON": `{"spdxVersion":"SPDX-2.3","packages":[{"name":"x"}]}`, "cut in a key": `{"apk`,
		"a known key far behind": `{"x":"` + strings.Repeat("y", 2<<20) + `","apkurl":""}`, "a list in a list": "[[]]",
	} {
		if kind, err := document(name, text).Detect(t.Context()); !errors.Is(err, advisory.ErrFormat) {
			t.Errorf("%s: got %q, %v", name, kind, err)
		} else if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: the error is %q", name, err)
		}
	}
	// What shows only behind the head: damage must not look like having nothing to say.
	for name, text := range map[string]string{
		"secdb": secdb, "tracker": trackerDump, "an OSV record": osvRecord, "an OSV list": osvList, "grype": grypeReport, "trivy": trivyReport,
	} {
		for how, bad := range map[string]string{
			"cut": text[:len(text)-3], "longer": text + "{}", "wrong types": strings.ReplaceAll(strings.ReplaceAll(text, "[", `{"a":`), ":{", `:7,"x":{`),
		} {
			_, err := advisory.Find(t.Context(), debian, []advisory.Update{libssl}, []advisory.Document{document(name, bad)})
			if !errors.Is(err, advisory.ErrFormat) {
				t.Errorf("%s, %s: got %v", name, how, err)
			}
		}
	}
	gone := advisory.Document{Name: "x", Open: func(context.Context) (io.ReadCloser, error) { return nil, io.ErrClosedPipe }}
	if _, err := advisory.Find(t.Context(), debian, nil, []advisory.Document{gone}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := document("x", secdb).Detect(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, advisory.ErrFormat) {
		t.Errorf("got %v", err)
	}
}

func TestPublished(t *testing.T) {
	for want, d := range map[string]advisory.Distro{
		"https://secdb.alpinelinux.org/v3.19/main.json https://secdb.alpinelinux.org/v3.19/community.json": alpine,
		"https://secdb.alpinelinux.org/edge/main.json https://secdb.alpinelinux.org/edge/community.json":   {ID: "alpine", VersionID: "3.23_alpha2026"},
		"https://packages.wolfi.dev/os/security.json":                                                      wolfi,
		"": debian,
	} {
		if got := strings.Join(d.Published(), " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzDocument(f *testing.F) {
	for _, text := range []string{secdb, wolfiDB, trackerDump, osvRecord, osvList, grypeReport, trivyReport} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range []advisory.Distro{debian, alpine} {
			found, err := advisory.Find(t.Context(), d, []advisory.Update{libssl, crypto}, []advisory.Document{document("x", text)})
			if err != nil {
				continue
			}
			for _, id := range advisory.CVEs(append(found[0], found[1]...)) {
				if !strings.Contains(text, id) && !strings.Contains(text, `\u`) {
					t.Errorf("%s out of nothing", id)
				}
			}
		}
	})
}
