package debscript

import (
	"archive/tar"
	"bytes"
	"crypto/sha1" //nolint:gosec // names of OpenSSL's certificate directories, no security
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// openssl knows "openssl rehash DIRECTORY", which makes links to certificates by the hashes of their subjects.
func openssl(p *script.Process) (int, error) {
	if len(p.Args) < 3 || p.Args[1] != "rehash" {
		return 0, p.Unknownf("is not modelled")
	}
	args := p.Args[2:]
	if args[0] == "-v" && !p.Captured() {
		args = args[1:]
	}
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	return rehash(p, strings.TrimRight(args[0], "/"))
}

// bucket are the certificates of one subject hash (struct bucket_st in OpenSSL's apps/rehash.c).
type bucket struct {
	entries []*hashed
	needed  int
}

// hashed is a certificate's file: the number of the link to it, -1 if there is none.
type hashed struct {
	name   string
	digest [sha1.Size]byte
	number int
	needed bool
}

var hashLink = regexp.MustCompile(`^([0-9a-fA-F]{8})\.(r?)([0-9]+)$`)

// rehash is do_dir in OpenSSL's apps/rehash.c: links that are right stay with their numbers, missing ones are made with the
// lowest that is free, and those that nothing needs are removed. Where certificates have one hash, OpenSSL numbers them in
// the order in which the file system lists them; here it is that of their names.
func rehash(p *script.Process, dir string) (int, error) {
	names, err := p.Tree().ReadDir(p.Abs(dir))
	if err != nil {
		return p.FailFile(1, dir, err)
	}
	buckets := make(map[uint32]*bucket)
	for _, name := range names {
		if err := p.Step(); err != nil {
			return 0, err
		}
		if err := addFile(p, dir, name, buckets); err != nil {
			return 0, err
		}
	}
	hashes := make([]uint32, 0, len(buckets))
	for h := range buckets {
		hashes = append(hashes, h)
	}
	slices.Sort(hashes)
	for _, h := range hashes {
		if err := buckets[h].link(p, dir, h); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// addFile sorts one name of the directory into the buckets.
func addFile(p *script.Process, dir, name string, buckets map[uint32]*bucket) error {
	full := p.Abs(path.Join(dir, name))
	_, e, err := p.Tree().Lstat(full)
	if err != nil {
		return known(err)
	}
	if m := hashLink.FindStringSubmatch(name); m != nil && e.Type == tar.TypeSymlink {
		target, err := p.Tree().Readlink(full)
		if err != nil {
			return err
		}
		number, err := strconv.Atoi(m[3])
		if m[2] != "" || err != nil {
			return p.Unknownf("finds a list of revoked certificates, %s", name)
		}
		hash, err := strconv.ParseUint(m[1], 16, 32)
		if err != nil {
			return err
		}
		add(buckets, uint32(hash), &hashed{name: target, number: number})
		return nil
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".pem", ".crt", ".cer":
	case ".crl":
		return p.Unknownf("finds a list of revoked certificates, %s", name)
	default:
		return nil
	}
	data, err := p.Tree().ReadFile(full)
	if err != nil {
		return known(err) // a link that leads nowhere is passed over
	}
	if err := p.Spend(len(data)); err != nil {
		return err
	}
	der, err := onlyCertificate(data)
	if err != nil || der == nil {
		return unknownFor(p, name, err)
	}
	hash, err := subjectHash(der)
	if err != nil {
		return unknownFor(p, name, err)
	}
	add(buckets, hash, &hashed{name: name, digest: sha1.Sum(der), number: -1, needed: true}) //nolint:gosec // see the import
	return nil
}

func unknownFor(p *script.Process, name string, err error) error {
	if err == nil {
		return nil
	}
	return p.Unknownf("reads the certificate %s: %v", name, err)
}

// add is add_entry.
func add(buckets map[uint32]*bucket, hash uint32, e *hashed) {
	b := buckets[hash]
	if b == nil {
		b = &bucket{}
		buckets[hash] = b
	}
	var found *hashed
	for _, old := range b.entries {
		if e.needed && old.needed && old.digest == e.digest {
			return // a second file of one certificate
		}
		if old.name == e.name {
			found = old
		}
	}
	if found == nil {
		found = &hashed{name: e.name, number: -1}
		b.entries = append(b.entries, found)
	}
	if e.number >= 0 && (found.number < 0 || e.number < found.number) {
		found.number = e.number
	}
	if e.needed && !found.needed {
		found.needed, found.digest = true, e.digest
		b.needed++
	}
}

// link makes and removes the links of one hash.
func (b *bucket) link(p *script.Process, dir string, hash uint32) error {
	used := make(map[int]bool)
	for _, e := range b.entries {
		used[e.number] = e.number >= 0 && e.number < b.needed
	}
	next := 0
	for _, e := range b.entries {
		name := func(n int) string { return p.Abs(path.Join(dir, fmt.Sprintf("%08x.%d", hash, n))) }
		switch {
		case e.number >= 0 && e.number < b.needed: // as it is
		case e.needed:
			for used[next] {
				next++
			}
			used[next] = true
			if err := p.Tree().Remove(name(next), false); known(err) != nil {
				return err
			}
			if err := p.Tree().Symlink(e.name, name(next)); err != nil {
				return p.Unknownf("links %s: %v", name(next), err)
			}
		default:
			if err := p.Tree().Remove(name(e.number), false); known(err) != nil {
				return err
			}
		}
	}
	return nil
}

// onlyCertificate gives the certificate of a file that holds exactly one, nil for any other.
func onlyCertificate(data []byte) ([]byte, error) {
	var found []byte
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return found, nil
		}
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE":
			if found != nil {
				return nil, nil
			}
			found = block.Bytes
		case "TRUSTED CERTIFICATE", "X509 CRL":
			return nil, fmt.Errorf("it holds a %s", block.Type)
		}
	}
}

// certificate is the beginning of X.509's structure, up to the subject (RFC 5280, section 4.1).
type certificate struct {
	TBS struct {
		Version   int `asn1:"optional,explicit,default:0,tag:0"`
		Serial    *big.Int
		Signature pkix.AlgorithmIdentifier
		Issuer    asn1.RawValue
		Validity  asn1.RawValue
		Subject   asn1.RawValue
	}
}

// subjectHash is X509_NAME_hash of OpenSSL: the first four bytes, little endian, of the SHA-1 of the subject's canonical
// encoding (x509_name_canon in crypto/x509/x_name.c): all strings as UTF-8, in lower case, runs of blanks made one and those at
// the ends dropped; without the outer SEQUENCE.
func subjectHash(der []byte) (uint32, error) {
	var cert certificate
	if _, err := asn1.Unmarshal(der, &cert); err != nil {
		return 0, err
	}
	var name []asn1.RawValue
	if _, err := asn1.Unmarshal(cert.TBS.Subject.FullBytes, &name); err != nil {
		return 0, err
	}
	var canonical bytes.Buffer
	for _, set := range name {
		var attributes []struct {
			ID    asn1.ObjectIdentifier
			Value asn1.RawValue
		}
		if _, err := asn1.UnmarshalWithParams(set.FullBytes, &attributes, "set"); err != nil {
			return 0, err
		}
		for i, a := range attributes {
			text, is, err := directoryString(a.Value)
			if err != nil {
				return 0, err
			}
			if is {
				words := strings.FieldsFunc(strings.Map(asciiLower, text), func(c rune) bool { return strings.ContainsRune(" \t\n\v\f\r", c) })
				attributes[i].Value = asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(strings.Join(words, " "))}
			}
		}
		encoded, err := asn1.MarshalWithParams(attributes, "set")
		if err != nil {
			return 0, err
		}
		canonical.Write(encoded)
	}
	sum := sha1.Sum(canonical.Bytes()) //nolint:gosec // see the import
	return binary.LittleEndian.Uint32(sum[:4]), nil
}

// directoryString reads the kinds of strings that OpenSSL brings into one form (ASN1_MASK_CANON).
func directoryString(v asn1.RawValue) (text string, is bool, err error) {
	const tagVisible, tagUniversal = 26, 28
	if v.Class != asn1.ClassUniversal {
		return "", false, nil
	}
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, tagVisible:
		return string(v.Bytes), true, nil
	case asn1.TagT61String: // taken for Latin-1
		runes := make([]rune, len(v.Bytes))
		for i, b := range v.Bytes {
			runes[i] = rune(b)
		}
		return string(runes), true, nil
	case asn1.TagBMPString:
		if len(v.Bytes)%2 != 0 {
			return "", false, errors.New("a BMPString of odd length")
		}
		units := make([]uint16, len(v.Bytes)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(v.Bytes[2*i:])
		}
		return string(utf16.Decode(units)), true, nil
	case tagUniversal:
		return "", false, errors.New("a UniversalString")
	}
	return "", false, nil
}

func asciiLower(c rune) rune {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
