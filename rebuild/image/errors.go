package image

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// The kinds of an [Error]; test with errors.Is.
var (
	// ErrUsage says that what was asked makes no sense: a malformed reference, a platform the image does not have.
	ErrUsage = errors.New("wrong usage")
	// ErrNotFound says that there is no such image, tag or blob.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized says that the registry or the file system refuses access.
	ErrUnauthorized = errors.New("access refused")
	// ErrUnreachable says that the registry does not answer, or not usefully, after retries.
	ErrUnreachable = errors.New("unreachable")
	// ErrImmutableTag says that a tag names another image and the registry does not let it move.
	ErrImmutableTag = errors.New("immutable tag")
	// ErrVerification says that content differs from the digest or size by which it was asked for.
	ErrVerification = errors.New("verification failed")
	// ErrInvalid says that an image contradicts itself.
	ErrInvalid = errors.New("invalid image")
	// ErrUnsupported says that an image is of a sort that is refused: schema 1, encrypted layers, not an image at all.
	ErrUnsupported = errors.New("unsupported image")
)

// Error is what went wrong with one image. Its text is one line.
type Error struct {
	// Kind is one of the Err… values of this package.
	Kind error
	// Ref is the image, as the user wrote it where possible.
	Ref string
	// What happened, without the reference.
	What string
	// Hint says what to do next; it may be empty.
	Hint string
	// Cause is the underlying error; it may be nil. The text does not repeat it: What says what matters of it.
	Cause error
}

func (e *Error) Error() string {
	text := e.Ref + ": " + e.What
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return oneLine(text)
}

// Unwrap gives the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

func usageError(ref, what, hint string) *Error {
	return &Error{Kind: ErrUsage, Ref: ref, What: what, Hint: hint}
}

func invalidError(ref, format string, args ...any) *Error {
	return &Error{Kind: ErrInvalid, Ref: ref, What: fmt.Sprintf(format, args...)}
}

// registryError gives an error of go-containerregistry or net/http its kind, and a text for people. host is the
// registry's. What is typed already and a cancelled context pass unchanged.
func registryError(ctx context.Context, ref, host string, err error) error {
	var typed *Error
	var request *url.Error
	if errors.As(err, &request) && errors.As(request.Err, &typed) {
		return typed // such as a bad certificate file, which no URL explains
	}
	if err == nil || errors.As(err, &typed) {
		return err
	}
	var source *sourceError
	if errors.As(err, &source) {
		ref, host, err = source.ref, source.host, source.err
	}
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%s: %w", ref, cause)
	}
	// go-containerregistry asks a loopback registry by HTTPS and HTTP: the error holds what both said. A certificate
	// matters more than the answer of a TLS port to plain HTTP, and any answer more than the lack of TLS.
	var answer *transport.Error
	var plain *plainHTTPError
	var authority x509.UnknownAuthorityError
	var certificate *tls.CertificateVerificationError
	var mirror *mirrorError
	switch {
	case errors.As(err, &authority):
		return &Error{
			Kind: ErrUnreachable, Ref: ref, Cause: err, What: "the registry's certificate is signed by an unknown authority",
			Hint: "name that authority's certificate with --ca-cert FILE",
		}
	case errors.As(err, &certificate):
		return &Error{
			Kind: ErrUnreachable, Ref: ref, Cause: err, What: "the registry's certificate is not valid: " + certificate.Err.Error(),
			Hint: "check the host name and the registry's set-up",
		}
	case errors.As(err, &answer):
		return answerError(ref, host, answer, err)
	case isSchemeMismatch(err), errors.As(err, &plain):
		if plain != nil {
			host = plain.host
		}
		return &Error{
			Kind: ErrUnreachable, Ref: ref, Cause: err, What: host + " speaks plain HTTP, which is not allowed",
			Hint: "allow it with --insecure-registry " + host,
		}
	case errors.As(err, &mirror):
		return &Error{Kind: ErrVerification, Ref: ref, Cause: err, What: "a layer is not what it should be: " + err.Error()}
	case isNetwork(err):
		return &Error{
			Kind: ErrUnreachable, Ref: ref, Cause: err, What: "registry unreachable: " + networkText(err),
			Hint: "check the name, that the registry is up, and HTTPS_PROXY where a proxy is needed",
		}
	}
	return fmt.Errorf("%s: %w", ref, err)
}

// answerError classifies what a registry answered.
func answerError(ref, host string, answer *transport.Error, err error) *Error {
	e := &Error{Ref: ref, Cause: err, Kind: ErrUnreachable}
	said := answerText(answer)
	switch code := answer.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.Kind = ErrUnauthorized
		e.What = "access refused (" + said + ")"
		e.Hint = "check the name, and log in: " + login(host)
	case code == http.StatusNotFound:
		e.Kind = ErrNotFound
		e.What = "not found (" + said + ")"
		e.Hint = "check the repository's name and the tag or digest"
	case code == http.StatusTooManyRequests:
		e.What = "the registry is limiting requests (" + said + ")"
		e.Hint = "wait, or log in for a higher limit: " + login(host)
	case code >= http.StatusInternalServerError:
		e.What = "the registry fails (" + said + ")"
		e.Hint = "try again later"
	default:
		e.What = "the registry refuses the request (" + said + ")"
	}
	return e
}

// login is the command whose result authn.DefaultKeychain finds.
func login(host string) string {
	if host == name.DefaultRegistry {
		return "docker login"
	}
	return "docker login " + host
}

// answerText is a registry's answer in a few words. It is the registry's text, so it is cut to a harmless line.
func answerText(answer *transport.Error) string {
	text := strconv.Itoa(answer.StatusCode) + " " + http.StatusText(answer.StatusCode)
	if len(answer.Errors) > 0 {
		d := answer.Errors[0]
		text = fmt.Sprintf("%d %s: %s", answer.StatusCode, d.Code, d.Message)
	}
	return oneLine(text)
}

// isNetwork tells whether an error comes from the connection and not from what was said over it. It goes by types, for
// every errno of the file system is a net.Error too.
func isNetwork(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	var urlErr *url.Error
	var request *requestError
	var permanent *permanentError
	if errors.As(err, &permanent) {
		return false
	}
	return errors.As(err, &op) || errors.As(err, &dns) || errors.As(err, &urlErr) || errors.As(err, &request) || isBroken(err)
}

// isContent tells whether an error is about what was read: it is neither the connection's nor an answer of the registry.
func isContent(err error) bool {
	var typed *Error
	var answer *transport.Error
	return !errors.As(err, &typed) && !errors.As(err, &answer) && !isNetwork(err)
}

// isSchemeMismatch tells whether a server answered TLS with plain HTTP. net/http says so itself only where nothing wraps
// the transport's errors.
func isSchemeMismatch(err error) bool {
	var record tls.RecordHeaderError
	return errors.Is(err, http.ErrSchemeMismatch) ||
		errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/"
}

// isCertificate tells whether a TLS peer is not to be trusted.
func isCertificate(err error) bool {
	var authority x509.UnknownAuthorityError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &authority) || errors.As(err, &certificate)
}

// networkText drops the "Get https://…:" that net/http puts in front, and with it query strings that carry secrets.
func networkText(err error) string {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		return urlErr.Err.Error()
	}
	return err.Error()
}

const maxErrorText = 500

// oneLine makes a text from elsewhere safe to print: no control characters, no novels.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxErrorText {
		s = strings.ToValidUTF8(s[:maxErrorText], "") + "…"
	}
	return s
}
