package apk

import (
	"cmp"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Wants tells whether a file of an image is read to find its repositories: their configuration, keys, the distribution's name.
func Wants(p string) bool {
	switch path.Dir(p) {
	case keysDir, repositoriesDir:
		return true
	}
	switch p {
	case repositoriesFile, worldFile, archFile, "etc/os-release", "usr/lib/os-release":
		return true
	}
	return strings.HasPrefix(p, allKeysDir+"/")
}

const archFile = "etc/apk/arch"

// Arch finds apk's name of an image's architecture: what etc/apk/arch says, or else that of most of the installed packages,
// whose architectures are given.
func Arch(root fs.FS, installed []string) (string, error) {
	data, err := readFile(root, archFile, maxConfig)
	if err != nil {
		return "", err
	}
	if f := strings.Fields(string(data)); len(f) == 1 && !strings.Contains(f[0], "/") {
		return f[0], nil
	}
	count := make(map[string]int)
	for _, arch := range installed {
		if arch != "" && arch != "noarch" {
			count[arch]++
		}
	}
	if len(count) == 0 {
		return "", &ConfigError{File: archFile, Reason: "missing, and no installed package says which architecture it is for"}
	}
	return slices.MaxFunc(slices.Sorted(maps.Keys(count)), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[a], count[b]), cmp.Compare(b, a))
	}), nil
}
