package generate

import (
	"path"
	"strings"

	stereoscope "github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"
)

// home tells which layer installed a package in its present version.
//
// A database that holds all packages in one file (dpkg's status, apk's installed, RPM's) is copied into every layer that
// touches it, so its own layer says nothing. dpkg leaves two files per package that it writes on each unpack and
// never else; for the others the package's own files vote.
func home(v view, p pkg.Package) (layer int, ok bool) {
	switch p.Type {
	case pkg.DebPkg:
		layer, ok = dpkgHome(v, p)
	case pkg.ApkPkg, pkg.RpmPkg, pkg.AlpmPkg:
		layer, ok = filesHome(v, p)
	default:
	}
	if ok {
		return layer, true
	}
	return evidenceHome(v, p)
}

// dpkgHome is the layer of the package's file list or checksums: info/NAME[:ARCH].{list,md5sums}. In status.d (distroless)
// each package has a status file of its own, which evidenceHome finds.
func dpkgHome(v view, p pkg.Package) (layer int, ok bool) {
	layer = -1
	for _, l := range p.Locations.ToUnorderedSlice() {
		dir, base := path.Split(l.RealPath)
		name, isInfo := strings.CutSuffix(base, ".list")
		if !isInfo {
			name, isInfo = strings.CutSuffix(base, ".md5sums")
		}
		if !isInfo || !strings.HasSuffix(dir, "/dpkg/info/") {
			continue
		}
		if name, _, _ = strings.Cut(name, ":"); name != p.Name {
			continue
		}
		if e := v.node(l); e != nil {
			layer = max(layer, e.Layer)
		}
	}
	return layer, layer >= 0
}

// filesHome is the layer that holds most of the package's regular files; of two that hold as many, the upper one.
func filesHome(v view, p pkg.Package) (layer int, ok bool) {
	owner, isOwner := p.Metadata.(pkg.FileOwner)
	if !isOwner {
		return 0, false
	}
	database, found := lowestEvidence(v, p)
	if !found {
		return 0, false
	}
	votes := map[int]int{}
	for _, name := range owner.OwnedFiles() {
		if e := v.owned(database, name); e != nil && e.kind() == stereoscope.TypeRegular {
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
func evidenceHome(v view, p pkg.Package) (layer int, ok bool) {
	primary, supporting := -1, -1
	for _, l := range p.Locations.ToUnorderedSlice() {
		e := v.node(l)
		if e == nil {
			continue
		}
		supporting = max(supporting, e.Layer)
		if l.Annotations[pkg.EvidenceAnnotationKey] == pkg.PrimaryEvidenceAnnotation {
			primary = max(primary, e.Layer)
		}
	}
	if primary >= 0 {
		return primary, true
	}
	return supporting, supporting >= 0
}

// lowestEvidence is where the lowest layer that lists a package in this version does so: there its files are as the
// package manager left them.
func lowestEvidence(v view, p pkg.Package) (lowest file.Location, found bool) {
	layer := -1
	for _, l := range p.Locations.ToSlice() {
		if e := v.node(l); e != nil && (layer < 0 || e.Layer < layer) {
			lowest, layer = l, e.Layer
		}
	}
	return lowest, layer >= 0
}
