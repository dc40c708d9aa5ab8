//go:build e2e

package conformance

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cli"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

const (
	// marker is a file in the rewritten layer that no update touches, updated one that is updated there, and what it holds.
	marker   = "usr/share/kind"
	updated  = "usr/lib/np-zlib.so"
	expected = "zlib 1:1.2.13.dfsg-1+deb12u1\n"
)

// chosen are the kinds of layers to try, by their names.
var chosen = flag.String("kinds", "", "the kinds of layers to try, or all")

// transport is a place for images, by its name in the table.
type transport struct {
	name string
	// env is what reaching it needs.
	env []string
	// ref names the image that number n is to be there.
	ref func(n int) string
	// skopeo is how skopeo names it; empty where it does not.
	skopeo func(n int) string
}

// TestConformance rebuilds an image of each kind of layer from and to each transport, and has the other tools read the
// results. It prints a table: the tools that read each.
func TestConformance(t *testing.T) {
	if *chosen == "" {
		t.Skip("it takes minutes: make conformance")
	}
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	must(t, err)
	all := transports(t)
	var header []string
	for _, tr := range all {
		header = append(header, tr.name)
	}
	store, err := os.MkdirTemp("", "np") //nolint:usetesting // podman takes no path with capitals, and a test's name has some
	must(t, err)
	t.Cleanup(func() {
		_ = exec.CommandContext(context.WithoutCancel(t.Context()), "podman", "--root", store+"/root", "--runroot", store+"/run", "system", "reset", "--force").Run()
		must(t, os.RemoveAll(store))
	})
	table := []string{"| layer | " + strings.Join(header, " | ") + " |", "|---|" + strings.Repeat("---|", len(all))}
	for n, k := range kinds() {
		if *chosen != "all" && !slices.Contains(strings.Split(*chosen, ","), k.name) {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			c := &trial{T: t, n: n, kind: k, twin: twin, dir: t.TempDir(), store: store}
			source := filepath.Join(c.dir, "source")
			must(t, fixture.WriteLayout(source, "old", withKind(t, twin.Images[0], k)))
			row := []string{k.name}
			for _, tr := range all {
				row = append(row, strings.Join(c.through(tr, "oci:"+source+":old"), ", "))
			}
			table = append(table, "| "+strings.Join(row, " | ")+" |")
		})
	}
	fmt.Println(strings.Join(table, "\n"))
}

func transports(t *testing.T) []transport {
	// Not the test's own directory, whose name has capitals: podman takes it for a repository's.
	dir, err := os.MkdirTemp("", "np") //nolint:usetesting // podman takes no path with capitals, and a test's name has some
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	path := func(prefix, suffix string) func(int) string {
		return func(n int) string { return prefix + filepath.Join(dir, fmt.Sprint(prefix[:len(prefix)-1], n)) + suffix }
	}
	registry := func(host string) func(int) string {
		return func(n int) string { return fmt.Sprintf("%s/kind%d:new", host, n) }
	}
	docker := func(host func(int) string) func(int) string {
		return func(n int) string { return "docker://" + host(n) }
	}
	distribution, referrers := registry(imagetest.StartDistribution(t)), registry(imagetest.NewRegistry(t, true).Host)
	all := []transport{
		{name: "docker-registry", ref: distribution, skopeo: docker(distribution)},
		{name: "registry with referrers", ref: referrers, skopeo: docker(referrers)},
		{name: "oci:", ref: path("oci:", ":new"), skopeo: path("oci:", ":new")},
		{name: "oci-archive:", ref: path("oci-archive:", ":new"), skopeo: path("oci-archive:", ":new")},
		{name: "docker-archive:", ref: path("docker-archive:", ":kind:new"), skopeo: path("docker-archive:", "")},
	}
	named := func(n int) string { return fmt.Sprintf("docker-daemon:localhost/kind%d:new", n) }
	if socket := startDockerd(t); socket != "" {
		all = append(all, transport{
			name: "docker-daemon: (dockerd)", env: []string{"DOCKER_HOST=unix://" + socket}, ref: named,
			skopeo: func(n int) string { return named(n) },
		})
	}
	if socket := startPodman(t); socket != "" {
		all = append(all, transport{name: "docker-daemon: (podman)", env: []string{"DOCKER_HOST=unix://" + socket}, ref: named})
	}
	return all
}

// trial is one kind of layer under way.
type trial struct {
	*testing.T
	n    int
	kind kind
	twin *fixture.Twin
	dir  string
	// store is podman's; it must have a short name.
	store string
}

// through rebuilds into a transport, and from there again, and returns the tools that read the result as it should be.
func (c *trial) through(tr transport, source string) []string {
	c.Helper()
	for _, e := range tr.env {
		name, value, _ := strings.Cut(e, "=")
		c.Setenv(name, value)
	}
	dest := tr.ref(c.n)
	if stderr, err := c.rebuild(source, dest); err != nil {
		c.Errorf("%s: %v: %s", dest, err, stderr)
		return []string{"✗"}
	}
	// What was written is a source too: nothing is left to update in it.
	if stderr, err := c.program("plan", dest); err != nil || !strings.Contains(stderr, "0 layers") && !strings.Contains(stderr, "0 updates") {
		c.Errorf("reading %s back: %v: %s", dest, err, stderr)
	}
	readers := []struct {
		name string
		read func(transport) (string, error)
	}{{"crane", c.crane}, {"skopeo", c.skopeo}, {"umoci", c.umoci}, {"podman", c.podman}}
	var good []string
	for _, r := range readers {
		root, err := r.read(tr)
		if errors.Is(err, errors.ErrUnsupported) {
			continue
		}
		if err == nil {
			err = c.check(root)
		}
		if err != nil {
			c.Errorf("%s reads %s: %v", r.name, dest, err)
			good = append(good, r.name+" ✗")
			continue
		}
		good = append(good, r.name)
	}
	return good
}

func (c *trial) rebuild(source, dest string) (string, error) {
	return c.program("rebuild", source, "-t", dest, "--no-sign")
}

// program runs nanopatch in this process and returns what it says.
func (c *trial) program(args ...string) (string, error) {
	var out, errs bytes.Buffer
	env := cli.Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Now: time.Now,
		LookupEnv: func(key string) (string, bool) {
			return map[string]string{"NANOPATCH_CACHE_DIR": filepath.Join(c.dir, "cache")}[key], key == "NANOPATCH_CACHE_DIR"
		},
	}
	args = append(args, "--repo-override", c.twin.Repository, "--repo-override", fixture.SecurityMirror(c.twin.Repository), "--keyring", c.twin.Keyring)
	if code := cli.Main(c.Context(), args, env); code != 0 {
		return errs.String(), fmt.Errorf("exit code %d", code)
	}
	return errs.String(), nil
}

// check looks into the files that a tool made of the image.
func (c *trial) check(root string) error {
	for path, want := range map[string]string{updated: expected, marker: c.kind.name} {
		got, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return err
		}
		if string(got) != want {
			return fmt.Errorf("%s holds %q, not %q", path, got, want)
		}
	}
	return nil
}

func (c *trial) fresh() string {
	dir, err := os.MkdirTemp(c.dir, "read")
	must(c.T, err)
	return dir
}

func isRegistry(tr transport) bool { return strings.HasPrefix(tr.skopeoName(0), "docker://") }

func (tr transport) skopeoName(n int) string {
	if tr.skopeo == nil {
		return ""
	}
	return tr.skopeo(n)
}

// crane reads registries, and what docker save writes.
func (c *trial) crane(tr transport) (string, error) {
	var cmd *exec.Cmd
	switch {
	case isRegistry(tr):
		cmd = exec.CommandContext(c.Context(), "crane", "export", tr.ref(c.n), "-")
	case strings.HasPrefix(tr.ref(c.n), "docker-archive:"):
		cmd = exec.CommandContext(c.Context(), "crane", "export", "-", "-")
		f, err := os.Open(strings.TrimPrefix(tr.skopeoName(c.n), "docker-archive:"))
		if err != nil {
			return "", err
		}
		defer f.Close()
		cmd.Stdin = f
	default:
		return "", errors.ErrUnsupported
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, stderr.String())
	}
	root := c.fresh()
	return root, extractTwo(bytes.NewReader(out), root)
}

// extractTwo takes the files that check looks at out of an archive.
func extractTwo(r io.Reader, root string) error {
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(strings.TrimPrefix(h.Name, "./"), "/")
		if !slices.Contains([]string{updated, marker}, name) {
			continue
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return err
		}
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
}

// skopeo copies an image into a directory of plain archives, and checks every digest on the way.
func (c *trial) skopeo(tr transport) (string, error) {
	if tr.skopeo == nil {
		return "", errors.ErrUnsupported
	}
	args := []string{"--insecure-policy", "copy", "-q", "--src-tls-verify=false", "--dest-decompress"}
	for _, e := range tr.env {
		args = append(args, "--src-daemon-host="+strings.TrimPrefix(e, "DOCKER_HOST="))
	}
	dir, root := c.fresh(), c.fresh()
	if err := c.tool("skopeo", append(args, tr.skopeoName(c.n), "dir:"+dir)...); err != nil {
		return "", err
	}
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return "", err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return "", err
	}
	for _, l := range manifest.Layers {
		f, err := os.Open(filepath.Join(dir, l.Digest.Hex))
		if err != nil {
			return "", err
		}
		err = extractTwo(f, root)
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
	}
	return root, nil
}

// umoci reads layouts, and does not know zstd in the version that Debian 12 has.
func (c *trial) umoci(tr transport) (string, error) {
	layout, ok := strings.CutPrefix(tr.ref(c.n), "oci:")
	if !ok || strings.HasPrefix(c.kind.name, "zstd") {
		return "", errors.ErrUnsupported
	}
	bundle := filepath.Join(c.fresh(), "bundle")
	return filepath.Join(bundle, "rootfs"), c.tool("umoci", "unpack", "--image", layout, bundle)
}

// podman pulls into a store of its own and exports a container that never runs.
func (c *trial) podman(tr transport) (string, error) {
	if tr.skopeo == nil || strings.HasPrefix(tr.name, "docker-daemon") {
		return "", errors.ErrUnsupported
	}
	podman := func(args ...string) (string, error) {
		common := []string{"--root", c.store + "/root", "--runroot", c.store + "/run", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"}
		cmd := exec.CommandContext(c.Context(), "podman", append(common, args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("podman %s: %w: %s", strings.Join(args, " "), err, stderr.String())
		}
		return strings.TrimSpace(string(out)), nil
	}
	id, err := podman("pull", "-q", "--tls-verify=false", tr.skopeoName(c.n))
	if err != nil {
		return "", err
	}
	return podman("image", "mount", id)
}

func (c *trial) tool(name string, args ...string) error {
	if _, err := exec.LookPath(name); err != nil {
		c.Skipf("%s is not installed", name)
	}
	out, err := exec.CommandContext(c.Context(), name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// startDockerd starts Docker's daemon on a socket of its own; "" where it is not installed.
func startDockerd(t *testing.T) string {
	dir := t.TempDir()
	return start(t, filepath.Join(dir, "docker.sock"), "dockerd", "--host", "unix://"+filepath.Join(dir, "docker.sock"),
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"),
		"--storage-driver", "vfs", "--iptables=false", "--ip6tables=false", "--bridge=none")
}

// startPodman starts Podman's service, which speaks Docker's API, on a socket of its own.
func startPodman(t *testing.T) string {
	dir := t.TempDir()
	socket := filepath.Join(dir, "podman.sock")
	return start(t, socket, "podman", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs",
		"--cgroup-manager", "cgroupfs", "system", "service", "--time", "0", "unix://"+socket)
}

func start(t *testing.T, socket, program string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Logf("%s is not installed: its column is missing", program)
		return ""
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	for range 300 {
		if _, err := os.Stat(socket); err == nil {
			return socket
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", program, output.String())
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not listen: %s", program, output.String())
	return ""
}
