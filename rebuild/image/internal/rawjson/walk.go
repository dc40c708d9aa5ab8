package rawjson

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// valid is a JSON text that json.Valid has passed: what follows relies on it and checks no syntax again.
type valid []byte

// span is a half-open range of offsets.
type span struct{ start, end int }

// child is a member of an object or an element of an array.
type child struct {
	// key is a member's decoded key.
	key string
	// whole covers a member from its key to the end of its value, an element's value.
	whole span
	// value covers the value only.
	value span
}

// walk follows path as far as it leads and returns the last value reached with the steps that are left.
func (t valid) walk(path []any) (at span, left []any, err error) {
	start := t.skipSpace(0)
	at = span{start, t.skipValue(start)}
	for i, step := range path {
		c, ok, err := t.child(at, step)
		if err != nil {
			return span{}, nil, err
		}
		if !ok {
			return at, path[i:], nil
		}
		at = c.value
	}
	return at, nil, nil
}

// child finds one member (a string step) or element (an int step) of the value at parent. null has no children.
func (t valid) child(parent span, step any) (found child, ok bool, err error) {
	if t.isNull(parent) {
		return child{}, false, nil
	}
	switch step := step.(type) {
	case string:
		if t[parent.start] != '{' {
			return child{}, false, fmt.Errorf("%w: %q is asked of a value that is no object", ErrPath, step)
		}
		for c := range t.children(parent) {
			if !strings.EqualFold(c.key, step) {
				continue
			}
			if ok || c.key != step {
				return child{}, false, fmt.Errorf("%w: %q", ErrAmbiguous, step)
			}
			found, ok = c, true
		}
		return found, ok, nil
	case int:
		if t[parent.start] != '[' {
			return child{}, false, fmt.Errorf("%w: element %d is asked of a value that is no array", ErrPath, step)
		}
		n := 0
		for c := range t.children(parent) {
			if n == step {
				return c, true, nil
			}
			n++
		}
		return child{}, false, nil
	default:
		return child{}, false, fmt.Errorf("%w: a step is a string or an int, not %T", ErrPath, step)
	}
}

// children yields what the object or array at s holds, in order; other values hold nothing.
func (t valid) children(s span) iter.Seq[child] {
	return func(yield func(child) bool) {
		open := t[s.start]
		if open != '{' && open != '[' {
			return
		}
		i := t.skipSpace(s.start + 1)
		for t[i] != '}' && t[i] != ']' {
			c := child{whole: span{start: i}}
			if open == '{' {
				keyEnd := t.skipValue(i)
				// A valid string always decodes.
				_ = json.Unmarshal(t[i:keyEnd], &c.key)
				i = t.skipSpace(t.skipSpace(keyEnd) + 1)
			}
			c.value = span{i, t.skipValue(i)}
			c.whole.end = c.value.end
			if !yield(c) {
				return
			}
			i = t.skipSpace(c.value.end)
			if t[i] == ',' {
				i = t.skipSpace(i + 1)
			}
		}
	}
}

// add appends an encoded member or element to the object or array at s.
func (t valid) add(s span, encoded []byte) []byte {
	var last *child
	for c := range t.children(s) {
		last = &c
	}
	if last == nil {
		return splice(t, span{s.start + 1, s.end - 1}, encoded)
	}
	return splice(t, span{last.whole.end, last.whole.end}, []byte{','}, t.spaceBefore(last.whole.start), encoded)
}

// member encodes a member, with the space after the colon that the object's other members have.
func (t valid) member(s span, key string, value any) ([]byte, error) {
	k, err := encode(key)
	if err != nil {
		return nil, err
	}
	v, err := encode(value)
	if err != nil {
		return nil, err
	}
	var space []byte
	for c := range t.children(s) {
		space = t.spaceBefore(c.value.start)
		break
	}
	return slices.Concat(k, []byte{':'}, space, v), nil
}

func (t valid) isNull(s span) bool { return t[s.start] == 'n' }

// spaceBefore returns the white space that ends at i.
func (t valid) spaceBefore(i int) []byte {
	start := i
	for start > 0 && isSpace(t[start-1]) {
		start--
	}
	return t[start:i]
}

func (t valid) skipSpace(i int) int {
	for i < len(t) && isSpace(t[i]) {
		i++
	}
	return i
}

// skipValue returns the offset after the value that starts at i.
func (t valid) skipValue(i int) int {
	depth := 0
	for {
		switch t[i] {
		case '"':
			i = t.skipString(i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\r', '\n':
			i++
			continue
		default:
			i = t.skipScalar(i)
		}
		if depth == 0 {
			return i
		}
	}
}

func (t valid) skipString(i int) int {
	for i++; t[i] != '"'; i++ {
		if t[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipScalar passes a number, true, false or null.
func (t valid) skipScalar(i int) int {
	for i < len(t) && !isSpace(t[i]) && !strings.ContainsRune(",:]}", rune(t[i])) {
		i++
	}
	return i
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }
