//go:build e2e

package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// place is an image in a transport, and where a tool may put what it makes of it.
type place struct {
	*transport
	image string
	// platform is the one to read, "linux/arm/v7"; index says that the place holds an index.
	platform string
	index    bool
	// dir is for one reader alone and has a short name; scratch is a registry for images under way.
	dir, scratch string
}

// readers are the tools, by their names. What a tool does not speak it is given as skopeo copies it: umoci knows layouts
// only, crane registries and what docker saves, and podman would only ask the system's own daemon.
var readers = []reader{{"crane", crane}, {"skopeo", skopeo}, {"umoci", umoci}, {"podman", podman}}

type reader struct {
	name string
	read func(context.Context, place) (map[string]file, error)
}

// source reads a source, where nothing is updated yet.
func (r reader) source(ctx context.Context, p place, k kind) error {
	files, err := r.read(ctx, p)
	if err != nil {
		return err
	}
	return k.as(files, false)
}

// run runs a program and returns what it prints.
func run(ctx context.Context, env []string, name string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// tool is run for the tools: its error is what they say last.
func tool(ctx context.Context, env []string, name string, args ...string) (string, error) {
	stdout, stderr, err := run(ctx, env, name, args...)
	if err != nil {
		lines := strings.Split(strings.TrimSpace(stderr), "\n")
		return "", fmt.Errorf("%s: %w: %s", name, err, lines[len(lines)-1])
	}
	return stdout, nil
}

// copyImage lets skopeo copy an image; from and to are as skopeo names them.
func copyImage(ctx context.Context, socket, from, to string, more ...string) error {
	return copyPlatform(ctx, "linux/amd64", socket, from, to, more...)
}

// copyPlatform is copyImage for another platform's image of an index.
func copyPlatform(ctx context.Context, platform, socket, from, to string, more ...string) error {
	parts := append(strings.Split(platform, "/"), "")
	args := append([]string{
		"--insecure-policy", "--override-os", parts[0], "--override-arch", parts[1], "--override-variant", parts[2],
		"copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false",
	}, more...)
	if socket != "" {
		args = append(args, "--src-daemon-host=unix://"+socket, "--dest-daemon-host=unix://"+socket)
	}
	_, err := tool(ctx, nil, "skopeo", append(args, from, to)...)
	return err
}

// crane flattens an image itself.
func crane(ctx context.Context, p place) (map[string]file, error) {
	name, err := saved(ctx, p)
	if err != nil {
		return nil, err
	}
	if file, ok := strings.CutPrefix(name, "docker-archive:"); ok {
		archive, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer archive.Close()
		return craneExport(ctx, p.platform, "-", archive)
	}
	ref := p.ref(p.image)
	if strings.HasPrefix(p.ref(p.image), "oci") {
		layout, err := layoutOf(ctx, p)
		if err != nil {
			return nil, err
		}
		repo := p.scratch + "/" + p.image
		ref = repo + ":" + filepath.Base(p.dir)
		if _, err := tool(ctx, nil, "crane", "push", fmt.Sprintf("--index=%v", p.index), layout, ref); err != nil {
			return nil, err
		}
		if p.index { // what it pushed is the layout's list, and the index is in it
			idx, err := indexIn(layout)
			if err != nil {
				return nil, err
			}
			ref = repo + "@" + idx.String()
		}
	}
	return craneExport(ctx, p.platform, ref, nil)
}

// saved is the name of an image as skopeo has it or, of a daemon's, that of what skopeo saves of it.
func saved(ctx context.Context, p place) (string, error) {
	if p.socket == "" {
		return p.other(p.image), nil
	}
	name := "docker-archive:" + filepath.Join(p.dir, "saved.tar")
	return name, copyImage(ctx, p.socket, p.other(p.image), name)
}

func craneExport(ctx context.Context, platform, ref string, stdin io.Reader) (map[string]file, error) {
	cmd := exec.CommandContext(ctx, "crane", "export", "--platform", platform, ref, "-")
	cmd.Stdin = stdin
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("crane: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	files := make(map[string]file)
	return files, apply(files, bytes.NewReader(out))
}

// skopeo copies an image into a directory of plain archives, and checks every digest on the way.
func skopeo(ctx context.Context, p place) (map[string]file, error) {
	if err := copyPlatform(ctx, p.platform, p.socket, p.other(p.image), "dir:"+p.dir, "--dest-decompress"); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(p.dir, "manifest.json"))
	if err != nil {
		return nil, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	files := make(map[string]file)
	for _, l := range manifest.Layers {
		f, err := os.Open(filepath.Join(p.dir, l.Digest.Hex))
		if err != nil {
			return nil, err
		}
		err = apply(files, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// umoci unpacks an image.
func umoci(ctx context.Context, p place) (map[string]file, error) {
	layout, err := layoutOf(ctx, p)
	if err != nil {
		return nil, err
	}
	bundle := filepath.Join(p.dir, "bundle")
	if _, err := tool(ctx, nil, "umoci", "unpack", "--image", layout+":new", bundle); err != nil {
		return nil, err
	}
	return inDirectory(filepath.Join(bundle, "rootfs"))
}

// layoutOf is the OCI layout that an image lies in, or that it is copied to.
func layoutOf(ctx context.Context, p place) (string, error) {
	if layout, ok := strings.CutPrefix(p.ref(p.image), "oci:"); ok {
		return strings.TrimSuffix(layout, ":new"), nil
	}
	layout := filepath.Join(p.dir, "layout")
	if archive, ok := strings.CutPrefix(p.ref(p.image), "oci-archive:"); ok {
		if err := os.Mkdir(layout, 0o755); err != nil {
			return "", err
		}
		_, err := tool(ctx, nil, "tar", "-xf", strings.TrimSuffix(archive, ":new"), "-C", layout)
		return layout, err
	}
	return layout, copyPlatform(ctx, p.platform, p.socket, p.other(p.image), "oci:"+layout+":new")
}

// podman pulls into a store of its own, and shows the image's files.
func podman(ctx context.Context, p place) (map[string]file, error) {
	run := func(args ...string) (string, error) {
		common := []string{
			"--root", p.dir + "/root", "--runroot", p.dir + "/run", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none",
		}
		out, err := tool(ctx, nil, "podman", append(common, args...)...)
		return strings.TrimSpace(out), err
	}
	name, err := saved(ctx, p)
	if err != nil {
		return nil, err
	}
	id, err := run("pull", "-q", "--tls-verify=false", "--platform", p.platform, name)
	if err != nil {
		return nil, err
	}
	root, err := run("image", "mount", id)
	if err != nil {
		return nil, err
	}
	return inDirectory(root)
}
