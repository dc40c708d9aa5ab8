//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// result is what these tests read of `rebuild -o json`.
type result struct {
	Image     struct{ Ref, Digest string }
	Source    struct{ Ref, Digest string }
	Platforms []struct {
		NewDigest string
		Updates   []update
		Held      []struct{ Name, From, Candidate, Reason, Detail string }
		Layers    []struct {
			Index                int
			Action               string
			OldDigest, NewDigest string
		}
		Diff struct {
			Changed      []struct{ Name, Type, From, To string }
			Added        []json.RawMessage
			Removed      []json.RawMessage
			Consequences []json.RawMessage
		}
	}
	Bytes   map[string]int64
	Seconds map[string]float64
}

type update struct{ Name, Type, Arch, From, To string }

// TestRebuild runs the main job against a registry without referrers and one with, and lets the stock tools judge.
func TestRebuild(t *testing.T) {
	for kind, start := range map[string]func(*testing.T) string{"docker-registry": debianRegistry, "referrers": referrersRegistry} {
		t.Run(kind, func(t *testing.T) {
			eachBase(t, func(t *testing.T, b base) { checkRebuild(t, start(t), b) })
		})
	}
}

func checkRebuild(t *testing.T, host string, b base) {
	t.Helper()
	source, dest := host+"/base:old", host+"/base:new"
	push(t, source, b.image)
	private, public := keys(t)
	args := append([]string{"rebuild", source, "-t", dest, "--key", private, "-o", "json"}, b.from...)
	r := decode[result](t, nanopatch(t, args...).must(t, 0))
	checkLayers(t, r, source, dest)
	checkDiff(t, r, b.kind)
	nanopatch(t, "verify", dest, "--key", public).must(t, 0)
	stockVerifies(t, dest, public)
	tampered(t, host, dest, public)
	again := decode[result](t, nanopatch(t, args...).must(t, 0))
	if again.Image.Digest != r.Image.Digest {
		t.Errorf("a second run made %s, the first %s", again.Image.Digest, r.Image.Digest)
	}
}

// checkLayers holds the result table against the manifests that crane reads: exactly the layers called rewrite differ.
func checkLayers(t *testing.T, r result, source, dest string) {
	t.Helper()
	before, after := manifest(t, source), manifest(t, dest)
	layers := r.Platforms[0].Layers
	if len(before.Layers) != len(after.Layers) || len(layers) != len(before.Layers) {
		t.Fatalf("%d layers before, %d after, %d in the result", len(before.Layers), len(after.Layers), len(layers))
	}
	rewritten := 0
	for i, l := range layers {
		changed := before.Layers[i].Digest != after.Layers[i].Digest
		if changed != (l.Action == "rewrite") {
			t.Errorf("layer %d: %s, but %s became %s", i, l.Action, before.Layers[i].Digest, after.Layers[i].Digest)
		}
		if after.Layers[i].Digest.String() != l.NewDigest {
			t.Errorf("layer %d: the result says %s, the manifest %s", i, l.NewDigest, after.Layers[i].Digest)
		}
		if changed {
			rewritten++
		}
	}
	t.Logf("%d of %d layers rewritten for %d updates, %d held", rewritten, len(layers), len(r.Platforms[0].Updates), len(r.Platforms[0].Held))
	if rewritten == 0 || rewritten == len(layers) {
		t.Errorf("%d of %d layers rewritten: the test shows nothing", rewritten, len(layers))
	}
}

// checkDiff: every planned update is in the SBOM diff, once, and nothing was added or removed.
func checkDiff(t *testing.T, r result, kind string) {
	t.Helper()
	p := r.Platforms[0]
	if len(p.Updates) == 0 {
		t.Fatal("no updates: the test shows nothing")
	}
	seen := map[string]int{}
	for _, c := range p.Diff.Changed {
		if c.Type == kind {
			seen[c.Name+" "+c.From+" "+c.To]++
		}
	}
	for _, u := range p.Updates {
		if n := seen[u.Name+" "+u.From+" "+u.To]; n != 1 {
			t.Errorf("%s %s → %s is in the diff %d times", u.Name, u.From, u.To, n)
		}
	}
	if len(p.Diff.Added)+len(p.Diff.Removed) > 0 {
		t.Errorf("added %s, removed %s", p.Diff.Added, p.Diff.Removed)
	}
}

func manifest(t *testing.T, ref string) *v1.Manifest {
	t.Helper()
	m, err := v1.ParseManifest(strings.NewReader(run(t, "crane", "manifest", "--insecure", ref)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// cosignArgs are the flags with which the stock cosign 2.6 verifies a key's bundles offline.
func cosignArgs(t *testing.T, public string) []string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root.json")
	if err := os.WriteFile(root, []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--key", public, "--insecure-ignore-tlog=true", "--new-bundle-format", "--trusted-root", root, "--allow-http-registry"}
}

func stockVerifies(t *testing.T, ref, public string) {
	t.Helper()
	out := run(t, "cosign", append(append([]string{"verify"}, cosignArgs(t, public)...), ref)...)
	if !strings.Contains(out, "https://sigstore.dev/cosign/sign/v1") {
		t.Errorf("cosign verify printed no sign predicate:\n%s", out)
	}
	run(t, "cosign", append(append([]string{"verify-attestation", "--type", "spdxjson"}, cosignArgs(t, public)...), ref)...)
}

// tampered pushes the signed image with one byte of its manifest changed, its referrers copied over, and expects that
// nobody verifies it.
func tampered(t *testing.T, host, ref, public string) {
	t.Helper()
	raw := run(t, "crane", "manifest", "--insecure", ref)
	changed := strings.Replace(raw, "dev.nanopatch.plan", "dev.nanopatch.plam", 1)
	if changed == raw {
		t.Fatal("nothing to tamper with")
	}
	bad := host + "/base:tampered"
	putManifest(t, bad, []byte(changed))
	copyReferrers(t, ref, bad)
	for _, verb := range []string{"verify", "verify-attestation"} {
		args := append([]string{verb}, cosignArgs(t, public)...)
		if verb == "verify-attestation" {
			args = append(args, "--type", "spdxjson")
		}
		if out, err := tryRun(t, "cosign", append(args, bad)...); err == nil {
			t.Errorf("cosign %s accepts a tampered manifest:\n%s", verb, out)
		}
	}
	nanopatch(t, "verify", bad, "--key", public).must(t, 4)
}
