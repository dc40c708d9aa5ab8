package image

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/nanopatch/nanopatch/rebuild/image/internal/rawjson"
)

// edit is a row of edits of one JSON text; the first error stops it.
type edit struct {
	doc []byte
	err error
}

func newEdit(doc []byte) *edit { return &edit{doc: doc} }

func (e *edit) set(value any, path ...any) {
	if e.err != nil {
		return
	}
	if doc, err := rawjson.Set(e.doc, value, path...); err != nil {
		e.err = err
	} else {
		e.doc = doc
	}
}

func (e *edit) remove(path ...any) {
	if e.err != nil {
		return
	}
	if doc, err := rawjson.Delete(e.doc, path...); err != nil {
		e.err = err
	} else {
		e.doc = doc
	}
}

// text is the string at path, empty where there is none.
func (e *edit) text(path ...any) string {
	var s string
	e.decode(&s, path)
	return s
}

// keys are the keys of the object at path, sorted.
func (e *edit) keys(path ...any) []string {
	var m map[string]json.RawMessage
	e.decode(&m, path)
	return slices.Sorted(maps.Keys(m))
}

func (e *edit) decode(into any, path []any) {
	if e.err != nil {
		return
	}
	raw, ok, err := rawjson.Get(e.doc, path...)
	if err == nil && ok {
		err = json.Unmarshal(raw, into)
	}
	e.err = err
}
