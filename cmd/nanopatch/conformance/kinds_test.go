//go:build e2e

package conformance

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
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
}

// packed is a layer's blob and what its descriptor says.
type packed struct {
	blob        []byte
	media       types.MediaType
	annotations map[string]string
	urls        []string
}

func kinds() []kind {
	all := []kind{
		{name: "gzip"},
		{name: "zstd", pack: packZstd},
		{name: "uncompressed", pack: func(_ *testing.T, p []byte) packed { return packed{blob: p, media: types.OCIUncompressedLayer} }},
		{name: "multi-member gzip", pack: packMembers},
		{name: "eStargz", pack: packStargz},
		{name: "zstd:chunked", pack: packChunked},
		{name: "foreign", pack: func(t *testing.T, p []byte) packed {
			return packed{blob: gzipped(t, p), media: types.OCIRestrictedLayer, urls: []string{"https://example.com/layer"}}
		}},
		{name: "whiteouts", entries: entries(regular("opt/.wh..wh..opq", ""), regular("etc/.wh.passwd", ""))},
		{name: "PAX", entries: entries(pax(strings.Repeat("opt/long-directory-name-", 8)+"/file", map[string]string{"NANOPATCH.note": "kept"}))},
		{name: "GNU long names", entries: entries(gnu(strings.Repeat("opt/gnu-directory-name-", 8) + "/file"))},
		{name: "sparse", entries: sparse},
		{name: "devices", entries: entries(
			tar.Header{Typeflag: tar.TypeChar, Name: "dev/null", Devmajor: 1, Devminor: 3, Mode: 0o666},
			tar.Header{Typeflag: tar.TypeFifo, Name: "run/pipe", Mode: 0o600})},
		{name: "xattrs", entries: entries(pax("opt/capable", map[string]string{"SCHILY.xattr.user.note": "kept"}))},
		{name: "hard links", entries: entries(regular("opt/one", "linked"), tar.Header{Typeflag: tar.TypeLink, Name: "opt/two", Linkname: "opt/one"})},
		{name: "no parents", entries: entries(regular("opt/never/made/file", "orphan"))},
		{name: "duplicates", entries: entries(regular("opt/twice", "first"), regular("opt/twice", "second"))},
		{name: "uid > 2M", entries: entries(tar.Header{Typeflag: tar.TypeReg, Name: "opt/far", Uid: 3_000_000, Gid: 3_000_001, Mode: 0o644})},
		{name: "non-UTF-8 names", entries: entries(tar.Header{Typeflag: tar.TypeReg, Name: "opt/caf\xe9", Mode: 0o644, Format: tar.FormatGNU})},
	}
	for i := range all {
		if all[i].pack == nil {
			all[i].pack = func(t *testing.T, p []byte) packed { return packed{blob: gzipped(t, p), media: types.OCILayer} }
		}
	}
	return all
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

// withKind packs the layer that gets the updates and the one above it as a kind has it. marker is a file in it.
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
		add := mutate.Addendum{Layer: l, History: v1.History{CreatedBy: fmt.Sprint("layer ", i)}, MediaType: types.OCILayer}
		if i > 0 {
			plain := plainOf(t, l)
			if i == 1 {
				plain = with(t, plain, k)
			}
			p := k.pack(t, plain)
			if i == 2 && p.urls != nil { // nobody could fetch it
				p = packed{blob: gzipped(t, plain), media: types.OCILayer}
			}
			add.Layer, add.MediaType, add.Annotations, add.URLs = layerOf(t, p), p.media, p.annotations, p.urls
		}
		out, err = mutate.Append(out, add)
		must(t, err)
	}
	// One without any content, as `RUN true` leaves it.
	nothing := packed{blob: gzipped(t, make([]byte, 1024)), media: types.OCILayer}
	out, err = mutate.Append(out, mutate.Addendum{Layer: layerOf(t, nothing), History: v1.History{CreatedBy: "RUN true"}, MediaType: nothing.media})
	must(t, err)
	return out
}

// with adds a kind's entries, and a file that all kinds have, to an archive.
func with(t *testing.T, plain []byte, k kind) []byte {
	t.Helper()
	var more bytes.Buffer
	w := tar.NewWriter(&more)
	must(t, entries(regular(marker, k.name))(w))
	if k.entries != nil {
		must(t, k.entries(w))
	}
	must(t, w.Close())
	asExtended(more.Bytes())
	end := len(plain)
	for end >= 512 && len(bytes.Trim(plain[end-512:end], "\x00")) == 0 {
		end -= 512
	}
	return append(plain[:end:end], more.Bytes()...)
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
