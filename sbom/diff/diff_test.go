package diff

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nanopatch/nanopatch/sbom"
)

// dotted orders versions like 1.2.3; the type "odd" has no order.
type dotted struct{}

var errNoOrder = errors.New("no order")

func (dotted) Compare(typ, a, b string) (int, error) {
	if typ == "odd" {
		return 0, errNoOrder
	}
	return slices.Compare(numbers(a), numbers(b)), nil
}

func (dotted) Level(_, from, to string) string {
	return []string{"major", "minor", "patch", "patch"}[likeness(from, to)]
}

func numbers(version string) []int {
	var out []int
	for _, f := range strings.Split(version, ".") {
		n, err := strconv.Atoi(f)
		if err != nil {
			return []int{-1}
		}
		out = append(out, n)
	}
	return out
}

// parse reads "type name version [path | layer=N | license=L]…" per package; the type ? is not known.
func parse(lines ...string) Side {
	var s Side
	for _, l := range lines {
		f := strings.Fields(l)
		name, arch, _ := strings.Cut(f[1], ":")
		p := sbom.Package{Type: strings.TrimPrefix(f[0], "?"), Name: name, Arch: arch, Version: f[2]}
		for _, more := range f[3:] {
			switch key, value, _ := strings.Cut(more, "="); key {
			case "layer":
				i := int(value[0] - '0')
				p.Layer = &sbom.Layer{Index: i, DiffID: "sha256:" + value, CreatedBy: "RUN " + value[:1]}
			case "license":
				p.Licenses = append(p.Licenses, strings.ReplaceAll(value, "+", " "))
			default:
				p.Paths = append(p.Paths, more)
			}
		}
		s.Packages = append(s.Packages, p)
	}
	return s
}

// show renders a diff, one difference a line.
func show(d *Diff) []string {
	var out []string
	for _, p := range d.Removed {
		out = append(out, fmt.Sprintf("- %s %s:%s %s", p.Type, p.Name, p.Arch, p.Version))
	}
	for _, p := range d.Added {
		out = append(out, fmt.Sprintf("+ %s %s:%s %s", p.Type, p.Name, p.Arch, p.Version))
	}
	for _, c := range d.Changed {
		line := fmt.Sprintf("~ %s %s:%s%s %s>%s %s %s", c.Type, c.Name, c.FromArch, c.Arch, c.From, c.To, c.Direction, c.Level)
		if c.FromLayer != nil {
			line += fmt.Sprintf(" layer %d>%d", *c.FromLayer, *c.Layer)
		}
		if c.Licenses != nil {
			line += fmt.Sprintf(" %q>%q", c.Licenses.From, c.Licenses.To)
		}
		out = append(out, line)
	}
	for _, m := range d.Moved {
		out = append(out, fmt.Sprintf("m %s %s:%s %s %d>%d", m.Type, m.Name, m.Arch, m.Version, m.FromLayer, m.Layer))
	}
	for _, r := range d.Relicensed {
		out = append(out, fmt.Sprintf("l %s %s:%s %s %q>%q", r.Type, r.Name, r.Arch, r.Version, r.From, r.To))
	}
	return append(out, fmt.Sprintf("= %d", d.Unchanged))
}

var compareCases = []struct {
	name     string
	old, new Side
	want     []string
}{
	{"nothing", Side{}, Side{}, []string{"= 0"}},
	{
		"an upgrade, a downgrade, an addition, a removal",
		parse("deb a:amd64 1.2.3", "deb b:amd64 2.0.0", "deb gone:all 1.0.0", "deb same:all 1.0.0"),
		parse("deb new:all 1.0.0", "deb same:all 1.0.0", "deb a:amd64 1.2.4", "deb b:amd64 1.9.0"),
		[]string{"- deb gone:all 1.0.0", "+ deb new:all 1.0.0", "~ deb a:amd64 1.2.3>1.2.4 upgrade patch", "~ deb b:amd64 2.0.0>1.9.0 downgrade major", "= 1"},
	},
	{
		"one name in two ecosystems",
		parse("deb six:all 1.0.0", "pypi six 1.0.0"), parse("deb six:all 1.1.0", "pypi six 1.0.0"),
		[]string{"~ deb six:all 1.0.0>1.1.0 upgrade minor", "= 1"},
	},
	{
		"two architectures",
		parse("deb libc6:amd64 1.0.0", "deb libc6:i386 1.0.0"), parse("deb libc6:amd64 1.0.1", "deb libc6:i386 1.0.1"),
		[]string{"~ deb libc6:amd64 1.0.0>1.0.1 upgrade patch", "~ deb libc6:i386 1.0.0>1.0.1 upgrade patch", "= 0"},
	},
	{
		"another architecture",
		parse("deb tool:all 1.0.0"), parse("deb tool:amd64 1.0.1"),
		[]string{"~ deb tool:allamd64 1.0.0>1.0.1 upgrade patch", "= 0"},
	},
	{
		"several versions, one of them updated",
		parse("npm lodash 3.10.1", "npm lodash 4.17.20"), parse("npm lodash 4.17.21", "npm lodash 3.10.1"),
		[]string{"~ npm lodash: 4.17.20>4.17.21 upgrade patch", "= 1"},
	},
	{
		"several versions, one gone: not a downgrade",
		parse("npm lodash 3.10.0", "npm lodash 4.17.20"), parse("npm lodash 3.10.1"),
		[]string{"- npm lodash: 4.17.20", "~ npm lodash: 3.10.0>3.10.1 upgrade patch", "= 0"},
	},
	{
		"several versions, one new",
		parse("npm lodash 4.17.20"), parse("npm lodash 3.10.1", "npm lodash 4.17.21", "npm lodash 2.0.0"),
		[]string{"+ npm lodash: 2.0.0", "+ npm lodash: 3.10.1", "~ npm lodash: 4.17.20>4.17.21 upgrade patch", "= 0"},
	},
	{
		"all updated, none crossed",
		parse("npm a 1.9.0", "npm a 1.10.0"), parse("npm a 1.10.1", "npm a 1.9.1"),
		[]string{"~ npm a: 1.10.0>1.10.1 upgrade patch", "~ npm a: 1.9.0>1.9.1 upgrade patch", "= 0"},
	},
	{
		"the place tells which",
		parse("npm a 1.0.0 x/package.json", "npm a 2.0.0 y/package.json"),
		parse("npm a 3.0.0 x/package.json", "npm a 2.5.0 y/package.json"),
		[]string{"~ npm a: 1.0.0>3.0.0 upgrade major", "~ npm a: 2.0.0>2.5.0 upgrade minor", "= 0"},
	},
	{
		"two copies, one updated",
		parse("npm a 1.0.0 x", "npm a 1.0.0 y"), parse("npm a 1.0.0 x", "npm a 1.0.1 y"),
		[]string{"~ npm a: 1.0.0>1.0.1 upgrade patch", "= 1"},
	},
	{
		"a copy more",
		parse("npm a 1.0.0 x"), parse("npm a 1.0.0 x", "npm a 1.0.0 y"),
		[]string{"+ npm a: 1.0.0", "= 1"},
	},
	{
		"a copy updated to what another had",
		parse("npm a 1.0.0 x", "npm a 2.0.0 y"), parse("npm a 2.0.0 x", "npm a 2.0.0 y"),
		[]string{"~ npm a: 1.0.0>2.0.0 upgrade major", "= 1"},
	},
	{
		"moved to another layer, and updated there",
		parse("deb a 1.0.0 layer=0", "deb b 1.0.0 layer=0", "deb c 1.0.0 layer=0", "deb d 1.0.0"),
		parse("deb a 1.0.0 layer=1", "deb b 1.0.1 layer=1", "deb c 1.0.0 layer=0-rewritten", "deb d 1.0.0 layer=1"),
		[]string{"~ deb b: 1.0.0>1.0.1 upgrade patch layer 0>1", "m deb a: 1.0.0 0>1", "= 3"},
	},
	{
		"copies in two layers, one gone: it did not move",
		parse("npm a 1.0.0 layer=0", "npm a 1.0.0 layer=2"), parse("npm a 1.0.0 layer=2"),
		[]string{"- npm a: 1.0.0", "= 1"},
	},
	{
		"other licenses, and the same in other words",
		parse("npm a 1.0.0 license=MIT", "npm b 1.0.0 license=MIT", "npm c 1.0.0 license=GPL-2 license=Artistic", "npm d 1.0.0", "npm e 1.0.0 license=MIT"),
		parse("npm a 1.0.0 license=BSL-1.1", "npm b 1.0.1 license=BSL-1.1", "npm c 1.0.0 license=(LicenseRef-Artistic+AND+LicenseRef-GPL-2)", "npm d 1.0.0 license=MIT", "npm e 1.0.0 license=NOASSERTION"),
		[]string{`~ npm b: 1.0.0>1.0.1 upgrade patch ["MIT"]>["BSL-1.1"]`, `l npm a: 1.0.0 ["MIT"]>["BSL-1.1"]`, "= 4"},
	},
	{
		"licenses that SPDX has no id for, as its writers write them",
		parse("npm a 1.0.0 license=GFDL-NIV-1.3~", "npm b 1.0.0 license=ISC+IBM license=BSD+(3+clause)", "npm c 1.0.0 license=sha256:ab12", "npm d 1.0.0 license=GPL-2.0-only"),
		parse("npm a 1.0.0 license=LicenseRef-GFDL-NIV-1.3-", "npm b 1.0.0 license=LicenseRef-BSD--3-clause-+AND+LicenseRef-ISC-IBM", "npm c 1.0.0 license=LicenseRef-ab12", "npm d 1.0.0 license=LicenseRef-GPL-2.0-only-"),
		[]string{`l npm d: 1.0.0 ["GPL-2.0-only"]>["LicenseRef-GPL-2.0-only-"]`, "= 4"},
	},
	{
		"the old side does not know types and architectures",
		parse("? a 1.0.0", "? b 1.0.0", "deb c 1.0.0"), parse("deb a:amd64 1.0.0", "deb b:amd64 1.0.1", "deb c:arm64 1.0.0"),
		[]string{"~ deb b:amd64 1.0.0>1.0.1 upgrade patch", "= 2"},
	},
	{
		"a name without a type could be either of two",
		parse("? six 1.0.0"), parse("deb six:all 1.0.1", "pypi six 1.0.1"),
		[]string{"-  six: 1.0.0", "+ deb six:all 1.0.1", "+ pypi six: 1.0.1", "= 0"},
	},
	{
		"a name without a type, and its version tells",
		parse("? six 1.0.0", "? six 1.0.0-4"), parse("deb six:all 1.0.0-4", "pypi six 1.0.0"),
		[]string{"= 2"},
	},
	{
		"two known types are two packages",
		parse("binary node 20.0.0"), parse("npm node 18.0.0"),
		[]string{"- binary node: 20.0.0", "+ npm node: 18.0.0", "= 0"},
	},
	{
		"no known order",
		parse("odd a x.y", "odd b x"), parse("odd a x.z", "odd b y"),
		[]string{"~ odd a: x.y>x.z  ", "~ odd b: x>y  ", "= 0"},
	},
}

func TestCompare(t *testing.T) {
	for _, c := range compareCases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, show(Compare(c.old, c.new, dotted{}))); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompareWithoutVersions(t *testing.T) {
	got := show(Compare(parse("deb a 1.0.0"), parse("deb a 1.0.1"), nil))
	if want := []string{"~ deb a: 1.0.0>1.0.1  ", "= 0"}; !slices.Equal(got, want) {
		t.Errorf("differences %q, want %q", got, want)
	}
}

func TestJSON(t *testing.T) {
	older, newer := parse("deb a:amd64 1.2.3", "deb gone:all 1.0.0"), parse("deb a:amd64 1.2.4")
	older.Image = sbom.Image{Ref: "app:1", Digest: "sha256:01"}
	newer.Image = sbom.Image{Ref: "app:2"}
	newer.Packages[0].Layer = &sbom.Layer{Index: 1}
	got, err := json.MarshalIndent(Compare(older, newer, dotted{}), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
 "apiVersion": "nanopatch/v1",
 "kind": "Diff",
 "old": {
  "ref": "app:1",
  "digest": "sha256:01"
 },
 "new": {
  "ref": "app:2"
 },
 "added": [],
 "removed": [
  {
   "name": "gone",
   "type": "deb",
   "arch": "all",
   "version": "1.0.0",
   "layer": null
  }
 ],
 "changed": [
  {
   "name": "a",
   "type": "deb",
   "arch": "amd64",
   "from": "1.2.3",
   "to": "1.2.4",
   "direction": "upgrade",
   "level": "patch",
   "layer": 1,
   "fixedCves": [],
   "advisories": []
  }
 ],
 "moved": [],
 "relicensed": [],
 "unchanged": 0,
 "consequences": [],
 "fixedCves": []
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}
