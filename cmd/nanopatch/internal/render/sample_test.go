package render

import (
	"fmt"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/advisory"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

var sampleRun = Run{Now: time.Date(2026, 11, 26, 14, 30, 0, 0, time.UTC), Version: "0.1.0-test"}

// hostileName is what a package may call itself.
const hostileName = "x</code><script>console.log(1)</script><img src=//evil.example/ onerror=console.log(2)>\x1b[31m\u202e @team #1 `|*y* https://evil.example"

func digest(n int) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: strings.Repeat(fmt.Sprintf("%08x", 0x9e3779b9*uint32(n+1)), 8)}
}

func date(days int) time.Time {
	return sampleRun.Now.Add(-time.Duration(days)*24*time.Hour - time.Hour)
}

func update(name, arch, from, to, level, number string, layer, waiting int, security bool, cves ...string) plan.Update {
	u := plan.Update{
		Name: name, Type: "deb", Arch: arch, From: from, To: to, Level: level, NumberLevel: number, Layer: layer, Security: security, Source: name,
		Artifact: plan.Artifact{URL: "https://repo.example/" + name, SHA256: digest(layer).Hex, Size: 1 << 20, Date: date(waiting)},
	}
	var said []advisory.Statement
	if len(cves) > 0 {
		said = []advisory.Statement{{Kind: advisory.Changelog, Name: name + " " + to, CVEs: cves}}
	}
	u.SetAdvisories(said)
	return u
}

func manyCVEs(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("CVE-2025-%d", 21600+17*i))
	}
	return out
}

// samplePlan is an image of an old release with something of everything.
func samplePlan() *plan.Plan {
	eol := plan.Date{Time: time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC)}
	return &plan.Plan{
		APIVersion: plan.APIVersion, Kind: "Plan", EOL: &eol,
		Image:  plan.Image{Ref: "registry.example.com/platform/base-images/python-service:3.11-bookworm", Digest: digest(90), Platform: "linux/amd64"},
		Distro: plan.Distro{ID: "debian", VersionID: "12.5", Codename: "bookworm"},
		Updates: []plan.Update{
			update("libssl3", "amd64", "3.0.11-1~deb12u2", "3.0.17-1~deb12u3", "patch", "patch", 0, 57, true, manyCVEs(9)...),
			update("openssl", "amd64", "3.0.11-1~deb12u2", "3.0.17-1~deb12u3", "patch", "patch", 2, 57, true, manyCVEs(9)...),
			update("perl-base", "amd64", "5.36.0-7+deb12u1", "5.36.0-7+deb12u3", "revision", "revision", 0, 133, true, "CVE-2024-56406", "CVE-2025-40909"),
			update("libc6", "amd64", "2.36-9+deb12u4", "2.36-9+deb12u13", "revision", "revision", 0, 12, false),
			update("tzdata", "all", "2024a-0+deb12u1", "2025b-0+deb12u2", "patch", "patch", 0, 1, false),
			update("ca-certificates", "all", "20230311", "20230311+deb12u1", "revision", "revision", 2, 410, false),
			update("postgresql-client-15", "amd64", "15.5-0+deb12u1", "15.14-0+deb12u1", "patch", "minor", 3, 71, true, "CVE-2025-8713", "CVE-2025-8714", "CVE-2025-8715"),
			update("nodejs", "amd64", "18.19.0+dfsg-6~deb12u2", "20.4.0-1nodesource1", "major", "major", 3, 0, false),
		},
		Held: []plan.Hold{
			{Name: "linux-libc-dev", Type: "deb", Arch: "amd64", From: "6.1.76-1", Candidate: "6.1.153-1", Reason: ecosystem.ReasonMinAge, Detail: "built 2 days ago, --min-age wants 7"},
			{Name: "nginx", Type: "deb", Arch: "amd64", From: "1.22.1-9", Candidate: "1.22.1-9+deb12u3", Security: true, Reason: ecosystem.ReasonModifiedFile, Detail: "usr/share/nginx/html/index.html was changed in layer 4; --on-modified decides"},
			{Name: "libldap-2.5-0", Type: "deb", Arch: "amd64", From: "2.5.13+dfsg-5", Candidate: "2.6.2+dfsg-1", Reason: ecosystem.ReasonLevel, Detail: "minor, and --level is patch"},
		},
		Unmanaged: []plan.Unmanaged{
			{Name: "acme-agent", Type: "deb", Arch: "amd64", Version: "4.2.0", Why: "no configured repository has the package"},
			{Name: "google-chrome-stable", Type: "deb", Arch: "amd64", Version: "121.0.6167.85-1", Why: "its repository was removed from the image"},
		},
		Overridden: []plan.Override{{Path: "usr/share/zoneinfo/Europe/Berlin", Package: "tzdata", Layer: 4}},
		KeptFiles:  []plan.KeptFile{{Path: "etc/ssl/openssl.cnf", Package: "openssl"}},
		Layers: []plan.Layer{
			{Index: 0, Digest: digest(0), Size: 48_500_000, CreatedBy: "/bin/sh -c #(nop) ADD file:3af6ad8de1a6d2b4bf1a4d5d0bca1e in /", Action: plan.Rewrite, Because: []string{"libssl3"}},
			{Index: 1, Digest: digest(1), Size: 212, CreatedBy: "ENV LANG=C.UTF-8", Action: plan.Keep},
			{Index: 2, Digest: digest(2), Size: 17_800_000, CreatedBy: "RUN /bin/sh -c set -eux; apt-get update; apt-get install -y --no-install-recommends ca-certificates openssl netbase tzdata; rm -rf /var/lib/apt/lists/* # buildkit", Action: plan.Rewrite},
			{Index: 3, Digest: digest(3), Size: 31_200_000, CreatedBy: "RUN apt-get install -y postgresql-client nodejs", Action: plan.Rewrite},
			{Index: 4, Digest: digest(4), Size: 112_000_000, CreatedBy: "COPY --chown=app . /srv/app # buildkit", Action: plan.Keep},
		},
		Repositories: []plan.Repository{
			{URI: "https://deb.example.org/debian", Suite: "bookworm", Component: "main", Digest: digest(20).String(), Signer: "4D64FEC119C2029067D6E791F8D2585B8783D481", Date: date(40)},
			{URI: "https://deb.example.org/debian-security", Suite: "bookworm-security", Component: "main", Digest: digest(21).String(), Signer: "05AB90340C0C5E797F44A8C8254CF3B5AEC0A8F0", Date: date(0)},
		},
	}
}

// hostilePlan has hostile text wherever an image, a repository or a registry may put one.
func hostilePlan() *plan.Plan {
	p := samplePlan()
	h := hostileName
	p.Image.Ref, p.Distro.ID = "registry.example/"+h, h
	p.Updates = []plan.Update{update(h, h, h, h, h, h, 0, 3, true, h)}
	p.Held = []plan.Hold{{Name: h, Type: "deb", Arch: h, From: h, Candidate: h, Security: true, Reason: ecosystem.ReasonLevel, Detail: h}}
	p.Unmanaged = []plan.Unmanaged{{Name: h, Version: h, Why: h}}
	p.Overridden = []plan.Override{{Path: h, Package: h}}
	p.Layers[0].CreatedBy = h
	p.Repositories[0].URI, p.Repositories[0].Signer = h, "javascript:console.log(3)"
	return p
}

// largePlan has n updates.
func largePlan(n int) *plan.Plan {
	p := samplePlan()
	p.Updates = nil
	for i := range n {
		p.Updates = append(p.Updates, update(fmt.Sprintf("package-number-%d", i), "amd64", "1.0.0-1", "1.0.1-1+deb12u1", "patch", "patch", i%4, i, i%3 == 0, manyCVEs(i%9)...))
	}
	return p
}

// sampleResult is what carrying out a plan gives.
func sampleResult(p *plan.Plan) *pipeline.Result {
	var layers []rebuild.AppliedLayer
	for i, l := range p.Layers {
		a := rebuild.AppliedLayer{Index: i, Action: l.Action, OldDigest: l.Digest, NewDigest: l.Digest, OldSize: l.Size, NewSize: l.Size, CreatedBy: l.CreatedBy}
		if l.Action == plan.Rewrite {
			a.NewDigest, a.NewSize = digest(30+i), l.Size+int64(1000*(i+1))
		}
		layers = append(layers, a)
	}
	record := cosign.Record{PredicateType: "https://sigstore.dev/cosign/sign/v1", Digest: digest(60), KeyID: "SHA256:8u1dwKqPWc0Bv9f3fUeQJ0o1"}
	return &pipeline.Result{
		APIVersion: plan.APIVersion, Kind: "Result", Source: pipeline.NamedDigest{Ref: p.Image.Ref, Digest: p.Image.Digest},
		Image: pipeline.NamedDigest{Ref: p.Image.Ref + "-patched", Digest: digest(91)}, Tags: []string{p.Image.Ref + "-patched"},
		Signature: pipeline.Signature{Record: &record},
		Attestations: []pipeline.Statement{
			{Subject: digest(91), Record: cosign.Record{PredicateType: "https://spdx.dev/Document"}},
			{Subject: digest(91), Record: cosign.Record{PredicateType: "https://slsa.dev/provenance/v1"}},
		},
		Bytes: pipeline.Bytes{Pulled: 97_500_000, Pushed: 97_600_000, Mounted: 112_000_000, Artifacts: 14_200_000},
		Platforms: []pipeline.PlatformResult{{
			Platform: p.Image.Platform, Distro: p.Distro, OldDigest: p.Image.Digest, NewDigest: digest(91), Updates: p.Updates, Held: p.Held,
			Unmanaged: p.Unmanaged, EOL: p.EOL, Overridden: p.Overridden, KeptFiles: p.KeptFiles, Layers: layers, Repositories: p.Repositories,
			Diff: &diff.Diff{Consequences: []diff.Consequence{{Type: "pypi", Name: "certifi", From: "2022.9.24", To: "2022.9.24+deb12u1", Because: "ca-certificates 20230311+deb12u1"}}},
		}},
	}
}
