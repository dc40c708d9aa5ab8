package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// object splits a JSON object into its values. encoding/json would match keys whatever their case and let
// the last of several win; a signed document must have one reading, so keys are exact and unique here.
func object(raw []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	fields := map[string]json.RawMessage{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, ok := t.(string)
		if !ok {
			return nil, fmt.Errorf("key %v is not a string", t)
		}
		if _, dup := fields[key]; dup {
			return nil, fmt.Errorf("two values for %.80q", key)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("value of %.80q: %w", key, err)
		}
		fields[key] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the JSON object")
	}
	return fields, nil
}

// decode reads one required field of an object.
func decode(fields map[string]json.RawMessage, key string, into any) error {
	raw, ok := fields[key]
	if !ok {
		return fmt.Errorf("no %.80q", key)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("value of %.80q: %w", key, err)
	}
	return nil
}

func isObject(raw json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) && utf8.Valid(raw) && json.Valid(raw)
}

// encode writes compact JSON that leaves <, > and & as they are: predicates hold URLs that people read.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
