package cosign

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/sign/attest"
)

// The names of checks; part of the JSON output.
const (
	// CheckSigned is that the image carries a valid statement of the sign predicate. There is one per report.
	CheckSigned = "signed"
	// CheckAttested is that it carries a valid attestation: one for each there is, and one that failed for
	// each required predicate type that there is none of.
	CheckAttested = "attested"
	// CheckBundle fails for what cannot be read as a bundle and statement.
	CheckBundle = "bundle"
	// CheckSignature fails for a bundle that names the key and is not what the key signed.
	CheckSignature = "signature"
	// CheckSubject fails for what the key signed about another image.
	CheckSubject = "subject"
)

// Report is what a verification found.
type Report struct {
	Subject v1.Hash `json:"subject"`
	// KeyID is the key that was verified against: see Verifier.KeyID.
	KeyID string `json:"keyId"`
	// Identity is who was verified against where that is no key.
	Identity *Identity `json:"identity,omitempty"`
	// Signatures and Attestations are the valid ones, ordered by predicate type and digest.
	Signatures   []Signature   `json:"signatures"`
	Attestations []Attestation `json:"attestations"`
	// Ignored are referrers that count neither for nor against the image, above all those of other keys.
	Ignored []Ignored `json:"ignored,omitempty"`
	Checks  []Check   `json:"checks"`
	// Notes say what was not looked at, and why; whoever verifies further adds to them, as to Checks.
	Notes []string `json:"notes,omitempty"`
}

// NewCheck is one line of a verification; the detail is made printable.
func NewCheck(name string, ok bool, format string, args ...any) Check {
	return Check{Name: name, OK: ok, Detail: printable(fmt.Sprintf(format, args...))}
}

// Blank is a report of the same subject and statements without any checks.
func (r *Report) Blank() *Report {
	out := *r
	out.Checks, out.Notes = nil, nil
	return &out
}

// SignedAt is the latest time at which a log or a timestamp authority saw a signature of the image, zero where none did.
func (r *Report) SignedAt() time.Time {
	var latest time.Time
	for _, s := range r.Signatures {
		if s.Time != nil && s.Time.After(latest) {
			latest = *s.Time
		}
	}
	return latest
}

// Signature is a valid signature of the image.
type Signature struct {
	// Digest is that of the referrer's manifest.
	Digest v1.Hash `json:"digest"`
	// Time is when a transparency log or timestamp authority saw it; nil where none vouches for one.
	Time *time.Time `json:"time,omitempty"`
}

// Attestation is a valid statement other than a signature.
type Attestation struct {
	PredicateType string `json:"predicateType"`
	// Digest is that of the referrer's manifest.
	Digest    v1.Hash          `json:"digest"`
	Statement attest.Statement `json:"-"`
}

// Ignored is a referrer that the verification did not use.
type Ignored struct {
	Digest v1.Hash `json:"digest"`
	Reason string  `json:"reason"`
}

// Check is one line of a verification.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Detail is one line for a person, free of control characters.
	Detail string `json:"detail"`
}

// Statements returns the valid statements of one predicate type, for what reads them further.
func (r *Report) Statements(predicateType string) []attest.Statement {
	var list []attest.Statement
	for _, a := range r.Attestations {
		if a.PredicateType == predicateType {
			list = append(list, a.Statement)
		}
	}
	return list
}

// ErrVerification is what every VerificationError is.
var ErrVerification = errors.New("verification failed")

// VerificationError says which checks an image failed.
type VerificationError struct {
	Subject v1.Hash
	Failed  []Check
}

func (e *VerificationError) Error() string {
	const shown = 3
	var b strings.Builder
	fmt.Fprintf(&b, "%v: image %s", ErrVerification, e.Subject)
	for i, c := range e.Failed {
		if i == shown {
			fmt.Fprintf(&b, "; and %d more", len(e.Failed)-shown)
			break
		}
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s: %s", sep, c.Name, c.Detail)
	}
	return b.String()
}

// Is makes errors.Is(err, ErrVerification) true.
func (e *VerificationError) Is(target error) bool { return target == ErrVerification }

// newReport draws the conclusions from the findings.
func newReport(subject v1.Hash, v *Verifier, findings []finding, required []string) *Report {
	findings = slices.Clone(findings)
	slices.SortFunc(findings, func(a, b finding) int {
		return cmp.Or(
			cmp.Compare(a.statement.PredicateType, b.statement.PredicateType),
			cmp.Compare(a.digest.String(), b.digest.String()),
		)
	})
	r := &Report{Subject: subject, KeyID: v.KeyID(), Identity: v.Identity(), Signatures: []Signature{}, Attestations: []Attestation{}}
	var checks []Check
	var broken []finding
	for _, f := range findings {
		switch {
		case f.verdict == malformed:
			broken = append(broken, f)
		case f.verdict == failed:
			checks = append(checks, Check{Name: f.check, Detail: f.String()})
		case f.verdict == ignored:
			r.Ignored = append(r.Ignored, Ignored{Digest: f.digest, Reason: f.detail})
		case f.statement.PredicateType == attest.PredicateSign:
			r.Signatures = append(r.Signatures, Signature{Digest: f.digest, Time: f.time})
		default:
			kind := f.statement.PredicateType
			r.Attestations = append(r.Attestations, Attestation{PredicateType: kind, Digest: f.digest, Statement: f.statement})
			checks = append(checks, Check{Name: CheckAttested, OK: true, Detail: printable(kind)})
		}
	}
	for _, kind := range required {
		if kind != attest.PredicateSign && len(r.Statements(kind)) == 0 {
			checks = append(checks, Check{Name: CheckAttested, Detail: "no valid attestation of " + printable(kind)})
		}
	}
	r.Checks = append([]Check{r.signed()}, checks...)
	r.settle(broken)
	return r
}

// settle says what malformed entries mean, after all else: they take nothing away from what suffices without them.
func (r *Report) settle(broken []finding) {
	suffices := r.err() == nil
	for _, f := range broken {
		if suffices {
			r.Ignored = append(r.Ignored, Ignored{Digest: f.digest, Reason: f.detail})
		} else {
			r.Checks = append(r.Checks, Check{Name: f.check, Detail: f.String()})
		}
	}
}

// by is whom the report trusts.
func (r *Report) by() string {
	if r.Identity != nil {
		return r.Identity.String()
	}
	return "key " + r.KeyID
}

func (r *Report) signed() Check {
	if len(r.Signatures) > 0 {
		return Check{Name: CheckSigned, OK: true, Detail: "by " + r.by()}
	}
	return Check{Name: CheckSigned, Detail: fmt.Sprintf(
		"no signature by %s (it made %d attestations, which do not sign the image; %d referrers are not its own)",
		r.by(), len(r.Attestations), len(r.Ignored))}
}

// err is nil if every check passed.
func (r *Report) err() error {
	bad := slices.Clone(r.Checks)
	bad = slices.DeleteFunc(bad, func(c Check) bool { return c.OK })
	if len(bad) == 0 {
		return nil
	}
	return &VerificationError{Subject: r.Subject, Failed: bad}
}

// printable makes one line of bounded length out of text that an attacker may have written.
func printable(s string) string {
	const most = 300
	runes := []rune(s)
	if len(runes) > most {
		runes = append(runes[:most], '…')
	}
	for i, c := range runes {
		if !unicode.IsPrint(c) {
			runes[i] = '?'
		}
	}
	return string(runes)
}
