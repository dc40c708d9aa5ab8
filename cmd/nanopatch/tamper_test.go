package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/sign/attest"
)

const (
	sign       = attest.PredicateSign
	spdx       = attest.PredicateSPDX
	difference = attest.PredicateDiff
	provenance = attest.PredicateProvenance
)

// signaturesOnly are flags for forgeries that the signatures alone give away.
var signaturesOnly = []string{"--signatures-only"}

var zeros = strings.Repeat("0", 64)

// forgeries are tampered images; each must be refused with exit code 4 by a failed check of the given name.
var forgeries = []struct {
	name   string
	forge  func(f *forgery)
	flags  []string
	failed string
}{
	// The registry, or who may push to it: no key.
	{"stripped referrers", func(f *forgery) { f.strip() }, signaturesOnly, "signed"},
	{"no signature but an SBOM", func(f *forgery) { f.strip(sign) }, signaturesOnly, "signed"},
	{"SBOM stripped", func(f *forgery) { f.strip(spdx) }, append([]string{"--require", spdx}, signaturesOnly...), "attested"},
	{"provenance stripped", func(f *forgery) { f.strip(provenance) }, append([]string{"--require", provenance}, signaturesOnly...), "attested"},
	{"diff stripped", func(f *forgery) { f.strip(difference) }, append([]string{"--require", difference}, signaturesOnly...), "attested"},
	{"a byte of the signature", func(f *forgery) {
		f.edit(sign, func(b *bundle) { b.DSSE.Signatures[0].Sig[12] ^= 1 })
	}, signaturesOnly, "signature"},
	{"signature cut short", func(f *forgery) {
		f.edit(sign, func(b *bundle) { b.DSSE.Signatures[0].Sig = b.DSSE.Signatures[0].Sig[:20] })
	}, signaturesOnly, "signature"},
	{"signature of one statement on another", func(f *forgery) {
		var of []byte
		f.edit(sign, func(b *bundle) { of = b.DSSE.Signatures[0].Sig })
		f.edit(spdx, func(b *bundle) { b.DSSE.Signatures[0].Sig = of })
	}, signaturesOnly, "signature"},
	{"no signatures in the envelope", func(f *forgery) {
		f.edit(sign, func(b *bundle) { b.DSSE.Signatures = nil })
	}, signaturesOnly, "signature"},
	{"payload of the signature edited", func(f *forgery) { f.payload(sign, `"predicate":{}`, `"predicate":{"a":1}`) }, signaturesOnly, "signature"},
	{"SBOM edited", func(f *forgery) { f.payload(spdx, "np-openssl", "np-opensssl") }, signaturesOnly, "signature"},
	{"diff edited", func(f *forgery) { f.payload(difference, `"unchanged"`, `"unchangee"`) }, signaturesOnly, "signature"},
	{"provenance edited", func(f *forgery) { f.payload(provenance, "nanopatch.dev/builder", "attacker.test/builder") }, signaturesOnly, "signature"},
	{"subject edited", func(f *forgery) { f.payload(sign, f.digest.Hex, zeros) }, signaturesOnly, "signature"},
	{"payload type edited", func(f *forgery) {
		f.edit(sign, func(b *bundle) { b.DSSE.PayloadType = "text/plain" })
	}, signaturesOnly, "signature"},
	{"bundle cut in half", func(f *forgery) { f.rewrite(sign, func(b []byte) []byte { return b[:len(b)/2] }) }, signaturesOnly, "bundle"},
	{"bundle of an older version", func(f *forgery) {
		f.edit(sign, func(b *bundle) { b.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.1" })
	}, signaturesOnly, "bundle"},
	{"a byte of the bundle's blob", func(f *forgery) {
		f.flip(f.manifest(f.entries()[f.bundles(f.digest, sign)[0]].Digest).Layers[0].Digest)
	}, signaturesOnly, "bundle"},
	{"signature of the source moved over", func(f *forgery) {
		f.strip(sign)
		f.moveReferrers(f.platform().Digest, v1.Descriptor{Digest: f.digest, Size: int64(len(f.read(f.path(f.digest))))}, sign)
	}, signaturesOnly, "subject"},
	{"SBOM of another image", func(f *forgery) {
		f.moveReferrers(f.platform().Digest, v1.Descriptor{Digest: f.digest, Size: int64(len(f.read(f.path(f.digest))))}, spdx)
	}, signaturesOnly, "subject"},
	{"diff of another pair", func(f *forgery) {
		f.moveReferrers(f.platform().Digest, v1.Descriptor{Digest: f.digest, Size: int64(len(f.read(f.path(f.digest))))}, difference)
	}, signaturesOnly, "subject"},
	{"provenance of another image", func(f *forgery) {
		f.moveReferrers(f.platform().Digest, v1.Descriptor{Digest: f.digest, Size: int64(len(f.read(f.path(f.digest))))}, provenance)
	}, signaturesOnly, "subject"},
	{"an annotation of the manifest", func(f *forgery) {
		f.become(func(m *v1.Manifest) { m.Annotations["dev.nanopatch.plan.digest"] = "sha256:" + zeros })
	}, signaturesOnly, "subject"},
	{"another config", func(f *forgery) {
		f.become(func(m *v1.Manifest) {
			made := f.put(f.replace(f.read(f.path(m.Config.Digest)), `"os":"linux"`, `"os":"linux","author":"x"`))
			m.Config.Digest, m.Config.Size = made.Digest, made.Size
		})
	}, signaturesOnly, "subject"},
	{"a layer of the source", func(f *forgery) {
		f.become(func(m *v1.Manifest) { m.Layers = slices.Clone(f.manifest(f.source).Layers) })
	}, signaturesOnly, "subject"},
	{"the tag names an older image", func(f *forgery) {
		f.retag("new", v1.Descriptor{Digest: f.source, Size: int64(len(f.read(f.path(f.source))))})
	}, signaturesOnly, "signed"},
	{"an old signed image replayed", func(*forgery) {}, append([]string{"--max-age", "1h"}, signaturesOnly...), "age"},
	{"index child swapped", func(f *forgery) {
		f.reindex(func(m *v1.IndexManifest) { m.Manifests[1].Digest = m.Manifests[0].Digest })
	}, append([]string{"multi"}, signaturesOnly...), "subject"},
	{"index child dropped", func(f *forgery) {
		f.reindex(func(m *v1.IndexManifest) { m.Manifests = m.Manifests[:1] })
	}, append([]string{"multi"}, signaturesOnly...), "subject"},

	// Content other than its digest.
	{"a byte of a layer", func(f *forgery) { f.flip(f.rewritten()) }, nil, "content"},
	{"layer cut short", func(f *forgery) {
		b := f.read(f.path(f.rewritten()))
		f.write(f.path(f.rewritten()), b[:len(b)-9])
	}, nil, "content"},
	{"a byte of the config", func(f *forgery) { f.flip(f.manifest(f.digest).Config.Digest) }, nil, "content"},
	{"a byte of the manifest", func(f *forgery) { f.flip(f.digest) }, nil, "content"},

	// A signer who lies: a runner taken over, a mistake, mixed-up attestations.
	{"signed SBOM without a package", func(f *forgery) {
		f.resign(spdx, func(p map[string]any) { p["packages"] = p["packages"].([]any)[1:] })
	}, nil, "sbom"},
	{"signed SBOM with another version", func(f *forgery) {
		f.resign(spdx, func(p map[string]any) {
			for _, x := range p["packages"].([]any) {
				if x := x.(map[string]any); x["name"] == "np-openssl" {
					x["versionInfo"] = "9.9.9-1"
				}
			}
		})
	}, nil, "sbom"},
	{"signed diff without a change", func(f *forgery) {
		f.resign(difference, func(p map[string]any) { p["changed"] = p["changed"].([]any)[1:] })
	}, nil, "diff"},
	{"signed diff with an invented change", func(f *forgery) {
		f.resign(difference, func(p map[string]any) {
			p["added"] = []any{map[string]any{"name": "backdoor", "type": "deb", "version": "1"}}
		})
	}, nil, "diff"},
	{"signed diff between other images", func(f *forgery) {
		f.resign(difference, func(p map[string]any) { p["old"].(map[string]any)["digest"] = "sha256:" + zeros })
	}, nil, "diff"},
	{"signed provenance with another artifact", func(f *forgery) {
		f.resign(provenance, func(p map[string]any) { artifactAt(p)["digest"].(map[string]any)["sha256"] = zeros })
	}, nil, "files"},
	{"signed provenance with another's package file", func(f *forgery) {
		f.resign(provenance, func(p map[string]any) {
			all := updatesOf(lockOf(p))
			first, second := all[0].(map[string]any), all[1].(map[string]any)
			for _, d := range dependencies(p) {
				if d := d.(map[string]any); d["name"] == first["purl"] {
					d["digest"].(map[string]any)["sha256"] = second["artifact"].(map[string]any)["sha256"]
				}
			}
			first["artifact"] = second["artifact"]
		})
	}, nil, "files"},
	{"signed lockfile without an update", func(f *forgery) {
		f.resign(provenance, func(p map[string]any) {
			platform := lockOf(p)["platforms"].([]any)[0].(map[string]any)
			platform["updates"] = platform["updates"].([]any)[1:]
		})
	}, nil, "diff"},
	{"signed lockfile from another version", func(f *forgery) {
		f.resign(provenance, func(p map[string]any) { updatesOf(lockOf(p))[0].(map[string]any)["from"] = "0.1-1" })
	}, nil, "diff"},
	{"signed lockfile for another source", func(f *forgery) {
		f.resign(provenance, func(p map[string]any) { lockOf(p)["source"] = "sha256:" + zeros })
	}, nil, "provenance"},
	{"signed provenance without a lockfile", func(f *forgery) {
		f.resign(provenance, func(p map[string]any) {
			p["buildDefinition"].(map[string]any)["externalParameters"] = map[string]any{"x": 1}
		})
	}, nil, "provenance"},
	{"signed provenance that hides a rewritten layer", func(f *forgery) {
		f.resign(provenance, func(p map[string]any) {
			details := p["runDetails"].(map[string]any)
			details["byproducts"] = details["byproducts"].([]any)[:1]
		})
	}, nil, "layers"},
	{"signed provenance of a source that is gone", func(f *forgery) {
		if err := os.Remove(f.path(f.source)); err != nil {
			f.t.Fatal(err)
		}
	}, []string{"--source", "oci:DIR"}, "source"},
	{"source that the policy does not allow", func(*forgery) {}, []string{"--allow-source", "registry.example/*"}, "source"},
	{"signed image with another entry point", func(f *forgery) {
		made := f.become(func(m *v1.Manifest) {
			config := f.put(f.replace(f.read(f.path(m.Config.Digest)), `"config":{`, `"config":{"Entrypoint":["/backdoor"],`))
			m.Config.Digest, m.Config.Size = config.Digest, config.Size
		})
		f.signAs(made)
	}, nil, "config"},
	{"signed image that no rebuild gives", func(f *forgery) {
		made := f.become(func(m *v1.Manifest) { m.Annotations["made"] = "otherwise" })
		f.signAs(made)
	}, []string{"--reproduce"}, "reproduced"},
}

// TestForgeries tampers with a signed image in all ways that the table has, and expects the right check to notice.
func TestForgeries(t *testing.T) {
	original, keys := newForgery(t)
	cache := t.TempDir()
	for _, untouched := range []string{"new", "multi"} {
		if out, errs, code := run(t.Context(), t, cache, "verify", "oci:"+original.dir+":"+untouched, "--key", keys+".pub"); code != 0 {
			t.Fatalf("untouched %s: exit %d\n%s%s", untouched, code, out, errs)
		}
	}
	if _, _, code := run(t.Context(), t, cache, "verify", "oci:"+original.dir+":new", "--key", keys+"2.pub", "--signatures-only"); code != 4 {
		t.Errorf("another key: exit %d", code)
	}
	for _, c := range forgeries {
		t.Run(c.name, func(t *testing.T) {
			f := original.copy(t)
			c.forge(f)
			tag, flags := "new", c.flags
			if len(flags) > 0 && flags[0] == "multi" {
				tag, flags = flags[0], flags[1:]
			}
			flags = strings.Split(strings.ReplaceAll(strings.Join(flags, " "), "DIR", f.dir), " ")
			if len(c.flags) == 0 {
				flags = nil
			}
			used := cache
			if c.failed == "content" {
				used = t.TempDir() // the other has the right content, which is what a digest names
			}
			out, errs, code := run(t.Context(), t, used, append([]string{"verify", "oci:" + f.dir + ":" + tag, "--key", keys + ".pub", "-o", "json"}, flags...)...)
			if code != 4 || !failedCheck(t, out, errs, c.failed) {
				t.Errorf("exit %d, want 4 by check %q\n%s%s", code, c.failed, out, errs)
			}
		})
	}
	t.Logf("%d tampered images refused", len(forgeries))
}

// failedCheck tells whether a check of the name failed: in the document or, where the image cannot even be opened, in the
// message.
func failedCheck(t *testing.T, stdout, stderr, name string) bool {
	t.Helper()
	if stdout == "" {
		return strings.Contains(stderr, name+":")
	}
	var v struct {
		OK       bool
		Subjects []struct {
			Checks []struct {
				Name string
				OK   bool
			}
		}
	}
	if err := json.Unmarshal([]byte(stdout), &v); err != nil {
		t.Fatal(err)
	}
	for _, s := range v.Subjects {
		for _, c := range s.Checks {
			if c.Name == name && !c.OK {
				return !v.OK
			}
		}
	}
	return false
}
