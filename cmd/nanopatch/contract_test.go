package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// TestContract holds the JSON documents against the keys that scripts rely on, on a day when the image's release is
// past its end of life: which the documents, the tables and --fail-on=eol must show.
func TestContract(t *testing.T) {
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir, cache := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := fixture.WriteLayout(dir, "old", twin.Images[0]); err != nil {
		t.Fatal(err)
	}
	nanopatch := func(want int, args ...string) string {
		t.Helper()
		now := func() time.Time { return time.Date(2035, 1, 1, 0, 0, 0, 0, time.UTC) }
		out, errs, code := runAt(t.Context(), t, now, cache, append(args, "-q")...)
		if code != want {
			t.Errorf("%v: exit code %d, want %d: %s", args, code, want, errs)
		}
		return out
	}
	from := []string{"--repo-override", twin.Repository, "--repo-override", fixture.SecurityMirror(twin.Repository), "--keyring", twin.Keyring}
	old, lock := "oci:"+dir+":old", filepath.Join(t.TempDir(), "lock.json")

	plan := decode(t, nanopatch(5, append([]string{"plan", old, "-o", "json", "--lock", lock, "--fail-on", "eol"}, from...)...))
	keys(t, plan, "apiVersion kind image distro updates held unmanaged eol overridden layers")
	keys(t, plan["image"], "ref digest platform")
	keys(t, plan["distro"], "id versionId")
	keys(t, first(t, plan["updates"]), "name type arch source from to level security cves layer purl artifact")
	keys(t, first(t, plan["updates"]).(map[string]any)["artifact"], "url sha256 size")
	keys(t, first(t, plan["held"]), "name type from candidate reason detail")
	keys(t, first(t, plan["unmanaged"]), "name type version why")
	keys(t, first(t, plan["layers"]), "index digest diffId size createdBy action because")
	if plan["eol"] != "2028-06-30" {
		t.Errorf("eol is %v", plan["eol"])
	}
	nanopatch(5, "plan", old, "--locked", lock, "--fail-on", "eol")

	rebuild := append([]string{"rebuild", old, "-t", "oci:" + dir + ":new", "--no-sign", "--hold", "*"}, from...)
	result := decode(t, nanopatch(0, append(rebuild, "-o", "json")...))
	keys(t, result, "apiVersion kind source image platforms signature attestations bytes seconds")
	keys(t, result["bytes"], "pulled pushed mounted artifacts repository")
	platform := first(t, result["platforms"])
	keys(t, platform, "updates held layers diff eol overridden keptFiles")
	keys(t, first(t, platform.(map[string]any)["layers"]), "index action oldDigest newDigest oldSize newSize")
	diff := platform.(map[string]any)["diff"].(map[string]any)
	keys(t, diff, "kind old new added removed changed unchanged consequences fixedCves")
	if o, n := diff["old"].(map[string]any), diff["new"].(map[string]any); o["ref"] != old || n["ref"] != "oci:"+dir+"@"+n["digest"].(string) {
		t.Errorf("the diff is between %v and %v", o, n)
	}
	if table := nanopatch(0, rebuild...); !strings.Contains(table, "without support since 2028-06-30") {
		t.Errorf("the table does not show the end of life:\n%s", table)
	}
}

func decode(t *testing.T, document string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(document), &out); err != nil {
		t.Fatalf("%v in %q", err, document)
	}
	return out
}

func first(t *testing.T, list any) any {
	t.Helper()
	all, ok := list.([]any)
	if !ok || len(all) == 0 {
		t.Fatalf("nothing in %v", list)
	}
	return all[0]
}

// keys checks that an object has all of the keys, with any value.
func keys(t *testing.T, object any, names string) {
	t.Helper()
	m, ok := object.(map[string]any)
	if !ok {
		t.Fatalf("no object: %v", object)
	}
	for _, name := range strings.Fields(names) {
		if _, ok := m[name]; !ok {
			t.Errorf("no %q in %v", name, m)
		}
	}
}
