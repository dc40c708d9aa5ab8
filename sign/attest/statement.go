package attest

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// PayloadType is the media type of an encoded statement within a DSSE envelope.
const PayloadType = "application/vnd.in-toto+json"

// The statement types. New makes TypeV1; TypeV01 is what `cosign attest` of the 2.x series makes.
const (
	TypeV1  = "https://in-toto.io/Statement/v1"
	TypeV01 = "https://in-toto.io/Statement/v0.1"
)

// The predicate types that nanopatch makes or looks for.
const (
	// PredicateSign says no more than that the signer signed the image: cosign's image signature.
	PredicateSign = "https://sigstore.dev/cosign/sign/v1"
	// PredicateSPDX is an SPDX document in JSON.
	PredicateSPDX = "https://spdx.dev/Document"
	// PredicateCycloneDX is a CycloneDX document in JSON.
	PredicateCycloneDX = "https://cyclonedx.org/bom"
	// PredicateDiff is the SBOM diff between a source image and the rebuilt one.
	PredicateDiff = "https://nanopatch.dev/diff/v1"
	// PredicateRecord is what a run went by and what became of it: as long as all that is the same, another run would
	// come to the same.
	PredicateRecord = "https://nanopatch.dev/record/v1"
	// PredicateVEX is an OpenVEX document of any version: the type that cosign and vexctl attest it as.
	PredicateVEX = "https://openvex.dev/ns"
	// PredicateProvenance is SLSA provenance v1: see Provenance.
	PredicateProvenance = "https://slsa.dev/provenance/v1"
)

// Limits of what Parse reads and Encode writes. The subject limits are those of sigstore-go.
const (
	// MaxSize is the largest encoded statement, in bytes.
	MaxSize            = 48 << 20
	maxSubjects        = 1024
	maxSubjectDigests  = 32
	maxPredicateLength = 1024 // of a predicate type, in bytes
)

// ErrInvalid says that a statement is malformed, oversized or lacks a field that the specification asks for.
var ErrInvalid = errors.New("invalid in-toto statement")

// Statement is an in-toto statement: something said about the subjects.
type Statement struct {
	// Type is TypeV1, or TypeV01 in a parsed statement.
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	// Predicate is a JSON object; where the statement has none it is {}.
	Predicate json.RawMessage `json:"predicate"`
}

// Subject is what a statement is about. Only the digest identifies it.
type Subject struct {
	Name string `json:"name,omitempty"`
	// Digest maps an algorithm to a hexadecimal digest: "sha256": "9f86…".
	Digest map[string]string `json:"digest"`
}

// New makes a statement about the image with the given digest. The predicate is a JSON object.
func New(image v1.Hash, predicateType string, predicate json.RawMessage) (Statement, error) {
	st := Statement{
		Type:          TypeV1,
		Subject:       []Subject{{Digest: map[string]string{image.Algorithm: image.Hex}}},
		PredicateType: predicateType,
		Predicate:     predicate,
	}
	return st, st.validate()
}

// Signature is the statement that signs an image, as `cosign sign` makes it.
func Signature(image v1.Hash) Statement {
	return Statement{
		Type:          TypeV1,
		Subject:       []Subject{{Digest: map[string]string{image.Algorithm: image.Hex}}},
		PredicateType: PredicateSign,
		Predicate:     json.RawMessage("{}"),
	}
}

// About tells whether the image with the given digest is one of the subjects.
func (st Statement) About(image v1.Hash) bool {
	for _, s := range st.Subject {
		if hex, ok := s.Digest[image.Algorithm]; ok && hex == image.Hex {
			return true
		}
	}
	return false
}

// Encode returns the statement's one encoding: compact JSON, keys in a fixed order, the predicate's own
// keys in the order given. It returns ErrInvalid for a statement that Parse would refuse.
func (st Statement) Encode() ([]byte, error) {
	if err := st.validate(); err != nil {
		return nil, err
	}
	out, err := encode(st)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(out) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrInvalid, len(out), MaxSize)
	}
	return out, nil
}

// Parse reads a statement of either type. Fields that the specification does not name are ignored, as it
// asks. It returns ErrInvalid for anything that is not a statement.
func Parse(payload []byte) (Statement, error) {
	if len(payload) > MaxSize {
		return Statement{}, fmt.Errorf("%w: %d bytes, more than %d", ErrInvalid, len(payload), MaxSize)
	}
	if !utf8.Valid(payload) {
		return Statement{}, fmt.Errorf("%w: not UTF-8", ErrInvalid)
	}
	st, err := parse(payload)
	if err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return st, st.validate()
}

func parse(payload []byte) (Statement, error) {
	var st Statement
	fields, err := object(payload)
	if err != nil {
		return st, err
	}
	if err := decode(fields, "_type", &st.Type); err != nil {
		return st, err
	}
	if err := decode(fields, "predicateType", &st.PredicateType); err != nil {
		return st, err
	}
	st.Predicate = json.RawMessage("{}")
	if raw, ok := fields["predicate"]; ok && string(raw) != "null" {
		st.Predicate = raw
	}
	var subjects []json.RawMessage
	if err := decode(fields, "subject", &subjects); err != nil {
		return st, err
	}
	if len(subjects) > maxSubjects {
		return st, fmt.Errorf("%d subjects, more than %d", len(subjects), maxSubjects)
	}
	for _, raw := range subjects {
		s, err := parseSubject(raw)
		if err != nil {
			return st, err
		}
		st.Subject = append(st.Subject, s)
	}
	return st, nil
}

func parseSubject(raw []byte) (Subject, error) {
	var s Subject
	fields, err := object(raw)
	if err != nil {
		return s, fmt.Errorf("subject: %w", err)
	}
	if _, ok := fields["name"]; ok {
		if err := decode(fields, "name", &s.Name); err != nil {
			return s, fmt.Errorf("subject: %w", err)
		}
	}
	digests, err := object(fields["digest"])
	if err != nil {
		return s, fmt.Errorf("subject: digest: %w", err)
	}
	s.Digest = make(map[string]string, len(digests))
	for algorithm := range digests {
		var hex string
		if err := decode(digests, algorithm, &hex); err != nil {
			return s, fmt.Errorf("subject: digest: %w", err)
		}
		s.Digest[algorithm] = hex
	}
	return s, nil
}

func (st Statement) validate() error {
	switch {
	case st.Type != TypeV1 && st.Type != TypeV01:
		return fmt.Errorf("%w: type %.80q", ErrInvalid, st.Type)
	case st.PredicateType == "" || len(st.PredicateType) > maxPredicateLength:
		return fmt.Errorf("%w: predicate type of %d bytes", ErrInvalid, len(st.PredicateType))
	case len(st.Subject) == 0 || len(st.Subject) > maxSubjects:
		return fmt.Errorf("%w: %d subjects", ErrInvalid, len(st.Subject))
	}
	for _, s := range st.Subject {
		if len(s.Digest) == 0 || len(s.Digest) > maxSubjectDigests {
			return fmt.Errorf("%w: subject with %d digests", ErrInvalid, len(s.Digest))
		}
	}
	if !isObject(st.Predicate) {
		return fmt.Errorf("%w: the predicate is not a JSON object", ErrInvalid)
	}
	return nil
}
