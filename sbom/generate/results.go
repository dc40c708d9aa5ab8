package generate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/cpe"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/format/syftjson"
	"github.com/anchore/syft/syft/format/syftjson/model"
	"github.com/anchore/syft/syft/pkg"
)

// results are what a cataloger returns.
type results struct {
	packages      []pkg.Package
	relationships []artifact.Relationship
}

// keptResults are results in a file, the packages as syft's own format has them.
type keptResults struct {
	// Inputs is the digest of the queries that led to them and of the answers.
	Inputs string `json:"inputs"`
	// Packages are null where the cataloger returned none at all, as opposed to a list of none.
	Packages      []model.Package    `json:"packages"`
	Relationships []keptRelationship `json:"relationships"`
}

// keptRelationship is one between two of the packages, by their places in the list.
type keptRelationship struct {
	From int                       `json:"from"`
	To   int                       `json:"to"`
	Type artifact.RelationshipType `json:"type"`
}

// errLossy says that results would not come back from a file as they were.
var errLossy = errors.New("what was found cannot be kept without loss")

// encodeResults writes results, but only those that decodeResults gives back the same, errLossy for others.
func encodeResults(r results, inputs string, v view) ([]byte, error) {
	kept, err := keepable(r)
	if err != nil {
		return nil, err
	}
	kept.Inputs = inputs
	data, err := json.Marshal(kept)
	if err != nil {
		return nil, err
	}
	back, err := decodeResults(data, inputs, v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLossy, err)
	}
	for i := range r.packages {
		if !samePackage(r.packages[i], back.packages[i]) {
			return nil, fmt.Errorf("%w: %s", errLossy, r.packages[i].Name)
		}
	}
	again, err := keepable(back)
	if err != nil {
		return nil, err
	}
	again.Inputs = inputs
	if second, err := json.Marshal(again); err != nil || !bytes.Equal(data, second) {
		return nil, errLossy
	}
	return data, nil
}

func keepable(r results) (*keptResults, error) {
	kept := &keptResults{}
	if r.packages != nil {
		kept.Packages = []model.Package{}
	}
	places := map[artifact.ID]int{}
	for i := range r.packages {
		p := &r.packages[i]
		if _, ok := places[p.ID()]; !ok {
			places[p.ID()] = i
		}
		kept.Packages = append(kept.Packages, packageModel(p))
	}
	for _, rel := range r.relationships {
		from, isFrom := rel.From.(pkg.Package)
		to, isTo := rel.To.(pkg.Package)
		if !isFrom || !isTo || rel.Data != nil {
			return nil, fmt.Errorf("%w: a relationship of other things than packages, or with data", errLossy)
		}
		k := keptRelationship{Type: rel.Type}
		if k.From, isFrom = places[from.ID()]; !isFrom {
			return nil, fmt.Errorf("%w: a relationship to %s, which is not listed", errLossy, from.Name)
		}
		if k.To, isTo = places[to.ID()]; !isTo {
			return nil, fmt.Errorf("%w: a relationship to %s, which is not listed", errLossy, to.Name)
		}
		kept.Relationships = append(kept.Relationships, k)
	}
	return kept, nil
}

// packageModel is a package in syft's own format. What that leaves out of a package's metadata (the descriptions of dpkg, which
// package an archive was found in) is no part of any document.
func packageModel(p *pkg.Package) model.Package {
	m := model.Package{PackageBasicData: model.PackageBasicData{
		ID: string(p.ID()), Name: p.Name, Version: p.Version, Type: p.Type, FoundBy: p.FoundBy,
		Locations: p.Locations.ToSlice(), Language: p.Language, PURL: p.PURL,
	}}
	m.Metadata, m.MetadataType = p.Metadata, syftjson.MetadataType(p.Metadata)
	for _, c := range p.CPEs {
		m.CPEs = append(m.CPEs, model.CPE{Value: c.Attributes.String(), Source: c.Source.String()})
	}
	for _, l := range p.Licenses.ToSlice() {
		m.Licenses = append(m.Licenses, model.License{
			Value: l.Value, SPDXExpression: l.SPDXExpression, Type: l.Type, URLs: l.URLs, Locations: l.Locations.ToSlice(),
			Contents: l.Contents,
		})
	}
	return m
}

// samePackage compares what the model leaves out: the nodes of a view that locations refer to, and what makes up the id, which is
// computed anew where something is filled in.
func samePackage(a, b pkg.Package) bool {
	if a.ID() == "" || a.ID() != b.ID() || !sameLocations(a.Locations, b.Locations) {
		return false
	}
	la, lb := a.Licenses.ToSlice(), b.Licenses.ToSlice()
	if len(la) != len(lb) {
		return false
	}
	for i := range la {
		if !sameLocations(la[i].Locations, lb[i].Locations) {
			return false
		}
	}
	a.SetID()
	b.SetID()
	return a.ID() == b.ID()
}

func sameLocations(a, b file.LocationSet) bool {
	all := a.ToUnorderedSlice()
	for _, l := range all {
		if !b.Contains(l) {
			return false
		}
	}
	return len(all) == len(b.ToUnorderedSlice())
}

// errElsewhere says that results tell of a file that the image does not have in that layer.
var errElsewhere = errors.New("what was found is in other layers")

// decodeResults reads results as the cataloger would return them for the image of a view, errElsewhere where it would not since
// the same files are in other layers.
func decodeResults(data []byte, inputs string, v view) (results, error) {
	var kept keptResults
	if err := json.Unmarshal(data, &kept); err != nil {
		return results{}, err
	}
	if kept.Inputs != inputs {
		return results{}, errors.New("what was found is of other files")
	}
	var places any
	if err := json.Unmarshal(data, &places); err != nil {
		return results{}, err
	}
	if !inPlace(places, v) {
		return results{}, errElsewhere
	}
	var r results
	if kept.Packages != nil {
		r.packages = make([]pkg.Package, 0, len(kept.Packages))
	}
	for i := range kept.Packages {
		p, err := packageOf(&kept.Packages[i], v)
		if err != nil {
			return results{}, err
		}
		r.packages = append(r.packages, p)
	}
	for _, k := range kept.Relationships {
		if min(k.From, k.To) < 0 || max(k.From, k.To) >= len(r.packages) {
			return results{}, errors.New("a relationship of packages that are not listed")
		}
		r.relationships = append(r.relationships, artifact.Relationship{From: r.packages[k.From], To: r.packages[k.To], Type: k.Type})
	}
	return r, nil
}

// inPlace tells whether all that names a layer, at any depth of a JSON value, names a file that the layer has in this image.
func inPlace(value any, v view) bool {
	switch value := value.(type) {
	case []any:
		for _, inner := range value {
			if !inPlace(inner, v) {
				return false
			}
		}
	case map[string]any:
		if layer, ok := value["layerID"].(string); ok {
			path, _ := value["path"].(string)
			if v.at(file.NewCoordinates(path, layer)) == nil {
				return false
			}
		}
		for _, inner := range value {
			if !inPlace(inner, v) {
				return false
			}
		}
	}
	return true
}

func packageOf(m *model.Package, v view) (pkg.Package, error) {
	p := pkg.Package{
		Name: m.Name, Version: m.Version, FoundBy: m.FoundBy, Locations: locationSet(m.Locations, v), Language: m.Language, Type: m.Type,
		PURL: m.PURL, Metadata: m.Metadata,
	}
	for _, c := range m.CPEs {
		known, err := cpe.New(c.Value, cpe.Source(c.Source))
		if err != nil {
			return p, err
		}
		p.CPEs = append(p.CPEs, known)
	}
	var licenses []pkg.License
	for _, l := range m.Licenses {
		licenses = append(licenses, pkg.License{
			Value: l.Value, SPDXExpression: l.SPDXExpression, Type: l.Type, URLs: l.URLs, Locations: locationSet(l.Locations, v),
			Contents: l.Contents,
		})
	}
	p.Licenses = pkg.NewLicenseSet(licenses...)
	p.OverrideID(artifact.ID(m.ID))
	return p, nil
}

// locationSet has the locations refer to the nodes of a view, as those do that it gives out itself.
func locationSet(locations []file.Location, v view) file.LocationSet {
	var set file.LocationSet
	for _, l := range locations {
		own := file.NewLocation(l.RealPath)
		if e := v.at(l.Coordinates); e != nil {
			own = file.NewLocationFromDirectory(l.RealPath, l.FileSystemID, e.ref)
		}
		own.Coordinates, own.AccessPath = l.Coordinates, l.AccessPath
		for key, value := range l.Annotations {
			own.Annotations[key] = value
		}
		set.Add(own)
	}
	return set
}
