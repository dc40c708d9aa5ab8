package dpkg

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// manifestPath is where chisel's releases put the list of what an image was cut from.
const manifestPath = "var/lib/chisel/manifest.wall"

// maxManifest bounds a manifest when it is unpacked, in bytes: 150 for each path that the image has.
const maxManifest = 16 << 20

// slicedWhy says why no package file can replace what chisel left of a package.
const slicedWhy = "the image has slices of it, cut by chisel, and no whole package: cut the image anew"

// sliceLine is one object of a manifest (the jsonwall format, schema 1.0): a package, or a path that a slice of one brought.
// A slice is named PACKAGE_SLICE.
type sliceLine struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Arch    string `json:"arch"`
	Slice   string `json:"slice"`
	Path    string `json:"path"`
}

// addSliced adds the packages that a chiselled image has slices of. Where the status file has them too, as some builders write
// it for scanners, its word counts for the version; it is no more than a slice all the same.
func (db *database) addSliced() error {
	data, err := db.view.ReadOptional(manifestPath, maxDatabase)
	if err != nil || data == nil {
		return err
	}
	packages, err := parseManifest(data)
	if err != nil {
		return fmt.Errorf("reading %s: %w", manifestPath, err)
	}
	for _, r := range packages {
		if known, ok := db.byKey[r.Key]; ok {
			known.Partial = r.Partial
			continue
		}
		db.records = append(db.records, r)
		db.byKey[r.Key] = r
	}
	return nil
}

// parseManifest reads a manifest.wall: a header, then one object on each line, compressed by zstd.
func parseManifest(data []byte) ([]*record, error) {
	z, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	text, err := io.ReadAll(io.LimitReader(z, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxManifest {
		return nil, fmt.Errorf("unpacked it is larger than the %d bytes that are read", maxManifest)
	}
	var all []*record
	files := make(map[string]map[string]bool)
	n := 0
	for line := range bytes.Lines(text) {
		var l sliceLine
		if n++; n == 1 {
			err = checkWall(line)
		} else {
			err = json.Unmarshal(line, &l)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		switch l.Kind {
		case "package":
			r, err := l.record()
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			all = append(all, r)
		case "content":
			name, _, _ := strings.Cut(l.Slice, "_")
			if p, err := cleanPath(l.Path); err == nil {
				if files[name] == nil {
					files[name] = make(map[string]bool)
				}
				files[name][p] = true
			}
		}
	}
	for _, r := range all {
		r.sliced = slices.Sorted(maps.Keys(files[r.Name]))
	}
	return all, nil
}

// checkWall checks the header.
func checkWall(line []byte) error {
	var header struct {
		JSONWall string `json:"jsonwall"`
		Schema   string `json:"schema"`
	}
	if err := json.Unmarshal(line, &header); err != nil {
		return err
	}
	if !strings.HasPrefix(header.JSONWall, "1.") || !strings.HasPrefix(header.Schema, "1.") {
		return fmt.Errorf("jsonwall %.20q with schema %.20q; only 1.x of both is known", header.JSONWall, header.Schema)
	}
	return nil
}

// record makes an installed package of a package's line.
func (l *sliceLine) record() (*record, error) {
	if !validName(l.Name) || l.Version == "" || l.Arch == "" {
		return nil, fmt.Errorf("a package with the name %.60q, version %.60q and architecture %.20q", l.Name, l.Version, l.Arch)
	}
	p := ecosystem.Package{
		Key: ecosystem.Key{Name: l.Name, Arch: l.Arch}, Version: l.Version, Source: l.Name, SourceVersion: l.Version,
		Partial: slicedWhy,
	}
	return &record{Package: p, want: "install", flag: "ok", state: stateInstalled}, nil
}
