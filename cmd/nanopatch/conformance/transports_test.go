//go:build e2e

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// transport is a sort of place for images, by its name in the table.
type transport struct {
	name string
	// socket is a daemon's; empty for others.
	socket string
	// ref names an image there as nanopatch does, other as skopeo and podman do.
	ref, other func(image string) string
	// single says that it holds no index.
	single bool
}

// env is what reaching it needs.
func (tr *transport) env() []string {
	if tr.socket == "" {
		return nil
	}
	return []string{"DOCKER_HOST=unix://" + tr.socket}
}

// shortDir makes a directory with a short name and no capitals: podman takes neither those nor long names.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "np") //nolint:usetesting // a test's own has its name in it
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

func transports(t *testing.T) []*transport {
	t.Helper()
	dir := shortDir(t)
	registry := func(name, host string) *transport {
		return &transport{
			name:  name,
			ref:   func(image string) string { return host + "/" + image + ":new" },
			other: func(image string) string { return "docker://" + host + "/" + image + ":new" },
		}
	}
	layout := func(name, prefix string) *transport {
		ref := func(image string) string {
			return prefix + filepath.Join(dir, strings.TrimSuffix(prefix, ":"), image) + ":new"
		}
		return &transport{name: name, ref: ref, other: ref}
	}
	must(t, os.Mkdir(filepath.Join(dir, "oci"), 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "oci-archive"), 0o755))
	archive := func(image string) string { return "docker-archive:" + filepath.Join(dir, image+".tar") }
	all := []*transport{
		registry("docker-registry", imagetest.StartDistribution(t)),
		registry("registry with referrers", imagetest.NewRegistry(t, true).Host),
		layout("oci:", "oci:"),
		layout("oci-archive:", "oci-archive:"),
		{name: "docker-archive:", ref: func(image string) string { return archive(image) + ":" + image + ":new" }, other: archive, single: true},
	}
	named := func(image string) string { return fmt.Sprintf("docker-daemon:localhost/%s:new", image) }
	return append(all,
		&transport{name: "docker-daemon: (dockerd)", socket: startDockerd(t), ref: named, other: named, single: true},
		&transport{name: "docker-daemon: (podman)", socket: startPodman(t), ref: named, other: named, single: true})
}
