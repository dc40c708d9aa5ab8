package dpkg

import (
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/ecosystemtest"
)

// TestEditDatabase upgrades a package at home in layer 0 and brings the copies of the databases that layer 1 has, with
// a package more and one on hold, to the same state.
func TestEditDatabase(t *testing.T) {
	old := spec{version: "1", files: files{"usr/bin/a": "1", "etc/a": "1", "etc/b": "1", "etc/c": "1", "etc/d": "1"}, control: files{
		"conffiles": "/etc/a\n/etc/b\n/etc/c\n/etc/d\n", "triggers": "interest /usr/lib/one\n",
	}}
	update := spec{version: "2", files: files{"usr/bin/a": "2", "etc/a": "2", "etc/d": "2", "etc/e": "2"}, control: files{
		"conffiles": "/etc/e\n/etc/a\n/etc/d\n", "triggers": "interest-noawait /usr/lib/two\n",
	}}
	base := newImage(t, old)
	base.write(fileTriggersPath, "/usr/lib/one demo\n")
	base.remove("etc/c") // obsolete and gone: dpkg forgets it
	base.symlink("etc/d", "a")
	baseLayer := base.layer()

	upper := newImage(t, spec{name: "aaa", version: "1", fields: []string{"X-Odd:  kept"}}, old, spec{name: "zzz", version: "1"})
	status := strings.Replace(upper.data[statusPath], "Package: demo\nStatus: install", "Package: demo\nStatus: hold", 1)
	upper.write(statusPath, status)
	for p := range upper.files {
		if p != statusPath && p != "var" && p != "var/lib" && p != adminDir {
			delete(upper.files, p)
		}
	}
	upper.write("etc/b", "layer 1 changed it")
	triggers := "/usr/lib/zero zzz/noawait\n/usr/lib/one demo\n/usr/lib/one zzz\n"
	upper.write(fileTriggersPath, triggers)

	below := viewOf(t, baseLayer)
	step := stepFor(t, below, build(t, update))
	steps := []ecosystem.Step{step}
	effect, holds, err := Ecosystem{}.Upgrade(t.Context(), below, steps, ecosystem.UpgradeOptions{Time: generatedTime})
	if err != nil || len(holds) > 0 {
		t.Fatal(err, holds)
	}
	edited := ecosystemtest.Apply(t, baseLayer, effect)
	v := viewOf(t, edited, upper.layer())

	home, err := viewOf(t, edited).ReadFile(statusPath)
	if err != nil {
		t.Fatal(err)
	}
	wantStanza := strings.Replace(strings.TrimSuffix(string(home), "\n"), "Status: install", "Status: hold", 1)
	if !strings.Contains(wantStanza, "\n /etc/b ") || strings.Contains(wantStanza, "/etc/c") {
		t.Fatalf("at home:\n%s", wantStanza)
	}
	start := strings.Index(status, "Package: demo")
	end := strings.Index(status, "\nPackage: zzz")
	want := status[:start] + wantStanza + status[end:]
	got, err := Ecosystem{}.EditDatabase(statusPath, []byte(status), v, steps)
	if err != nil || string(got) != want {
		t.Errorf("status: %v\n%s\nwant\n%s", err, got, want)
	}
	got, err = Ecosystem{}.EditDatabase(fileTriggersPath, []byte(triggers), v, steps)
	if want := "/usr/lib/zero zzz/noawait\n/usr/lib/one zzz\n/usr/lib/two demo/noawait\n"; err != nil || string(got) != want {
		t.Errorf("triggers: %v\n%s\nwant\n%s", err, got, want)
	}
	if _, err := (Ecosystem{}).EditDatabase("etc/passwd", nil, v, steps); err == nil {
		t.Error("etc/passwd was edited")
	}
	if _, err := (Ecosystem{}).EditDatabase(statusPath, []byte("Package: demo\nVer"), v, steps); err == nil || !strings.Contains(err.Error(), "var/lib/dpkg/status: line 2") {
		t.Errorf("truncated: %v", err)
	}
}

// TestEditDatabaseLeavesOthers gives a copy that names another version of the package: it is not this upgrade's.
func TestEditDatabaseLeavesOthers(t *testing.T) {
	m := newImage(t, spec{version: "1", files: files{"usr/bin/a": "1"}})
	v := viewOf(t, m.layer())
	step := stepFor(t, v, build(t, spec{version: "2", files: files{"usr/bin/a": "2"}}))
	status := strings.Replace(m.data[statusPath], "Version: 1", "Version: 1.5", 1)
	got, err := Ecosystem{}.EditDatabase(statusPath, []byte(status), v, []ecosystem.Step{step})
	if err != nil || string(got) != status {
		t.Errorf("%v\n%s", err, got)
	}
}
