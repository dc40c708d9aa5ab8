package generate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	if head.Encodings != nil {
		then := *img
		then.Ref = head.Ref
		read, err := g.named(d, &then).encodings(io.Discard)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, f := range Formats() {
			if read[f] != head.Encodings[f] {
				return nil, fmt.Errorf("%s is another document in %s when it is read back", file, f)
			}
		}
		if err := writeDocument(file, keptHead{Ref: head.Ref}, content); err != nil {
			g.logger.Warn("that a cached SBOM is whole cannot be noted, and is found out again", "error", err)
		}
	}
	return g.named(d, img), nil
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
	if digest := sha256.Sum256(content); string(sum) != hex.EncodeToString(digest[:]) {
		return nil, fmt.Errorf("%s is damaged", file)
	}
	return content, nil
}

// writeKept writes a file for readKept, at once or not at all.
func writeKept(file string, content []byte) error {
	digest := sha256.Sum256(content)
	return renameio.WriteFile(file, append([]byte(hex.EncodeToString(digest[:])+"\n"), content...), 0o600)
}

// named is a document under the name that its image has this time.
func (g *Generator) named(d *Document, img *Image) *Document {
	d.Image, d.tool = img.summary(), g.version
	d.sbom.Source = describeSource(img)
	return d
}

// keep writes a document into the cache.
func (g *Generator) keep(img *Image, scope Scope, d *Document) error {
	if g.cacheDir == "" {
		return nil
	}
	var content bytes.Buffer
	digests, err := d.encodings(&content)
	if err != nil {
		return err
	}
	if err := writeDocument(g.cacheFile(img, scope, d.Created), keptHead{img.Ref, digests}, content.Bytes()); err != nil {
		return fmt.Errorf("caching the SBOM of %s: %w", img.Ref, err)
	}
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

// encodings are the SHA-256 digests of the document in all formats, in hexadecimal. It writes that in syft's.
func (d *Document) encodings(inSyft io.Writer) (map[Format]string, error) {
	formats := Formats()
	sums := make([]string, len(formats))
	var group errgroup.Group
	for i, f := range formats {
		group.Go(func() error {
			h := sha256.New()
			w := io.Writer(h)
			if f == Syft {
				w = io.MultiWriter(h, inSyft)
			}
			err := d.Encode(w, f)
			sums[i] = hex.EncodeToString(h.Sum(nil))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	digests := map[Format]string{}
	for i, f := range formats {
		digests[f] = sums[i]
	}
	return digests, nil
}
