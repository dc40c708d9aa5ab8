package generate

import (
	"path"
	"strings"

	stereoscope "github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/syft/syft/pkg"
)

// home tells which layer installed a package in its present version.
//
// A database that holds all packages in one file (dpkg's status, apk's installed, RPM's) is copied into every layer that
// touches it, so its own layer says nothing. dpkg leaves two files per package that it writes on each unpack and
// never else; for the others the package's own files vote.
func (r *resolver) home(p pkg.Package) (layer int, ok bool) {
	switch p.Type {
	case pkg.DebPkg:
		layer, ok = r.dpkgHome(p)
	case pkg.ApkPkg, pkg.RpmPkg, pkg.AlpmPkg:
		layer, ok = r.filesHome(p)
	default:
	}
	if ok {
		return layer, true
	}
	return r.evidenceHome(p)
}

// dpkgHome is the layer of the package's file list or checksums: info/NAME[:ARCH].{list,md5sums}. In status.d (distroless)
// each package has a status file of its own, which evidenceHome finds.
func (r *resolver) dpkgHome(p pkg.Package) (layer int, ok bool) {
	layer = -1
	for _, l := range p.Locations.ToUnorderedSlice() {
		dir, file := path.Split(l.RealPath)
		name, isInfo := strings.CutSuffix(file, ".list")
		if !isInfo {
			name, isInfo = strings.CutSuffix(file, ".md5sums")
		}
		if !isInfo || !strings.HasSuffix(dir, "/dpkg/info/") {
			continue
		}
		if name, _, _ = strings.Cut(name, ":"); name != p.Name {
			continue
		}
		if i, found := r.index.byPath[l.RealPath]; found {
			layer = max(layer, r.index.nodes[i].Layer)
		}
	}
	return layer, layer >= 0
}

// filesHome is the layer that holds most of the package's regular files; of two that hold as many, the upper one.
func (r *resolver) filesHome(p pkg.Package) (layer int, ok bool) {
	owner, isOwner := p.Metadata.(pkg.FileOwner)
	if !isOwner {
		return 0, false
	}
	votes := map[int]int{}
	for _, owned := range owner.OwnedFiles() {
		if e, err := r.index.resolve(owned); err == nil && e != nil && e.kind() == stereoscope.TypeRegular {
			votes[e.Layer]++
		}
	}
	layer = -1
	for l, n := range votes {
		if layer < 0 || n > votes[layer] || n == votes[layer] && l > layer {
			layer = l
		}
	}
	return layer, layer >= 0
}

// evidenceHome is the uppermost layer among the files by which the package was found: the primary ones where any is
// marked so.
func (r *resolver) evidenceHome(p pkg.Package) (layer int, ok bool) {
	primary, supporting := -1, -1
	for _, l := range p.Locations.ToUnorderedSlice() {
		i, found := r.index.byPath[l.RealPath]
		if !found {
			continue
		}
		supporting = max(supporting, r.index.nodes[i].Layer)
		if l.Annotations[pkg.EvidenceAnnotationKey] == pkg.PrimaryEvidenceAnnotation {
			primary = max(primary, r.index.nodes[i].Layer)
		}
	}
	if primary >= 0 {
		return primary, true
	}
	return supporting, supporting >= 0
}
