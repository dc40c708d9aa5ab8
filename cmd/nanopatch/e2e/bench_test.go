//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cli/clitest"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// BenchmarkRebuild times the main job on the real Debian image as a process of its own, from a local registry to a local
// registry, with both SBOMs, signature and attestations: from an empty cache (the download included), with the package
// files in the cache, and with nothing to do; and how long a stranger with an empty cache takes to verify all of it and do
// it again. The peer does the same update as a Dockerfile would.
func BenchmarkRebuild(b *testing.B) {
	host := benchRegistry(b)
	private := benchKey(b)
	cache := filepath.Join(b.TempDir(), "cache")
	rebuild := func(source, dest string) []string {
		return []string{"rebuild", host + "/" + source, "-t", host + "/" + dest, "--key", private, "-q", "-o", "json"}
	}
	b.Run("empty-cache", func(b *testing.B) {
		for range b.N {
			remove(b, cache)
			measure(b, cache, rebuild("base:old", fresh()))
		}
	})
	b.Run("packages-cached", func(b *testing.B) {
		for range b.N {
			remove(b, filepath.Join(cache, "layers"))
			measure(b, cache, rebuild("base:old", fresh()))
		}
	})
	b.Run("nothing-to-do", func(b *testing.B) {
		measure(b, cache, rebuild("base:old", "patched:new"))
		b.ResetTimer()
		for range b.N {
			if r := measure(b, cache, rebuild("patched:new", "patched:new")); r.Image.Digest != r.Source.Digest {
				b.Error("there was something to do")
			}
		}
	})
	b.Run("verify-reproduce", func(b *testing.B) {
		measure(b, cache, rebuild("base:old", "reproduced:new"))
		b.ResetTimer()
		for range b.N {
			remove(b, cache)
			measure(b, cache, []string{"verify", host + "/reproduced:new", "--key", public(private), "--reproduce", "-q", "-o", "json"})
		}
	})
	b.Run("one-platform", func(b *testing.B) { platforms(b, "amd64") })
	b.Run("three-platforms", func(b *testing.B) { platforms(b, "amd64", "arm64", "s390x") })
	b.Run("peer-apt-in-chroot", func(b *testing.B) { peer(b, host) })
}

// platforms times the rebuild of an index of Debian images in one run, with the package files and nothing else in the cache.
func platforms(b *testing.B, archs ...string) {
	host, private := startRegistry(b), benchKey(b)
	var images []v1.Image
	for _, arch := range archs {
		img, err := fixture.Debian(b.Context(), b.TempDir(), fixture.DebianOptions{Arch: arch})
		if err != nil {
			b.Fatal(err)
		}
		images = append(images, img)
	}
	ref, err := name.NewTag(host+"/multi:old", name.Insecure)
	if err != nil {
		b.Fatal(err)
	}
	if err := remote.WriteIndex(ref, indexOf(b, images)); err != nil {
		b.Fatal(err)
	}
	cache := filepath.Join(b.TempDir(), "cache")
	run := func() {
		measure(b, cache, []string{"rebuild", ref.String(), "-t", host + "/multi-" + fresh(), "--key", private, "-q", "-o", "json"})
	}
	run()
	b.ResetTimer()
	for range b.N {
		remove(b, filepath.Join(cache, "layers"))
		run()
	}
}

func indexOf(b *testing.B, images []v1.Image) v1.ImageIndex {
	b.Helper()
	idx := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, img := range images {
		config, err := img.ConfigFile()
		if err != nil {
			b.Fatal(err)
		}
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: config.Platform()}})
	}
	return idx
}

// measure runs nanopatch once and reports its wall time, peak memory and what it pulled.
func measure(b *testing.B, cache string, args []string) result {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), clitest.Environ, "COSIGN_PASSWORD="+password, "NANOPATCH_CACHE_DIR="+cache)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	peak := watchMemory(cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		b.Fatalf("%v: %s", err, stderr.String())
	}
	var r result
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(<-peak)/1024, "peak-MiB")
	b.ReportMetric(cmd.ProcessState.UserTime().Seconds()+cmd.ProcessState.SystemTime().Seconds(), "cpu-s")
	b.ReportMetric(float64(r.Bytes["pulled"])/1e6, "pulled-MB")
	b.ReportMetric(float64(r.Bytes["pushed"])/1e6, "pushed-MB")
	b.Logf("seconds %v, bytes %v", r.Seconds, r.Bytes)
	return r
}

// watchMemory follows a process's peak resident memory until it ends, in KiB. The kernel's own figure for an ended child
// counts the parent's memory too, which it shared before it became another program.
func watchMemory(pid int) <-chan int {
	peak := make(chan int, 1)
	go func() {
		most := 0
		for {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			_, rest, found := strings.Cut(string(status), "VmHWM:")
			if err != nil || !found {
				peak <- most
				return
			}
			var kib int
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				most = max(most, kib)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return peak
}

// peer updates the same image as a Dockerfile's RUN apt-get upgrade does, without a daemon: unpack, apt in a chroot,
// repack, push. It needs root, runs the image's scripts, and appends a layer.
func peer(b *testing.B, host string) {
	for range b.N {
		dir := b.TempDir()
		script := `set -e
skopeo copy -q --src-tls-verify=false docker://$1/base:old oci:$2/layout:old
umoci unpack --image $2/layout:old $2/bundle 2>/dev/null
cp /etc/resolv.conf $2/bundle/rootfs/etc/resolv.conf
[ -e $2/bundle/rootfs/dev/null ] || mknod -m 666 $2/bundle/rootfs/dev/null c 1 3
printf '#!/bin/sh\nexit 101\n' > $2/bundle/rootfs/usr/sbin/policy-rc.d; chmod +x $2/bundle/rootfs/usr/sbin/policy-rc.d
chroot $2/bundle/rootfs sh -c 'apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y upgrade'
umoci repack --image $2/layout:new $2/bundle 2>/dev/null
skopeo copy -q --dest-tls-verify=false oci:$2/layout:new docker://$1/peer:new`
		cmd := exec.CommandContext(b.Context(), "sh", "-c", script, "peer", host, dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
}

var runs int

// fresh is a repository that nothing was pushed to yet.
func fresh() string {
	runs++
	return "run" + strings.Repeat("x", runs) + ":new"
}

func remove(b *testing.B, dir string) {
	b.Helper()
	b.StopTimer()
	if err := os.RemoveAll(dir); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}

// public is the public key's file beside a private key's.
func public(private string) string { return strings.TrimSuffix(private, ".key") + ".pub" }

func benchKey(b *testing.B) string {
	b.Helper()
	prefix := filepath.Join(b.TempDir(), "cosign")
	cmd := exec.CommandContext(b.Context(), os.Args[0], "keygen", "--output-prefix", prefix)
	cmd.Env = append(os.Environ(), clitest.Environ, "COSIGN_PASSWORD="+password)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return prefix + ".key"
}

// benchRegistry starts Debian's docker-registry with the outdated image in it.
func benchRegistry(b *testing.B) string {
	b.Helper()
	host := startRegistry(b)
	r, err := name.ParseReference(host + "/base:old")
	if err != nil {
		b.Fatal(err)
	}
	if err := remote.Write(r, debian, remote.WithContext(b.Context())); err != nil {
		b.Fatal(err)
	}
	return host
}
