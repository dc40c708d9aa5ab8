package generate

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"testing"

	"github.com/anchore/stereoscope/pkg/filetree"
	"github.com/anchore/syft/syft/file"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func show(locations []file.Location, err error) []string {
	out := []string{fmt.Sprint(err != nil)}
	for _, l := range locations {
		out = append(out, fmt.Sprintf("%s as %s in %s, reference to %s %v", l.RealPath, l.AccessPath, l.FileSystemID,
			l.Reference().RealPath, l.Annotations))
	}
	return out
}

func content(r file.Resolver, l file.Location) string {
	f, err := r.FileContentsByLocation(l)
	if err != nil {
		return "error"
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return "error"
	}
	return string(b)
}

func compareResolvers(t *testing.T, theirs, ours file.Resolver) {
	t.Helper()
	same := func(what string, want, got any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-theirs +ours):\n%s", what, diff)
		}
	}
	for _, p := range []string{
		"/", "/bin", "/bin/tool", "/usr/bin/alias", "/usr/bin/dead", "/usr/bin/loop", "/opt/data", "/opt/data/one.list", "/opt/again",
		"/opt/data/two.list", "/usr/lib/a.so", "/nothing", "usr/bin/tool", "/usr/bin/../lib/a.so", "",
	} {
		want, err := theirs.FilesByPath(p)
		got, gotErr := ours.FilesByPath(p)
		same("path "+p, show(want, err), show(got, gotErr))
		same("has "+p, theirs.HasPath(p), ours.HasPath(p))
		for i := range want {
			same("content of "+p, content(theirs, want[i]), content(ours, got[i]))
			wantMeta, err := theirs.FileMetadataByLocation(want[i])
			gotMeta, gotErr := ours.FileMetadataByLocation(got[i])
			same("metadata error of "+p, err, gotErr)
			same("metadata of "+p, fmt.Sprint(wantMeta.Type, wantMeta.Size(), wantMeta.Mode()), fmt.Sprint(gotMeta.Type, gotMeta.Size(), gotMeta.Mode()))
		}
		one := func(l *file.Location) []string {
			if l == nil {
				return nil
			}
			return show([]file.Location{*l}, nil)
		}
		for i := range want {
			same("relative "+p, one(theirs.RelativeFileByPath(want[i], p)), one(ours.RelativeFileByPath(got[i], p)))
		}
	}
	for _, g := range []string{
		"**/tool", "**/bin/*", "/bin/*", "**/*.list", "/var/lib/db/one.*", "/var/lib/db/*", "/opt/data/one.*", "**/data/*.list", "**/*.so*",
		"/usr/bin/{tool,alias}", "**/again", "/**", "**/d*", "/usr/bin/d*", "/usr/bin/l*", "/var/lib/db/dir.*", "/var/lib/d[b]/one.*",
	} {
		want, err := theirs.FilesByGlob(g)
		got, gotErr := ours.FilesByGlob(g)
		same("glob "+g, show(want, err), show(got, gotErr))
	}
	want, err := theirs.FilesByMIMEType("application/x-sharedlib", "application/x-executable")
	got, gotErr := ours.FilesByMIMEType("application/x-sharedlib", "application/x-executable")
	same("shared libraries", show(want, err), show(got, gotErr))
	same("all", all(theirs), all(ours))
}

func all(r file.Resolver) []string {
	var out []string
	for l := range r.AllLocations(context.Background()) {
		out = append(out, l.RealPath)
	}
	slices.Sort(out)
	return out
}

// TestOneDirectory holds the shortcut for patterns within one directory against the general search.
func TestOneDirectory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"a", "b", "a.x", "a.y", "b.x", "a:b.x", "ab"})
		dirs := rapid.SampledFrom([]string{"d", "d/e", "l", "d/a.x"})
		members := map[string]string{}
		for range rapid.IntRange(1, 12).Draw(t, "members") {
			p := path.Join(dirs.Draw(t, "dir"), name.Draw(t, "name"))
			if rapid.Bool().Draw(t, "link") {
				members[p] = "-> " + rapid.SampledFrom([]string{"a", "b.x", "../d", "/d/a.x", "/d/e/a", "nothing", "/l"}).Draw(t, "target")
			} else {
				members[p] = "content"
			}
		}
		if rapid.Bool().Draw(t, "linked directory") {
			for p := range members {
				if path.Dir(p) == "l" {
					delete(members, p)
				}
			}
			members["l"] = "-> d"
		}
		var layer []member
		for p, c := range members {
			if _, isFile := members[path.Dir(p)]; !isFile {
				layer = append(layer, member{path: p, content: c})
			}
		}
		x, err := newIndex(context.Background(), newTree([][]member{layer}))
		if err != nil {
			t.Fatal(err)
		}
		pattern := path.Join("/", dirs.Draw(t, "where"), rapid.SampledFrom([]string{"a.*", "*", "?", "{a,b}.x", "[ab]", "*.x", "a*"}).Draw(t, "pattern"))
		got, ok := x.globOneDirectory(pattern)
		if !ok {
			t.Skip("not for the shortcut")
		}
		r := &resolver{index: x, layers: []string{"0"}}
		found, err := x.search.SearchByGlob(pattern, filetree.FollowBasenameLinks)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range found {
			if x.file(&found[i]) != nil {
				want = append(want, string(found[i].RequestPath))
			}
		}
		if diff := cmp.Diff(files(t, r, want), files(t, r, got)); diff != "" {
			t.Fatalf("%s in %v (-search +shortcut):\n%s", pattern, members, diff)
		}
	})
}

// files are what the paths lead to, each once, with the path that came first.
func files(t *rapid.T, r *resolver, paths []string) []string {
	found, err := r.FilesByPath(paths...)
	if err != nil {
		t.Fatal(err)
	}
	return show(found, nil)
}
