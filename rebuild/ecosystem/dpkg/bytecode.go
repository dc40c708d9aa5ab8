package dpkg

import (
	"path"
	"strings"
)

// bytecodeDir is where Python keeps compiled modules (PEP 3147).
const bytecodeDir = "__pycache__"

// dropBytecode deletes what Python compiled of a source file that changes or goes. An interpreter knows stale bytecode
// by the source's time and size; nothing may be left that could be taken for fresh, and an image that runs read-only
// cannot replace what is stale. py3compile would make it anew, which takes the image's own interpreter.
func (u *upgrade) dropBytecode(in *install, source string) {
	dir, name := path.Split(source)
	module, ok := strings.CutSuffix(name, ".py")
	if !ok {
		return
	}
	cache := path.Join(dir, bytecodeDir)
	for _, p := range u.compiled(cache)[module] {
		if u.tree.Exists(p) {
			u.tree.Remove(p, in.key(), false)
		}
	}
	if f, ok := u.tree.Lookup(cache); ok && f.IsDir() && !u.listed(cache) {
		u.removeEmpty(in, cache)
	}
}

// compiled lists the bytecode in a directory that no package ships, by module.
func (u *upgrade) compiled(cache string) map[string][]string {
	if known, ok := u.bytecode[cache]; ok {
		return known
	}
	modules := make(map[string][]string)
	for _, p := range u.tree.Children(cache) {
		// MODULE.TAG.pyc or MODULE.TAG.opt-1.pyc (PEP 488)
		module, rest, ok := strings.Cut(path.Base(p), ".")
		if ok && strings.HasSuffix(rest, ".pyc") && !u.listed(p) {
			modules[module] = append(modules[module], p)
		}
	}
	u.bytecode[cache] = modules
	return modules
}

// listed tells whether a package of the run ships a physical path.
func (u *upgrade) listed(at string) bool {
	for _, in := range u.installs {
		if _, ok := in.oldPlace[at]; ok {
			return true
		}
	}
	return false
}
