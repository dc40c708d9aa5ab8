package diff

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inside explains what lies below usr/lib/jvm.
func inside(paths []string) (string, bool) {
	for _, p := range paths {
		if !strings.HasPrefix(p, "usr/lib/jvm/") {
			return "", false
		}
	}
	return "openjdk-17 17.0.10", true
}

var (
	openjdk = Planned{"deb", "openjdk", "amd64", "17.0.9", "17.0.10"}
	// older and newer are there in every case besides its own packages.
	older = []string{"deb openjdk:amd64 17.0.9 var/lib/dpkg/status", "deb tzdata:all 2024.1 var/lib/dpkg/status"}
	newer = []string{"deb openjdk:amd64 17.0.10 var/lib/dpkg/status", "deb tzdata:all 2024.1 var/lib/dpkg/status"}
)

var gateCases = []struct {
	name      string
	old, new  []string
	planned   []Planned
	offenders []string
	follow    []Consequence
}{
	{name: "just as planned", planned: []Planned{openjdk}},
	{
		name: "a jar inside", planned: []Planned{openjdk},
		old: []string{"maven jrt-fs 17.0.9 usr/lib/jvm/jrt.jar", "maven dropped 1.0 usr/lib/jvm/old.jar"},
		new: []string{"maven jrt-fs 17.0.10 usr/lib/jvm/jrt.jar", "maven brought 1.0 usr/lib/jvm/new.jar"},
		follow: []Consequence{
			{Type: "maven", Name: "brought", To: "1.0", Because: "openjdk-17 17.0.10"},
			{Type: "maven", Name: "dropped", From: "1.0", Because: "openjdk-17 17.0.10"},
			{Type: "maven", Name: "jrt-fs", From: "17.0.9", To: "17.0.10", Because: "openjdk-17 17.0.10"},
		},
	},
	{
		name: "a jar elsewhere", planned: []Planned{openjdk},
		old: []string{"maven app 1.0 srv/app.jar"}, new: []string{"maven app 1.1 srv/app.jar"},
		offenders: []string{"maven app 1.0 to 1.1: not planned, and not inside anything that is"},
	},
	{
		name: "a jar that moved out", planned: []Planned{openjdk},
		old: []string{"maven app 1.0 usr/lib/jvm/app.jar"}, new: []string{"maven app 1.1 srv/app.jar"},
		offenders: []string{"maven app 1.0 to 1.1: not planned, and not inside anything that is"},
	},
	{
		name: "found nowhere", planned: []Planned{openjdk},
		new:       []string{"maven app 1.1"},
		offenders: []string{"maven app 1.1 added: not planned, and not inside anything that is"},
	},
	{
		name: "a package of the database", planned: []Planned{openjdk},
		old: []string{"deb libc6:amd64 1.0 usr/lib/jvm/x"}, new: []string{"deb libc6:amd64 1.1 usr/lib/jvm/x", "deb more:all 1.0 usr/lib/jvm/x"},
		offenders: []string{"deb libc6:amd64 1.0 to 1.1: not planned", "deb more:all 1.0 added: not planned"},
	},
	{
		name: "a package gone", planned: []Planned{openjdk}, old: []string{"deb gone:all 1.0 x"},
		offenders: []string{"deb gone:all 1.0 removed: not planned"},
	},
	{
		name: "another version than planned", planned: []Planned{{"deb", "openjdk", "amd64", "17.0.9", "17.0.11"}},
		offenders: []string{"deb openjdk:amd64 17.0.9 to 17.0.11: planned, but did not happen", "deb openjdk:amd64 17.0.9 to 17.0.10: not planned"},
	},
	{
		name: "planned twice", planned: []Planned{openjdk, openjdk},
		offenders: []string{"deb openjdk:amd64 17.0.9 to 17.0.10: planned twice"},
	},
	{
		name: "happened twice", planned: []Planned{openjdk},
		old: []string{"deb openjdk:amd64 17.0.9 chroot/status"}, new: []string{"deb openjdk:amd64 17.0.10 chroot/status"},
		offenders: []string{"deb openjdk:amd64 17.0.9 to 17.0.10: planned once, but happened 2 times"},
	},
}

func TestGate(t *testing.T) {
	for _, c := range gateCases {
		t.Run(c.name, func(t *testing.T) {
			d := Compare(parse(append(slices.Clone(older), c.old...)...), parse(append(slices.Clone(newer), c.new...)...), dotted{})
			before := show(d)
			got, err := d.Gate(c.planned, inside)
			if diff := cmp.Diff(c.offenders, offenders(err)); diff != "" {
				t.Errorf("offenders (-want +got):\n%s", diff)
			}
			if !slices.Equal(before, show(d)) {
				t.Error("the diff itself changed")
			}
			if len(c.offenders) > 0 {
				if got != nil {
					t.Error("a diff came out besides the error")
				}
				return
			}
			if diff := cmp.Diff(append([]Consequence{}, c.follow...), got.Consequences); diff != "" {
				t.Errorf("consequences (-want +got):\n%s", diff)
			}
			if len(got.Changed) != 1 || len(got.Added)+len(got.Removed) != 0 || got.Unchanged != 1 {
				t.Errorf("left of the diff: %q", show(got))
			}
		})
	}
}

func offenders(err error) []string {
	var gate *GateError
	if !errors.As(err, &gate) {
		return nil
	}
	var out []string
	for _, o := range gate.Offenders {
		out = append(out, o.String())
	}
	return out
}

func TestGateErrorIsShort(t *testing.T) {
	var newer []string
	for i := range 25 {
		newer = append(newer, fmt.Sprintf("deb p%02d:all 1.0", i))
	}
	_, err := Compare(Side{}, parse(newer...), dotted{}).Gate(nil, inside)
	if err == nil || strings.Contains(err.Error(), "p10") || !strings.HasSuffix(err.Error(), "; and 15 more") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
	if n := len(offenders(err)); n != 25 {
		t.Errorf("%d offenders", n)
	}
}
