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

// readCached reads a file that keep wrote. Syft's format is read back by syft's own decoder; a document of which that loses what any
// format would tell is not taken. It is looked for here, where one that is cached is wanted, and not by keep: most are made once, on
// a machine that is never seen again.
func (g *Generator) readCached(img *Image, file string) (*Document, error) {
	g.used(file)
	kept, err := readKept(file, maxDocument)
	if err != nil {
		return nil, err
	}
	digests, content, _ := bytes.Cut(kept, []byte("\n"))
	var written map[Format]string
	if err := json.Unmarshal(digests, &written); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	d, err := Read(bytes.NewReader(content), img.Ref)
	if err != nil {
		return nil, err
	}
	then := *img
	then.Ref = d.Image.Ref
	read, _, err := g.named(d, &then).encodings()
	if err != nil {
		return nil, err
	}
	for _, f := range Formats() {
		if read[f] != written[f] {
			return nil, fmt.Errorf("%s is another document in %s when it is read back", file, f)
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

// keep writes a document into the cache: a line with the digests of all its encodings, and that in syft's format.
func (g *Generator) keep(img *Image, scope Scope, d *Document) error {
	if g.cacheDir == "" {
		return nil
	}
	digests, content, err := d.encodings()
	if err != nil {
		return err
	}
	line, err := json.Marshal(digests)
	if err == nil {
		err = writeKept(g.cacheFile(img, scope, d.Created), slices.Concat(line, []byte("\n"), content))
	}
	if err != nil {
		return fmt.Errorf("caching the SBOM of %s: %w", img.Ref, err)
	}
	return nil
}

// encodings are the SHA-256 digests of the document in all formats, in hexadecimal, and all of it in syft's.
func (d *Document) encodings() (digests map[Format]string, inSyft []byte, err error) {
	formats := Formats()
	encoded := make([]bytes.Buffer, len(formats))
	var group errgroup.Group
	for i, f := range formats {
		group.Go(func() error { return d.Encode(&encoded[i], f) })
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	digests = map[Format]string{}
	for i, f := range formats {
		sum := sha256.Sum256(encoded[i].Bytes())
		digests[f] = hex.EncodeToString(sum[:])
	}
	return digests, encoded[slices.Index(formats, Syft)].Bytes(), nil
}
