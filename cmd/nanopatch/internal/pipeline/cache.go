package pipeline

import (
	"path/filepath"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cache"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// The directories in the cache, each with one package's files.
const (
	layersDir   = "layers"
	packagesDir = "packages"
	sbomsDir    = "sboms"
)

// cacheParts are the directories of a cache whose files can be made anew, by what they are called.
func cacheParts(dir string) map[string][]string {
	return map[string][]string{
		layersDir:   layer.CacheDirs(filepath.Join(dir, layersDir)),
		packagesDir: pkgrepo.CacheDirs(filepath.Join(dir, packagesDir)),
		sbomsDir:    {filepath.Join(dir, sbomsDir)},
	}
}

// CleanCache removes what was used longest ago from a cache until it holds at most limit bytes, 0 for nothing at all. What
// runs that are on may use stays.
func CleanCache(dir string, limit int64) (*cache.Report, error) {
	var parts []string
	for _, p := range cacheParts(dir) {
		parts = append(parts, p...)
	}
	return cache.Clean(dir, parts, limit)
}

// MeasureCache tells what a cache holds: layers, packages and sboms.
func MeasureCache(dir string) (map[string]cache.Content, error) {
	all := make(map[string]cache.Content)
	for name, parts := range cacheParts(dir) {
		content, err := cache.Measure(parts...)
		if err != nil {
			return nil, err
		}
		all[name] = content
	}
	return all, nil
}
