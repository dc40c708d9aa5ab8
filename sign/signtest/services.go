package signtest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/go-openapi/runtime"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"
	_ "github.com/sigstore/rekor/pkg/types/dsse/v0.0.1" // what the tools let a log see
	_ "github.com/sigstore/rekor/pkg/types/hashedrekord/v0.0.1"
	_ "github.com/sigstore/rekor/pkg/types/intoto/v0.0.2"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// stampPath is where the timestamp authority answers (RFC 3161 over HTTP).
const stampPath = "/api/v1/timestamp"

// maxRequest bounds what a request to the instance holds, in bytes.
const maxRequest = 64 << 20

// handler answers as Fulcio does in both versions of its interface, Rekor in its first, and a timestamp authority.
func (s *Sigstore) handler() http.Handler {
	mux := http.NewServeMux()
	answer := func(pattern string, f func(w http.ResponseWriter, body []byte, r *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
			if err == nil {
				err = f(w, body, r)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		})
	}
	answer("POST /api/v1/signingCert", s.certifyV1)
	answer("POST /api/v2/signingCert", s.certifyV2)
	answer("POST /api/v1/log/entries", s.record)
	answer("POST "+stampPath, s.stamp)
	return mux
}

func (s *Sigstore) certifyV1(w http.ResponseWriter, body []byte, r *http.Request) error {
	var request struct {
		PublicKey struct {
			Content []byte `json:"content"`
		} `json:"publicKey"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return err
	}
	chain, err := s.certify(r, request.PublicKey.Content)
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	_, err = io.WriteString(w, strings.Join(chain, ""))
	return err
}

func (s *Sigstore) certifyV2(w http.ResponseWriter, body []byte, r *http.Request) error {
	var request struct {
		PublicKeyRequest struct {
			PublicKey struct {
				Content string `json:"content"`
			} `json:"publicKey"`
		} `json:"publicKeyRequest"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return err
	}
	chain, err := s.certify(r, []byte(request.PublicKeyRequest.PublicKey.Content))
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(map[string]any{
		"signedCertificateEmbeddedSct": map[string]any{"chain": map[string]any{"certificates": chain}},
	})
}

// certify issues a certificate for a key, in PEM and with those above it, to whom the request's token names.
func (s *Sigstore) certify(r *http.Request, key []byte) ([]string, error) {
	public, err := cryptoutils.UnmarshalPEMToPublicKey(key)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	if len(parts) != 3 {
		return nil, errors.New("no token")
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	var who struct {
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
	}
	if err := json.Unmarshal(claims, &who); err != nil {
		return nil, err
	}
	subject, err := url.Parse(who.Subject)
	if err != nil {
		return nil, err
	}
	issuer, err := asn1.MarshalWithParams(who.Issuer, "utf8")
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(s.now().UnixNano()), NotBefore: s.now().Add(-time.Minute), NotAfter: s.now().Add(10 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, URIs: []*url.URL{subject},
		// Fulcio's OIDs for the issuer, an old and a new one (https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md).
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(who.Issuer)},
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: issuer},
		},
	}, s.authority, public, s.authorityKey)
	if err != nil {
		return nil, err
	}
	var chain []string
	for _, raw := range [][]byte{der, s.authority.Raw, s.top.Raw} {
		chain = append(chain, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})))
	}
	return chain, nil
}

// record makes the log's entry of what is proposed. Each is alone in a tree of its own.
func (s *Sigstore) record(w http.ResponseWriter, body []byte, r *http.Request) error {
	proposed, err := models.UnmarshalProposedEntry(bytes.NewReader(body), runtime.JSONConsumer())
	if err != nil {
		return err
	}
	entry, err := types.CreateVersionedEntry(proposed)
	if err != nil {
		return err
	}
	canonical, err := types.CanonicalizeEntry(r.Context(), entry)
	if err != nil {
		return err
	}
	id, err := s.log.RekorLogID()
	if err != nil {
		return err
	}
	at, text := s.now().Add(s.Late).Unix(), base64.StdEncoding.EncodeToString(canonical)
	promise, err := s.log.RekorSignPayload(tlog.RekorPayload{Body: text, IntegratedTime: at, LogID: id})
	if err != nil {
		return err
	}
	proof, err := s.log.GetInclusionProof(canonical)
	if err != nil {
		return err
	}
	leaf := sha256.Sum256(append([]byte{0}, canonical...))
	uuid := hex.EncodeToString(leaf[:])
	w.Header().Set("Content-Type", "application/json")
	s.logged.Add(1)
	w.Header().Set("ETag", uuid)
	w.Header().Set("Location", r.URL.Path+"/"+uuid)
	w.WriteHeader(http.StatusCreated)
	return json.NewEncoder(w).Encode(map[string]any{uuid: map[string]any{
		"body": text, "integratedTime": at, "logIndex": 0, "logID": id,
		"verification": map[string]any{"signedEntryTimestamp": promise, "inclusionProof": proof},
	}})
}

// stamp says when it saw a hash.
func (s *Sigstore) stamp(w http.ResponseWriter, body []byte, _ *http.Request) error {
	request, err := timestamp.ParseRequest(body)
	if err != nil {
		return fmt.Errorf("timestamp query: %w", err)
	}
	stamp := timestamp.Timestamp{
		HashAlgorithm: request.HashAlgorithm, HashedMessage: request.HashedMessage, Nonce: request.Nonce,
		Time: s.now().Add(s.Late), Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2},
		AddTSACertificate: request.Certificates,
	}
	answer, err := stamp.CreateResponseWithOpts(s.stamper, s.stamperKey, crypto.SHA256)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, err = w.Write(answer)
	return err
}
