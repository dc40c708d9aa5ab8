//go:build e2e

package conformance

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// startDockerd starts Docker's daemon on a socket of its own.
func startDockerd(t *testing.T) string {
	dir := shortDir(t)
	return start(t, filepath.Join(dir, "docker.sock"), "dockerd", "--host", "unix://"+filepath.Join(dir, "docker.sock"),
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"),
		"--storage-driver", "vfs", "--iptables=false", "--ip6tables=false", "--bridge=none")
}

// startPodman starts Podman's service, which speaks Docker's API, on a socket of its own.
func startPodman(t *testing.T) string {
	dir := shortDir(t)
	socket := filepath.Join(dir, "podman.sock")
	return start(t, socket, "podman", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs",
		"--cgroup-manager", "cgroupfs", "system", "service", "--time", "0", "unix://"+socket)
}

func start(t *testing.T, socket, program string, args ...string) string {
	t.Helper()
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
