package cosign_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
	"github.com/nanopatch/nanopatch/sign/signtest"
)

func TestSignAndVerify(t *testing.T) {
	repositories := map[string]func(t *testing.T, image v1.Image, d v1.Descriptor) cosign.Repository{
		"memory": func(*testing.T, v1.Image, v1.Descriptor) cosign.Repository { return &signtest.Memory{} },
		"registry with referrers": func(t *testing.T, image v1.Image, d v1.Descriptor) cosign.Repository {
			return push(t, image, d, true)
		},
		"registry without referrers": func(t *testing.T, image v1.Image, d v1.Descriptor) cosign.Repository {
			return push(t, image, d, false)
		},
	}
	for name, open := range repositories {
		t.Run(name, func(t *testing.T) {
			image, d := signtest.Image(t, "rebuilt")
			repo := open(t, image, d)
			records := mustSign(t, repo, d, "ours", sbom(t, d.Digest), provenance(t, d.Digest))

			got, report := failures(t, repo, d.Digest, "ours", attest.PredicateSPDX, attest.PredicateProvenance)
			if got != "" {
				t.Fatalf("failed checks: %s\n%+v", got, report)
			}
			want := &cosign.Report{
				Subject:    d.Digest,
				KeyID:      signtest.Key(t, "ours").KeyID(),
				Signatures: []cosign.Signature{{Digest: records[0].Digest}},
				Attestations: []cosign.Attestation{
					{PredicateType: attest.PredicateProvenance, Digest: records[2].Digest, Statement: provenance(t, d.Digest)},
					{PredicateType: attest.PredicateSPDX, Digest: records[1].Digest, Statement: sbom(t, d.Digest)},
				},
				Checks: []cosign.Check{
					{Name: cosign.CheckSigned, OK: true, Detail: "by key " + signtest.Key(t, "ours").KeyID()},
					{Name: cosign.CheckAttested, OK: true, Detail: attest.PredicateProvenance},
					{Name: cosign.CheckAttested, OK: true, Detail: attest.PredicateSPDX},
				},
			}
			if diff := cmp.Diff(want, report); diff != "" {
				t.Error(diff)
			}
			p, err := attest.ParseProvenance(report.Statements(attest.PredicateProvenance)[0])
			if err != nil {
				t.Fatal(err)
			}
			if source, ok := p.Source(); !ok || source.URI != "registry.example/base:1" {
				t.Errorf("source %+v", source)
			}
		})
	}
}

func push(t *testing.T, image v1.Image, d v1.Descriptor, referrers bool) *signtest.Remote {
	t.Helper()
	repo := signtest.Registry(t, referrers)
	if err := remote.Write(repo.Digest(d.Digest.String()), image); err != nil {
		t.Fatal(err)
	}
	return &signtest.Remote{Repo: repo}
}

// The tag is how clients find referrers where a registry has no API for them (OCI distribution specification
// 1.1, "Referrers Tag Schema").
func TestFallbackTag(t *testing.T) {
	image, d := signtest.Image(t, "rebuilt")
	repo := push(t, image, d, false)
	records := mustSign(t, repo, d, "ours", sbom(t, d.Digest))

	index, err := remote.Index(repo.Repo.Tag("sha256-" + d.Digest.Hex))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	got := map[v1.Hash]string{}
	for _, m := range manifest.Manifests {
		got[m.Digest] = m.ArtifactType + " " + m.Annotations["dev.sigstore.bundle.predicateType"]
	}
	want := map[v1.Hash]string{
		records[0].Digest: bundleType + " " + attest.PredicateSign,
		records[1].Digest: bundleType + " " + attest.PredicateSPDX,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// An artifact must survive an OCI layout, whose blobs are written and read by another path than a registry's.
func TestArtifactInLayout(t *testing.T) {
	_, d := signtest.Image(t, "rebuilt")
	memory := &signtest.Memory{}
	records := mustSign(t, memory, d, "ours")

	dir, err := layout.Write(t.TempDir(), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for _, artifact := range memory.Remove(d.Digest) {
		if err := dir.AppendImage(artifact); err != nil {
			t.Fatal(err)
		}
	}
	artifact, err := dir.Image(records[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	memory.Put(d.Digest, artifact)
	if got, _ := failures(t, memory, d.Digest, "ours"); got != "" {
		t.Errorf("failed checks: %s", got)
	}
}

func TestReuse(t *testing.T) {
	_, d := signtest.Image(t, "rebuilt")
	repo := &signtest.Memory{}
	first := mustSign(t, repo, d, "ours", sbom(t, d.Digest))
	if first[0].Reused || first[1].Reused || repo.Attached() != 2 {
		t.Fatalf("first run: %+v, %d attached", first, repo.Attached())
	}

	again := mustSign(t, repo, d, "ours", sbom(t, d.Digest))
	for i := range again {
		if !again[i].Reused || again[i].Digest != first[i].Digest {
			t.Errorf("second run: %+v, want %+v reused", again[i], first[i])
		}
	}

	other := mustSign(t, repo, d, "theirs", sbom(t, d.Digest))
	if other[0].Reused || other[1].Reused {
		t.Errorf("another key's signature was reused: %+v", other)
	}

	changed := mustSign(t, repo, d, "ours", statement(t, d.Digest, attest.PredicateSPDX, `{"spdxVersion":"SPDX-2.3"}`))
	if !changed[0].Reused || changed[1].Reused {
		t.Errorf("with another SBOM: %+v", changed)
	}

	twice := sbom(t, d.Digest)
	twice.PredicateType = attest.PredicateCycloneDX
	pair := mustSign(t, repo, d, "ours", twice, twice)
	if pair[1].Reused || !pair[2].Reused {
		t.Errorf("the same statement twice in one call: %+v", pair)
	}
	if repo.Attached() != 6 {
		t.Errorf("%d artifacts attached, want 6", repo.Attached())
	}
}

// A signature that has been tampered with must not be taken for one that is there already.
func TestDamagedIsNotReused(t *testing.T) {
	_, d := signtest.Image(t, "rebuilt")
	repo := &signtest.Memory{}
	mustSign(t, repo, d, "ours")
	for _, artifact := range repo.Remove(d.Digest) {
		repo.Put(d.Digest, tampered(t, d, artifact, func(e *envelope) { e.DSSE.Signatures[0].Sig[10] ^= 1 }))
	}
	if again := mustSign(t, repo, d, "ours"); again[0].Reused {
		t.Errorf("a damaged signature was reused: %+v", again)
	}
}

// One key, statement and time give one artifact, on every machine and in every build of the program: the
// digest is pinned. It may change only if what cosign expects to find changes.
func TestSigningIsDeterministic(t *testing.T) {
	_, d := signtest.Image(t, "rebuilt")
	opts := cosign.SignOptions{
		Signer:  signtest.Key(t, "ours"),
		Created: time.Date(2025, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600)),
	}
	record, err := cosign.Sign(t.Context(), &signtest.Memory{}, d, opts)
	if err != nil {
		t.Fatal(err)
	}
	const want = "sha256:5006481073ebbe05095597e2a42c646acf16c789546fc264110469e9ca092361"
	if got := record.Digest.String(); got != want {
		t.Errorf("referrer %s, want %s", got, want)
	}
}

// The referrer must be the one that cosign's own code writes for the same bundle.
func TestArtifactIsCosigns(t *testing.T) {
	image, d := signtest.Image(t, "rebuilt")
	memory := &signtest.Memory{}
	created := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	opts := cosign.SignOptions{Signer: signtest.Key(t, "ours"), Created: created}
	if _, err := cosign.Sign(t.Context(), memory, d, opts); err != nil {
		t.Fatal(err)
	}
	ours := memory.Remove(d.Digest)[0]

	repo := push(t, image, d, true)
	err := ociremote.WriteAttestationNewBundleFormat(
		repo.Repo.Digest(d.Digest.String()), bundleOf(t, ours), attest.PredicateSign)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := repo.Referrers(t.Context(), d.Digest)
	if err != nil || len(theirs) != 1 {
		t.Fatalf("cosign wrote %d referrers, %v", len(theirs), err)
	}
	want, got := manifest(t, theirs[0]), manifest(t, ours)
	for _, m := range []map[string]any{want, got} {
		annotations, ok := m["annotations"].(map[string]any)
		if !ok {
			t.Fatalf("no annotations in %v", m)
		}
		if _, err := time.Parse(time.RFC3339, fmt.Sprint(annotations["org.opencontainers.image.created"])); err != nil {
			t.Error(err)
		}
		delete(annotations, "org.opencontainers.image.created")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cosign's manifest (-) and ours (+):\n%s", diff)
	}
}

func manifest(t *testing.T, artifact v1.Image) map[string]any {
	t.Helper()
	raw, err := artifact.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAttestRefuses(t *testing.T) {
	_, d := signtest.Image(t, "rebuilt")
	_, other := signtest.Image(t, "other")
	signer := signtest.Key(t, "ours")
	tests := []struct {
		name      string
		subject   v1.Descriptor
		signer    cosign.Signer
		statement attest.Statement
		want      string
	}{
		{"no signer", d, nil, attest.Signature(d.Digest), "no key"},
		{"no media type", v1.Descriptor{Digest: d.Digest, Size: 1}, signer, attest.Signature(d.Digest), "media type"},
		{"no size", v1.Descriptor{Digest: d.Digest, MediaType: "x"}, signer, attest.Signature(d.Digest), "size"},
		{"another image", d, signer, attest.Signature(other.Digest), "not about"},
		{"not a statement", d, signer, attest.Statement{Subject: attest.Signature(d.Digest).Subject}, "invalid in-toto"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			repo := &signtest.Memory{}
			_, err := cosign.Attest(t.Context(), repo, tt.subject, cosign.SignOptions{Signer: tt.signer}, tt.statement)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if repo.Attached() != 0 {
				t.Error("something was attached")
			}
		})
	}
}

// failing is a repository of which one operation fails.
type failing struct {
	signtest.Memory
	after int
}

func (f *failing) Attach(ctx context.Context, subject v1.Descriptor, artifact v1.Image) error {
	if f.after == 0 {
		return io.ErrClosedPipe
	}
	f.after--
	return f.Memory.Attach(ctx, subject, artifact)
}

func TestAttestReportsWhatWasDone(t *testing.T) {
	_, d := signtest.Image(t, "rebuilt")
	repo := &failing{after: 1}
	records, err := cosign.Attest(t.Context(), repo, d, cosign.SignOptions{Signer: signtest.Key(t, "ours")},
		attest.Signature(d.Digest), sbom(t, d.Digest), provenance(t, d.Digest))
	if !errors.Is(err, io.ErrClosedPipe) || !strings.Contains(err.Error(), attest.PredicateSPDX) {
		t.Errorf("error %v", err)
	}
	if len(records) != 1 || records[0].PredicateType != attest.PredicateSign {
		t.Errorf("records %+v", records)
	}
}
