package rawjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// The errors of an edit; test with errors.Is.
var (
	// ErrSyntax says that the text is not one JSON value.
	ErrSyntax = errors.New("not valid JSON")
	// ErrPath says that the path does not lead where the operation needs it to.
	ErrPath = errors.New("no such place in the JSON")
	// ErrAmbiguous says that an object holds a key of the path more than once, or in another case.
	ErrAmbiguous = errors.New("ambiguous JSON key")
)

// Get returns the bytes of the value at path. A step of the path is a string, the key of an object's member, or an int,
// the index of an array's element. ok is false where there is no such value.
func Get(text []byte, path ...any) (value json.RawMessage, ok bool, err error) {
	if !json.Valid(text) {
		return nil, false, ErrSyntax
	}
	at, left, err := valid(text).walk(path)
	if err != nil {
		return nil, false, err
	}
	if len(left) > 0 {
		return nil, false, nil
	}
	return slices.Clone(text[at.start:at.end]), true, nil
}

// Set puts value, encoded as encoding/json does but without its care for HTML, at path. Objects that the path names and that are absent or null are
// made; arrays are not.
func Set(text []byte, value any, path ...any) ([]byte, error) {
	if !json.Valid(text) {
		return nil, ErrSyntax
	}
	t := valid(text)
	at, left, err := t.walk(path)
	if err != nil {
		return nil, err
	}
	// What is missing of the path becomes nested objects around the value.
	for len(left) > 1 {
		key, ok := left[len(left)-1].(string)
		if !ok {
			return nil, fmt.Errorf("%w: %v", ErrPath, path)
		}
		value = map[string]any{key: value}
		left = left[:len(left)-1]
	}
	if len(left) == 0 {
		encoded, err := encode(value)
		if err != nil {
			return nil, fmt.Errorf("encoding the value of %v: %w", path, err)
		}
		return splice(text, at, encoded), nil
	}
	key, ok := left[0].(string)
	if !ok {
		return nil, fmt.Errorf("%w: %v", ErrPath, path)
	}
	if t.isNull(at) {
		encoded, err := encode(map[string]any{key: value})
		if err != nil {
			return nil, fmt.Errorf("encoding the value of %v: %w", path, err)
		}
		return splice(text, at, encoded), nil
	}
	if text[at.start] != '{' {
		return nil, fmt.Errorf("%w: %v", ErrPath, path)
	}
	encoded, err := t.member(at, key, value)
	if err != nil {
		return nil, fmt.Errorf("encoding the value of %v: %w", path, err)
	}
	return t.add(at, encoded), nil
}

// Insert puts value into the array at path so that it becomes the element number index; the array's length appends.
func Insert(text []byte, value any, index int, path ...any) ([]byte, error) {
	if !json.Valid(text) {
		return nil, ErrSyntax
	}
	t := valid(text)
	at, left, err := t.walk(path)
	if err != nil {
		return nil, err
	}
	if len(left) > 0 || text[at.start] != '[' {
		return nil, fmt.Errorf("%w: %v", ErrPath, path)
	}
	encoded, err := encode(value)
	if err != nil {
		return nil, fmt.Errorf("encoding the value of %v: %w", path, err)
	}
	n := 0
	for e := range t.children(at) {
		if n == index {
			space := t.spaceBefore(e.whole.start)
			return splice(text, span{e.whole.start, e.whole.start}, encoded, []byte{','}, space), nil
		}
		n++
	}
	if n != index {
		return nil, fmt.Errorf("%w: %v has %d elements, not %d", ErrPath, path, n, index)
	}
	return t.add(at, encoded), nil
}

// Delete takes away the member or element at path. What is not there is no error.
func Delete(text []byte, path ...any) ([]byte, error) {
	if !json.Valid(text) {
		return nil, ErrSyntax
	}
	if len(path) == 0 {
		return nil, fmt.Errorf("%w: an empty path", ErrPath)
	}
	t := valid(text)
	parent, left, err := t.walk(path[:len(path)-1])
	if err != nil || len(left) > 0 {
		return text, err
	}
	target, ok, err := t.child(parent, path[len(path)-1])
	if err != nil || !ok {
		return text, err
	}
	var before, after *child
	for c := range t.children(parent) {
		switch {
		case c.whole.end <= target.whole.start:
			before = &c
		case c.whole.start >= target.whole.end && after == nil:
			after = &c
		}
	}
	switch {
	case after != nil:
		return splice(text, span{target.whole.start, after.whole.start}), nil
	case before != nil:
		return splice(text, span{before.whole.end, target.whole.end}), nil
	default:
		return splice(text, span{parent.start + 1, parent.end - 1}), nil
	}
}

func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

// splice returns text with the bytes at s replaced by the parts.
func splice(text []byte, s span, parts ...[]byte) []byte {
	out := slices.Clone(text[:s.start])
	for _, p := range parts {
		out = append(out, p...)
	}
	return append(out, text[s.end:]...)
}
