package debscript_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// selfSigned makes a certificate with a subject.
func selfSigned(t *testing.T, serial int64, subject pkix.Name) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: subject, NotBefore: now, NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestRehash compares with the real openssl: new, old, stale and colliding links, files with no or several certificates, strings
// of several kinds in names.
func TestRehash(t *testing.T) {
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skipf("the oracle is openssl itself, and there is none: %v", err)
	}
	one, other := pkix.Name{CommonName: "One  Root CA ", Organization: []string{"Ünïcode Örg"}}, pkix.Name{CommonName: "other"}
	bmp := pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
		{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: asn1.RawValue{Tag: asn1.TagBMPString, Bytes: []byte{0, 'A', 1, 0x5a, 0, 'b'}}},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: asn1.RawValue{Tag: asn1.TagT61String, Bytes: []byte{'C', 0xe9}}},
	}}
	files := map[string]string{
		"one.pem": selfSigned(t, 1, one), "other.crt": selfSigned(t, 3, other), "bmp.pem": selfSigned(t, 4, bmp),
		"empty.pem": "no certificate\n", "note.txt": selfSigned(t, 5, other), "12345678.0": "-> gone.pem", "0a0b0c0d.1": "-> one.pem",
	}
	files["two.pem"] = files["one.pem"] + files["other.crt"]
	dir := t.TempDir()
	inTree := map[string]string{"usr/bin/openssl": "ELF"}
	for name, text := range files {
		inTree["etc/ssl/certs/"+name] = text
		if target, link := strings.CutPrefix(text, "-> "); link {
			err = os.Symlink(target, filepath.Join(dir, name))
		} else {
			err = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tr := tree(t, inTree)
	for _, added := range []string{"", "third.pem"} { // a second run finds the first one's links
		if added != "" {
			text := selfSigned(t, 6, one) // of one hash with one.pem
			if err := os.WriteFile(filepath.Join(dir, added), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := tr.WriteFile("/etc/ssl/certs/"+added, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.CommandContext(t.Context(), program, "rehash", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if _, err := postinst(t, tr, "cd /etc/ssl/certs; openssl rehash . >/dev/null"); err != nil {
			t.Fatal(err)
		}
		names, err := tr.ReadDir("/etc/ssl/certs")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, name := range names {
			target, _ := tr.Readlink("/etc/ssl/certs/" + name)
			got = append(got, fmt.Sprintf("%s -> %s", name, target))
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, e := range entries {
			target, _ := os.Readlink(filepath.Join(dir, e.Name()))
			want = append(want, fmt.Sprintf("%s -> %s", e.Name(), target))
		}
		if !slices.Equal(got, want) {
			t.Errorf("links are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
