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
		if module := compiledModule(path.Base(p)); module != "" && !u.listed(p) {
			modules[module] = append(modules[module], p)
		}
	}
	u.bytecode[cache] = modules
	return modules
}

// compiledModule is the module of MODULE.TAG.pyc or MODULE.TAG.opt-1.pyc (PEP 488), "" for other names. A module may have dots in
// its name, as __phello__.foo of the standard library has.
func compiledModule(name string) string {
	name, ok := strings.CutSuffix(name, ".pyc")
	if i := strings.LastIndex(name, ".opt-"); i >= 0 {
		name = name[:i]
	}
	i := strings.LastIndexByte(name, '.')
	if !ok || i < 0 {
		return ""
	}
	return name[:i]
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
