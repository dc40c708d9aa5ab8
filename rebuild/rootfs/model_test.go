package rootfs

import (
	"archive/tar"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// model is the specification written down naively: a map of paths, to which layers are applied one entry after the
// other, as a runtime that unpacks them into a directory would.
type model map[string]*modelFile

type modelFile struct {
	layer   int // that made it
	kind    byte
	text    string // content, or target of a symbolic link
	implied bool
}

const (
	isFile = 'f'
	isDir  = 'd'
	isLink = 'l'
)

func under(path, dir string) bool { return dir == "." || strings.HasPrefix(path, dir+"/") }

// hide removes what lower layers have at path (or only below it); directories that hold something of this layer
// are there all the same.
func (m model) hide(path string, self bool, index int) {
	for p, f := range m {
		if f.layer < index && (self && p == path || under(p, path)) {
			delete(m, p)
		}
	}
	for _, p := range slices.Collect(maps.Keys(m)) {
		if under(p, path) {
			for d := parentOf(p); d != "."; d = parentOf(d) {
				if m[d] == nil {
					m[d] = &modelFile{layer: index, kind: isDir, implied: true}
				}
			}
		}
	}
}

func (m model) remove(path string) {
	delete(m, path)
	for p := range m {
		if under(p, path) {
			delete(m, p)
		}
	}
}

func parentOf(p string) string {
	dir, _ := split(p)
	if dir == "" {
		return "."
	}
	return dir
}

func joined(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

// follow resolves a path; what is missing is appended. ok is false for a loop.
func (m model) follow(at, path string, links int) (resolved string, ok bool) {
	if links > maxLinks {
		return "", false
	}
	if strings.HasPrefix(path, "/") {
		at = "."
	}
	for name := range strings.SplitSeq(path, "/") {
		switch name {
		case "", ".":
			continue
		case "..":
			if at != "." {
				at = parentOf(at)
			}
			continue
		}
		next := joined(at, name)
		if f := m[next]; f != nil && f.kind == isLink {
			links++
			if next, ok = m.follow(at, f.text, links); !ok {
				return "", false
			}
		}
		at = next
	}
	return at, true
}

// apply unpacks a layer. It says false for one that no runtime could unpack: an entry lies below a loop of links, a
// hard link leads nowhere.
func (m model) apply(index int, lines []string) bool {
	for _, line := range lines {
		e := entry(line)
		hidden, opaque, white := e.Whiteout()
		dir, ok := m.follow(".", parentOf(e.Path), 0)
		if !ok {
			return false
		}
		_, name := split(e.Path)
		switch {
		case white && opaque:
			m.hide(dir, false, index)
			continue
		case white:
			_, name = split(hidden)
			m.hide(joined(dir, name), true, index)
			continue
		}
		f := &modelFile{layer: index, kind: isFile}
		switch {
		case strings.HasSuffix(line, "/"):
			f.kind = isDir
		case strings.Contains(line, "->"):
			f.kind, f.text = isLink, e.Linkname
		default:
			_, f.text, _ = strings.Cut(line, "=")
		}
		m.mkdir(dir, index)
		path := joined(dir, name)
		if old := m[path]; old != nil && (f.kind != isDir || old.kind != isDir) {
			m.remove(path)
		}
		if e.Type == tar.TypeLink {
			to, name := split(e.Linkname)
			to, ok = m.follow(".", to, 0)
			to = joined(to, name)
			target := m[to]
			if !ok || target == nil || target.kind == isDir {
				return false
			}
			f.kind, f.text = target.kind, target.text
		}
		m[path] = f
	}
	return true
}

// mkdir makes a directory and its parents where something else or nothing is.
func (m model) mkdir(dir string, index int) {
	if dir == "." {
		return
	}
	m.mkdir(parentOf(dir), index)
	if f := m[dir]; f == nil || f.kind != isDir {
		m.remove(dir)
		m[dir] = &modelFile{layer: index, kind: isDir, implied: true}
	}
}

func (m model) String() string {
	var all []string
	for _, p := range slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
	}) {
		f, s := m[p], p
		switch {
		case f.implied:
			s += "/?"
		case f.kind == isDir:
			s += "/"
		case f.kind == isLink:
			s += "->" + f.text
		default:
			s += "=" + f.text
		}
		all = append(all, fmt.Sprintf("%s@%d", s, f.layer))
	}
	return strings.Join(all, " ")
}

// genLayers draws layers that collide as often as possible.
func genLayers(t *rapid.T) [][]string {
	name := rapid.SampledFrom([]string{"a", "b", "c"})
	path := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(name, 1, 3).Draw(t, "path"), "/")
	})
	line := rapid.Custom(func(t *rapid.T) string {
		p := path.Draw(t, "at")
		switch rapid.IntRange(0, 10).Draw(t, "kind") {
		case 0, 1:
			return p + "/"
		case 2:
			return p + "->" + rapid.SampledFrom([]string{"", "/", "../"}).Draw(t, "from") + path.Draw(t, "target")
		case 3, 4:
			return layer.WhiteoutPath(p)
		case 5:
			return p + "=>" + path.Draw(t, "target")
		case 6:
			return parentOf(p) + "/.wh..wh..opq"
		default:
			return p + "=" + rapid.StringMatching("[0-9]").Draw(t, "text")
		}
	})
	clean := rapid.Map(line, func(s string) string { return strings.TrimPrefix(s, "./") })
	return rapid.SliceOfN(rapid.SliceOfN(clean, 0, 8), 1, 4).Draw(t, "layers")
}

// Every prefix of every stack shows what a runtime would have unpacked.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layers := genLayers(t)
		m := model{}
		var states []string
		var all []*layer.Index
		for i, lines := range layers {
			if !m.apply(i, lines) {
				t.Skip("not to be unpacked")
			}
			states = append(states, m.String())
			all = append(all, index(lines...))
		}
		s, err := New(all)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range states {
			if got := listRapid(t, s.View(i+1)); got != want {
				t.Fatalf("layers 0 to %d of %q:\n got %s\nwant %s", i, layers, got, want)
			}
		}
		lookups(t, s.Top(), m)
	})
}

// lookups asks for each path on its own.
func lookups(t *rapid.T, v *View, m model) {
	for p, f := range m {
		n, ok := v.Lookup(p)
		if !ok || n.Layer != f.layer || n.Implicit != f.implied {
			t.Fatalf("Lookup(%s): got %+v, %v, want %+v", p, n, ok, f)
		}
		want, ok := m.follow(".", p, 0)
		got, err := v.Resolve(p)
		switch {
		case ok && (m[want] != nil || want == ".") && (got != want || err != nil):
			t.Fatalf("Resolve(%s): got %q, %v, want %q", p, got, err, want)
		case (!ok || m[want] == nil && want != ".") && err == nil:
			t.Fatalf("Resolve(%s): got %q, want an error", p, got)
		}
	}
	for _, p := range []string{"a", "a/b", "a/b/c", "c/c", "b/a/c"} {
		if _, ok := v.Lookup(p); ok != (m[p] != nil) {
			t.Fatalf("Lookup(%s): got %v", p, ok)
		}
	}
}

func listRapid(t *rapid.T, v *View) string {
	var all []string
	if err := v.Walk(func(n Node) error {
		if n.Path != "." {
			all = append(all, spell(v, n))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}
