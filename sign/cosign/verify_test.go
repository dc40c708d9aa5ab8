package cosign_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
	"github.com/nanopatch/nanopatch/sign/signtest"
)

// scene is an image with a signature and an SBOM by key "ours", which cases spoil.
type scene struct {
	image, other    v1.Descriptor
	repo            *signtest.Memory
	signature, sbom v1.Image
}

func newScene(t testing.TB) *scene {
	t.Helper()
	s := &scene{repo: &signtest.Memory{}}
	_, s.image = signtest.Image(t, "rebuilt")
	_, s.other = signtest.Image(t, "other")
	mustSign(t, s.repo, s.image, "ours", sbom(t, s.image.Digest))
	list := s.repo.Remove(s.image.Digest)
	s.signature, s.sbom = list[0], list[1]
	return s
}

// put attaches artifacts to the image.
func (s *scene) put(artifacts ...v1.Image) {
	for _, a := range artifacts {
		s.repo.Put(s.image.Digest, a)
	}
}

// by signs a statement with a key and returns the artifact.
func (s *scene) by(t testing.TB, key string, about v1.Descriptor, st attest.Statement) v1.Image {
	t.Helper()
	repo := &signtest.Memory{}
	_, err := cosign.Attest(t.Context(), repo, about, cosign.SignOptions{Signer: signtest.Key(t, key)}, st)
	if err != nil {
		t.Fatal(err)
	}
	return repo.Remove(about.Digest)[0]
}

func TestVerifyRefuses(t *testing.T) {
	for _, tt := range spoiled {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			tt.spoil(t, s)
			got, report := failures(t, s.repo, s.image.Digest, "ours", attest.PredicateSPDX)
			if got != tt.want {
				t.Errorf("failed checks %q, want %q\n%+v", got, tt.want, report.Checks)
			}
			for _, c := range report.Checks {
				if strings.ContainsAny(c.Detail, "\n\x1b") {
					t.Errorf("detail with control characters: %q", c.Detail)
				}
			}
		})
	}
}

// What is not ours counts neither for nor against the image.
func TestVerifyIgnores(t *testing.T) {
	s := newScene(t)
	theirs := s.by(t, "theirs", s.image, attest.Signature(s.image.Digest))
	message, err := json.Marshal(map[string]any{
		"mediaType":            bundleType,
		"verificationMaterial": map[string]any{"publicKey": map[string]any{"hint": "x"}},
		"messageSignature": map[string]any{
			"messageDigest": map[string]any{"algorithm": "SHA2_256", "digest": "AAAA"},
			"signature":     "AAAA",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.put(s.signature, s.sbom, theirs,
		tampered(t, s.image, s.signature, func(e *envelope) { setCertificate(t, e) }),
		signtest.Artifact(t, s.image, message, bundleType),
		signtest.Artifact(t, s.image, []byte("{}"), "application/vnd.example.scan+json"))
	got, report := failures(t, s.repo, s.image.Digest, "ours", attest.PredicateSPDX)
	if got != "" {
		t.Fatalf("failed checks: %s", got)
	}
	if len(report.Signatures) != 1 || len(report.Attestations) != 1 || len(report.Ignored) != 4 {
		t.Errorf("report %+v", report)
	}
	reasons := ""
	for _, i := range report.Ignored {
		reasons += i.Reason + "\n"
	}
	for _, want := range []string{"another key", "with a certificate", "makes no statement", "not a signature bundle"} {
		if !strings.Contains(reasons, want) {
			t.Errorf("no reason with %q in %s", want, reasons)
		}
	}
	// The same image, seen by the other key.
	if got, _ := failures(t, s.repo, s.image.Digest, "theirs"); got != "" {
		t.Errorf("with the other key: %s", got)
	}
	if got, _ := failures(t, s.repo, s.image.Digest, "theirs", attest.PredicateSPDX); got != cosign.CheckAttested {
		t.Errorf("with the other key, SBOM required: %q", got)
	}
}

// The hint is a hint: a bundle of ours without one, or with one in another tool's form, is still ours.
func TestHintDoesNotMatter(t *testing.T) {
	for _, hint := range []string{"", "key 1"} {
		s := newScene(t)
		s.put(tampered(t, s.image, s.signature, func(e *envelope) { setHint(e, hint) }))
		if got, _ := failures(t, s.repo, s.image.Digest, "ours"); got != "" {
			t.Errorf("hint %q: failed checks %s", hint, got)
		}
	}
}

func TestVerifyFailsClosed(t *testing.T) {
	s := newScene(t)
	s.put(s.signature)
	report, err := cosign.Verify(t.Context(), s.repo, s.image.Digest, cosign.VerifyOptions{})
	if !errors.Is(err, cosign.ErrNoVerifier) || report != nil {
		t.Errorf("without a key: %+v, %v", report, err)
	}
	opts := cosign.VerifyOptions{Verifier: signtest.Verifier(t, "ours")}
	if _, err := cosign.Verify(t.Context(), s.repo, v1.Hash{}, opts); err == nil {
		t.Error("without a digest: passed")
	}
}

// A registry that does not answer is not an image that fails to verify: the exit codes differ.
func TestUnreachableIsNoVerdict(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	repo, err := name.NewRepository(listener.Addr().String()+"/base", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	s := newScene(t)
	opts := cosign.VerifyOptions{Verifier: signtest.Verifier(t, "ours")}
	report, err := cosign.Verify(t.Context(), &signtest.Remote{Repo: repo}, s.image.Digest, opts)
	if err == nil || errors.Is(err, cosign.ErrVerification) || report != nil {
		t.Errorf("report %+v, error %v", report, err)
	}

	busy := &transport.Error{StatusCode: http.StatusServiceUnavailable}
	s.put(s.signature, swapped{Image: s.sbom, err: busy})
	if _, err := cosign.Verify(t.Context(), s.repo, s.image.Digest, opts); !errors.Is(err, busy) {
		t.Errorf("a registry that is busy: %v", err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cosign.Verify(canceled, s.repo, s.image.Digest, opts); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	s := newScene(f)
	f.Add(bundleOf(f, s.signature))
	f.Add(bundleOf(f, s.by(f, "theirs", s.image, attest.Signature(s.image.Digest))))
	f.Add([]byte(`{"mediaType":"` + bundleType + `","verificationMaterial":{"certificate":{"rawBytes":"AAAA"}},"dsseEnvelope":{}}`))
	f.Add([]byte(`{"mediaType":"` + bundleType + `","verificationMaterial":{"publicKey":{},"tlogEntries":[{}]},"dsseEnvelope":{"signatures":[{}]}}`))
	f.Fuzz(func(t *testing.T, bundle []byte) {
		repo := &signtest.Memory{}
		repo.Put(s.image.Digest, signtest.Artifact(t, s.image, bundle, bundleType))
		got, report := failures(t, repo, s.image.Digest, "ours")
		if got != "" {
			return
		}
		// Only what says the same in other words may pass: the signed payload is untouched.
		var e envelope
		if err := json.Unmarshal(bundle, &e); err != nil {
			t.Skip("protojson reads base64 and key names that encoding/json does not")
		}
		if want := payloadOf(t, s.signature); !bytes.Equal(e.DSSE.Payload, want) || len(report.Signatures) != 1 {
			t.Fatalf("passed with payload %q", e.DSSE.Payload)
		}
	})
}
