package generate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"
)

// cacheVersion changes when the same image gives another document although no library changed, or what is kept of it does.
const cacheVersion = "3"

// builtWith names what the program was built with, by a digest: the versions of Go and of all modules, as far as the build tells.
var builtWith = sync.OnceValue(func() string {
	parts := []string{runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			parts = append(parts, m.Path, m.Version, m.Sum)
			if m.Replace != nil {
				parts = append(parts, "=>", m.Replace.Path, m.Replace.Version, m.Replace.Sum)
			}
		}
	}
	return sum(parts...)
})

// cacheKey names a document by everything that it depends on but the name of the image: the image's content and
// configuration, the time, the scope, and the versions of what made it.
func (g *Generator) cacheKey(img *Image, scope Scope, created time.Time) string {
	return sum(
		cacheVersion, g.version, builtWith(), WantsID(), string(scope), created.UTC().Format(time.RFC3339Nano),
		digest(img.Digest), digest(img.ConfigDigest), string(img.Manifest), string(img.Config),
	)
}

func (g *Generator) cacheFile(img *Image, scope Scope, created time.Time) string {
	return filepath.Join(g.cacheDir, g.cacheKey(img, scope, created)+".json")
}

// Cached returns the document of an image that an earlier run made, nil where there is none. It needs no layer. Scope and
// time are those that the document was made with.
func (g *Generator) Cached(ctx context.Context, img Image, scope Scope, created time.Time) *Document {
	if g.cacheDir == "" || img.validate() != nil {
		return nil
	}
	d, err := g.readCached(&img, g.cacheFile(&img, scope, created))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		g.logger.WarnContext(ctx, "a cached SBOM cannot be used and is made anew", "image", img.Ref, "error", err)
	}
	if err != nil {
		return nil
	}
	g.logger.DebugContext(ctx, "the SBOM is cached", "image", img.Ref, "packages", len(d.Packages))
	return d
}

// keptHead is the first line of a cached document, before that in syft's format.
type keptHead struct {
	// Ref names the image that it was made of.
	Ref string
	// Encodings are the SHA-256 digests of the document in all formats, in hexadecimal, until it is once taken.
	Encodings map[Format]string `json:",omitempty"`
}

// readCached reads a file that keep wrote. Syft's format is read back by syft's own decoder, and a document is not taken of which that
// loses anything that some format would tell. Whether it does is found out when a document is first taken, not when it is made: most
// are made on a machine that is never seen again.
func (g *Generator) readCached(img *Image, file string) (*Document, error) {
	g.used(file)
	kept, err := readKept(file, maxDocument)
	if err != nil {
		return nil, err
	}
	line, content, _ := bytes.Cut(kept, []byte("\n"))
	var head keptHead
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	d, err := Read(bytes.NewReader(content), head.Ref)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var read map[Format][]byte // under the name of then
	if head.Encodings != nil {
		then := *img
		then.Ref = head.Ref
		if read, err = g.named(d, &then).encodings(); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, f := range Formats() {
			if digestOf(read[f]) != head.Encodings[f] {
				return nil, fmt.Errorf("%s is another document in %s when it is read back", file, f)
			}
		}
		if err := writeDocument(file, keptHead{Ref: head.Ref}, content); err != nil {
			g.logger.Warn("that a cached SBOM is whole cannot be noted, and is found out again", "error", err)
		}
	}
	d = g.named(d, img)
	if img.Ref == head.Ref {
		d.encoded = read
	}
	return d, nil
}

// readKept reads a file of the cache: a line with the digest of the rest, and the content, of no more than limit bytes.
func readKept(file string, limit int64) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s is larger than %d MiB", file, limit>>20)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	sum, content, _ := bytes.Cut(data, []byte("\n"))
	if string(sum) != digestOf(content) {
		return nil, fmt.Errorf("%s is damaged", file)
	}
	return content, nil
}

// writeKept writes a file for readKept, at once or not at all.
func writeKept(file string, content []byte) error {
	return renameio.WriteFile(file, append([]byte(digestOf(content)+"\n"), content...), 0o600)
}

// digestOf is the SHA-256 digest of what is kept, in hexadecimal.
func digestOf(content []byte) string {
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}

// named is a document under the name that its image has this time.
func (g *Generator) named(d *Document, img *Image) *Document {
	d.Image, d.tool, d.encoded = img.summary(), g.version, nil
	d.sbom.Source = describeSource(img)
	return d
}

// keep writes a document into the cache. The encodings that this takes stay with the document, for one of them is what most want next.
func (g *Generator) keep(img *Image, scope Scope, d *Document) error {
	if g.cacheDir == "" {
		return nil
	}
	encoded, err := d.encodings()
	if err != nil {
		return err
	}
	head := keptHead{img.Ref, map[Format]string{}}
	for f, content := range encoded {
		head.Encodings[f] = digestOf(content)
	}
	if err := writeDocument(g.cacheFile(img, scope, d.Created), head, encoded[Syft]); err != nil {
		return fmt.Errorf("caching the SBOM of %s: %w", img.Ref, err)
	}
	d.encoded = encoded
	return nil
}

// writeDocument writes a file for readCached.
func writeDocument(file string, head keptHead, content []byte) error {
	line, err := json.Marshal(head)
	if err != nil {
		return err
	}
	return writeKept(file, slices.Concat(line, []byte("\n"), content))
}

// encodings are the document in all formats.
func (d *Document) encodings() (map[Format][]byte, error) {
	formats := Formats()
	contents := make([]bytes.Buffer, len(formats))
	var group errgroup.Group
	for i, f := range formats {
		group.Go(func() error { return d.Encode(&contents[i], f) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	encoded := map[Format][]byte{}
	for i, f := range formats {
		encoded[f] = contents[i].Bytes()
	}
	return encoded, nil
}
