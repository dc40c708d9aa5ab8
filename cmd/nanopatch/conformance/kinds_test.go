//go:build e2e

package conformance

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/stargz-snapshotter/estargz"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// kind is a sort of layer: what is in it besides the packages, and how it is packed.
type kind struct {
	name    string
	entries func(w *tar.Writer) error
	pack    func(t *testing.T, plain []byte) packed
	// there are the files that a reader must find, with what must be so of each; gone are those that it must not.
	there map[string]func(file) bool
	gone  []string
	// note is what the report must say of the rewritten layer.
	note string
	// trouble are the tools that are known to fail at the source too; where another fails the result is to blame.
	trouble []string
	// above says that the layer above the rewritten one is of this kind even where it cannot be had from a registry.
	above bool
}

// packed is a layer's blob and what its descriptor says.
type packed struct {
	blob        []byte
	media       types.MediaType
	annotations map[string]string
	urls        []string
	// empty puts a layer of nothing under it and above it, twice the same.
	empty bool
}

// below are files of the lowest layer, for the layer above to hide.
var below = []tar.Header{
	regular("srv/hidden", "below"), regular("srv/opaque/hidden", "below"), regular("srv/replaced/hidden", "below"),
}

// kinds are all sorts. urls serves blobs, for layers that are not to be distributed.
func kinds(urls *blobServer) []kind {
	far := file{kind: tar.TypeReg, uid: 3_000_000, gid: 3_000_001}
	long := strings.Repeat("opt/long-directory-name-", 8) + "/file"
	all := []kind{
		{name: "gzip"},
		{name: "zstd", pack: packZstd, trouble: []string{"umoci"}},
		{name: "uncompressed", pack: func(_ *testing.T, p []byte) packed { return packed{blob: p, media: types.OCIUncompressedLayer} }},
		{name: "multi-member gzip", pack: packMembers},
		{name: "eStargz", pack: packStargz, note: "the rewritten layer is plain"},
		{name: "zstd:chunked", pack: packChunked, note: "the rewritten layer is plain", trouble: []string{"umoci"}},
		{name: "foreign", pack: urls.foreign, note: "is distributable now"},
		{
			// go-containerregistry follows no URL to a loopback address, umoci none at all.
			name: "untouched foreign", pack: urls.foreign, note: "is distributable now", above: true,
			trouble: []string{"nanopatch", "crane", "umoci"},
		},
		{
			name: "empty layers", pack: func(t *testing.T, p []byte) packed {
				return packed{blob: gzipped(t, p), media: types.OCILayer, empty: true}
			},
		},
		{
			name:    "whiteouts",
			entries: entries(regular("srv/.wh.hidden", ""), regular("srv/opaque/.wh..wh..opq", ""), regular("srv/opaque/seen", "above")),
			gone:    []string{"srv/hidden", "srv/opaque/hidden"}, there: map[string]func(file) bool{"srv/opaque/seen": holds("above")},
		},
		{
			name: "PAX", entries: entries(pax(long, map[string]string{"NANOPATCH.note": "kept"})),
			there: map[string]func(file) bool{long: holds("")},
		},
		{name: "GNU long names", entries: entries(gnu(long)), there: map[string]func(file) bool{long: holds("")}},
		{
			name: "sparse", entries: sparse,
			there: map[string]func(file) bool{"opt/hole": func(f file) bool { return f.size == 1048580 && strings.HasSuffix(f.content, "\x00data") }},
			// dockerd and podman take it in and cannot give it out again.
			trouble: []string{"nanopatch", "crane", "skopeo", "umoci", "podman"},
		},
		{
			name: "devices", entries: entries(
				tar.Header{Typeflag: tar.TypeChar, Name: "dev/np-null", Devmajor: 1, Devminor: 3, Mode: 0o666},
				tar.Header{Typeflag: tar.TypeFifo, Name: "run/np-pipe", Mode: 0o600}),
			there: map[string]func(file) bool{"dev/np-null": isA(tar.TypeChar), "run/np-pipe": isA(tar.TypeFifo)},
		},
		{
			name: "xattrs", entries: entries(pax("opt/noted", map[string]string{"SCHILY.xattr.user.note": "kept"})),
			there: map[string]func(file) bool{"opt/noted": func(f file) bool { return f.note == "kept" }},
		},
		{
			name:    "hard links",
			entries: entries(regular("opt/one", "linked"), tar.Header{Typeflag: tar.TypeLink, Name: "opt/two", Linkname: "opt/one"}),
			there:   map[string]func(file) bool{"opt/two": func(f file) bool { return f.linked }},
		},
		{
			name:    "hard link over a directory",
			entries: entries(regular("opt/one", "linked"), tar.Header{Typeflag: tar.TypeLink, Name: "srv/replaced", Linkname: "opt/one"}),
			there:   map[string]func(file) bool{"srv/replaced": func(f file) bool { return f.linked }},
			gone:    []string{"srv/replaced/hidden"},
		},
		{
			name: "no parents", entries: entries(regular("opt/never/made/file", "orphan")),
			there: map[string]func(file) bool{"opt/never/made/file": holds("orphan")},
		},
		{
			name: "duplicates", entries: entries(regular("opt/twice", "first"), regular("opt/twice", "second")),
			there:   map[string]func(file) bool{"opt/twice": holds("second")},
			trouble: []string{"nanopatch", "crane", "podman"},
		},
		{
			name: "uid > 2M", entries: entries(tar.Header{Typeflag: tar.TypeReg, Name: "opt/far", Uid: far.uid, Gid: far.gid, Mode: 0o644}),
			there: map[string]func(file) bool{"opt/far": func(f file) bool { return f.uid == far.uid && f.gid == far.gid }},
		},
		{
			name: "non-UTF-8 names", entries: entries(tar.Header{Typeflag: tar.TypeReg, Name: "opt/caf\xe9", Mode: 0o644, Format: tar.FormatGNU}),
			there: map[string]func(file) bool{"opt/caf\xe9": holds("")},
		},
	}
	for i := range all {
		if all[i].pack == nil {
			all[i].pack = func(t *testing.T, p []byte) packed { return packed{blob: gzipped(t, p), media: types.OCILayer} }
		}
	}
	return all
}

func holds(content string) func(file) bool {
	return func(f file) bool { return f.kind == tar.TypeReg && f.content == content }
}

func isA(kind byte) func(file) bool { return func(f file) bool { return f.kind == kind } }

// blobServer serves the layers that registries must not hold.
type blobServer struct {
	host  string
	mu    sync.Mutex
	blobs map[string][]byte
}

func newBlobServer(t *testing.T) *blobServer {
	t.Helper()
	b := &blobServer{blobs: make(map[string][]byte)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b.mu.Lock()
		blob := b.blobs[req.URL.Path]
		b.mu.Unlock()
		if blob == nil {
			http.NotFound(w, req)
			return
		}
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(blob))
	}))
	t.Cleanup(server.Close)
	b.host = server.URL
	return b
}

// foreign packs a layer that is only to be had where its URL leads.
func (b *blobServer) foreign(t *testing.T, plain []byte) packed {
	blob := gzipped(t, plain)
	digest, _, err := v1.SHA256(bytes.NewReader(blob))
	must(t, err)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blobs["/"+digest.Hex] = blob
	return packed{blob: blob, media: types.OCIRestrictedLayer, urls: []string{b.host + "/" + digest.Hex}}
}

func regular(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content)), Linkname: content}
}

func pax(name string, records map[string]string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, PAXRecords: records, Format: tar.FormatPAX}
}

func gnu(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Format: tar.FormatGNU}
}

// entries writes headers; a regular file's content stands where a link's target does.
func entries(headers ...tar.Header) func(w *tar.Writer) error {
	return func(w *tar.Writer) error {
		for _, h := range headers {
			content := ""
			if h.Typeflag == tar.TypeReg {
				content, h.Linkname = h.Linkname, ""
			}
			h.ModTime = time.Unix(1_700_000_000, 0)
			if err := w.WriteHeader(&h); err != nil {
				return err
			}
			if _, err := io.WriteString(w, content); err != nil {
				return err
			}
		}
		return nil
	}
}

// sparse writes GNU's format 1.0 (GNU tar manual, "Storing Sparse Files"): the map in front of the data. archive/tar does
// not write it.
func sparse(w *tar.Writer) error {
	// One piece of data of 4 bytes at 1 MiB.
	head := "1\n1048576\n4\n"
	content := head + strings.Repeat("\x00", 512-len(head)) + "data"
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: "opt/GNUSparseFile.0/hole", Mode: 0o644, Size: int64(len(content)),
		ModTime: time.Unix(1_700_000_000, 0), Format: tar.FormatPAX,
	}
	records := map[string]string{
		"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "opt/hole", "GNU.sparse.realsize": "1048580",
	}
	return writeSparse(w, header, records, content)
}

// writeSparse writes the extended header as a member of its own, for archive/tar refuses its keys.
func writeSparse(w *tar.Writer, header *tar.Header, records map[string]string, content string) error {
	if err := w.Flush(); err != nil {
		return err
	}
	var extended strings.Builder
	for _, key := range []string{"GNU.sparse.major", "GNU.sparse.minor", "GNU.sparse.name", "GNU.sparse.realsize"} {
		record := fmt.Sprintf(" %s=%s\n", key, records[key])
		size := len(record) + 2
		extended.WriteString(fmt.Sprint(size) + record)
	}
	x := &tar.Header{Typeflag: tar.TypeReg, Name: "./PaxHeaders/hole", Mode: 0o644, Size: int64(extended.Len()), Format: tar.FormatUSTAR}
	if err := w.WriteHeader(x); err != nil {
		return err
	}
	if _, err := io.WriteString(w, extended.String()); err != nil {
		return err
	}
	header.Format = tar.FormatUSTAR
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.WriteString(w, content)
	return err
}

// asExtended marks the header that writeSparse wrote as what it is: type "x" (POSIX.1-2001, pax).
func asExtended(archive []byte) {
	for at := 0; at+512 <= len(archive); at += 512 {
		block := archive[at : at+512]
		if !bytes.HasPrefix(block, []byte("./PaxHeaders/hole\x00")) {
			continue
		}
		block[156] = 'x'
		copy(block[148:156], "        ")
		sum := 0
		for _, b := range block {
			sum += int(b)
		}
		copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
	}
}

func gzipped(t *testing.T, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	must(t, second(w.Write(p)))
	must(t, w.Close())
	return b.Bytes()
}

func packMembers(t *testing.T, p []byte) packed {
	half := len(p) / 2
	return packed{blob: append(gzipped(t, p[:half]), gzipped(t, p[half:])...), media: types.OCILayer}
}

func zstdOf(t *testing.T, p []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	must(t, err)
	defer w.Close()
	return w.EncodeAll(p, nil)
}

func packZstd(t *testing.T, p []byte) packed {
	return packed{blob: zstdOf(t, p), media: types.OCILayerZStd}
}

// packChunked packs as zstd:chunked does: many frames, and a table of contents in frames that decoders skip (RFC 8878,
// 3.1.2), which annotations point to.
func packChunked(t *testing.T, p []byte) packed {
	var b []byte
	for len(p) > 0 {
		n := min(len(p), 8<<10)
		b, p = append(b, zstdOf(t, p[:n])...), p[n:]
	}
	toc := zstdOf(t, []byte(`{"version":1,"entries":[]}`))
	digest, _, err := v1.SHA256(bytes.NewReader(toc))
	must(t, err)
	offset := len(b) + 8
	b = append(b, 0x50, 0x2a, 0x4d, 0x18, byte(len(toc)), byte(len(toc)>>8), 0, 0)
	b = append(b, toc...)
	return packed{blob: b, media: types.OCILayerZStd, annotations: map[string]string{
		"io.github.containers.zstd-chunked.manifest-checksum": digest.String(),
		"io.github.containers.zstd-chunked.manifest-position": fmt.Sprintf("%d:%d:26:1", offset, len(toc)),
	}}
}

func packStargz(t *testing.T, p []byte) packed {
	blob, err := estargz.Build(io.NewSectionReader(bytes.NewReader(p), 0, int64(len(p))))
	must(t, err)
	defer blob.Close()
	b, err := io.ReadAll(blob)
	must(t, err)
	return packed{blob: b, media: types.OCILayer, annotations: map[string]string{estargz.TOCJSONDigestAnnotation: blob.TOCDigest().String()}}
}

// withKind packs the layer that gets the updates and the one above it as a kind has it.
func withKind(t *testing.T, base v1.Image, k kind) v1.Image {
	t.Helper()
	config, err := base.ConfigFile()
	must(t, err)
	layers, err := base.Layers()
	must(t, err)
	out := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	fresh := config.DeepCopy()
	fresh.RootFS.DiffIDs, fresh.History = nil, nil
	out, err = mutate.ConfigFile(out, fresh)
	must(t, err)
	for i, l := range layers {
		plain := plainOf(t, l)
		p := packed{media: types.OCILayer}
		switch i {
		case 0:
			p.blob = gzipped(t, with(t, plain, entries(below...)))
		case 1:
			p = k.pack(t, with(t, plain, entries(regular(marker, k.name)), k.entries))
		default:
			p = k.pack(t, plain)
			if p.urls != nil && !k.above {
				p = packed{blob: p.blob, media: types.OCILayer}
			}
		}
		add := []mutate.Addendum{{
			Layer: layerOf(t, p), MediaType: p.media, Annotations: p.annotations, URLs: p.urls, History: v1.History{CreatedBy: fmt.Sprint("layer ", i)},
		}}
		if p.empty { // as `RUN true` leaves it
			nothing := packed{blob: gzipped(t, make([]byte, 1024)), media: types.OCILayer}
			add = append(add, mutate.Addendum{Layer: layerOf(t, nothing), MediaType: nothing.media, History: v1.History{CreatedBy: "RUN true"}})
		}
		out, err = mutate.Append(out, add...)
		must(t, err)
	}
	return out
}

// with adds entries to an archive.
func with(t *testing.T, plain []byte, more ...func(w *tar.Writer) error) []byte {
	t.Helper()
	var added bytes.Buffer
	w := tar.NewWriter(&added)
	for _, write := range more {
		if write != nil {
			must(t, write(w))
		}
	}
	must(t, w.Close())
	asExtended(added.Bytes())
	end := len(plain)
	for end >= 512 && len(bytes.Trim(plain[end-512:end], "\x00")) == 0 {
		end -= 512
	}
	return append(plain[:end:end], added.Bytes()...)
}

// blobLayer is a layer of given bytes.
type blobLayer struct {
	v1.Layer
	diffID v1.Hash
}

func (b *blobLayer) DiffID() (v1.Hash, error) { return b.diffID, nil }

func layerOf(t *testing.T, p packed) v1.Layer {
	t.Helper()
	diffID, _, err := v1.SHA256(bytes.NewReader(inflated(t, p.blob)))
	must(t, err)
	return &blobLayer{Layer: static.NewLayer(p.blob, p.media), diffID: diffID}
}

func inflated(t *testing.T, blob []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(blob)
	switch {
	case bytes.HasPrefix(blob, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		must(t, err)
		r = z
	case bytes.HasPrefix(blob, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r)
		must(t, err)
		defer z.Close()
		r = z
	}
	plain, err := io.ReadAll(r)
	must(t, err)
	return plain
}

func plainOf(t *testing.T, l v1.Layer) []byte {
	t.Helper()
	rc, err := l.Compressed()
	must(t, err)
	defer rc.Close()
	raw, err := io.ReadAll(rc)
	must(t, err)
	return inflated(t, raw)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func second[T any](_ T, err error) error { return err }
