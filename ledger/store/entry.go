package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/poolkeeper/poolkeeper/ledger"
)

// CorruptError is an entry of the stored ledger that can't be read.
type CorruptError struct {
	// ConfigMap is namespace/name, Key the key in its data.
	ConfigMap, Key string
	Err            error
}

// Error names the ConfigMap and the key, and says what to do.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("ConfigMap %s, key %q can't be read: %v: mend the value, or remove the key if what it stands for is over", e.ConfigMap, e.Key, e.Err)
}

// Unwrap gives the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// decode reads an entry. An entry of a kind that only a newer daemon knows is not known, and no error.
func decode(name, value string) (e ledger.Entry, known bool, err error) {
	if err := json.Unmarshal([]byte(value), &e); err != nil {
		return ledger.Entry{}, false, err
	}
	key := e.Key()
	if key == "" {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal([]byte(value), &fields); err != nil {
			return ledger.Entry{}, false, err
		}
		if len(fields) == 0 {
			return ledger.Entry{}, false, errors.New("the entry is empty")
		}
		return ledger.Entry{}, false, nil
	}
	if encodeKey(key) != name {
		return ledger.Entry{}, false, fmt.Errorf("the entry calls itself %q", key)
	}
	return e, true, nil
}

// encode writes an entry, with the fields of the old value that only a newer daemon knows.
func encode(e ledger.Entry, old string) (string, error) {
	value, err := json.Marshal(e)
	if err != nil || old == "" {
		return string(value), err
	}
	var before ledger.Entry
	err = json.Unmarshal([]byte(old), &before)
	if err != nil {
		return "", err
	}
	known, err := json.Marshal(before)
	if err != nil || string(known) == old { // as we wrote it: nothing of somebody else's in it
		return string(value), err
	}
	return string(keepUnknown(value, []byte(old), known)), nil
}

// keepUnknown adds to the JSON object value what is in old but got lost when old was read: known is what was left of it. Lists are
// not looked into.
func keepUnknown(value, old, known json.RawMessage) json.RawMessage {
	var valueFields, oldFields, knownFields map[string]json.RawMessage
	if json.Unmarshal(value, &valueFields) != nil || json.Unmarshal(old, &oldFields) != nil || json.Unmarshal(known, &knownFields) != nil {
		return value
	}
	kept := false
	for name, was := range oldFields {
		is, here := valueFields[name]
		read, understood := knownFields[name]
		switch {
		case here && understood:
			merged := keepUnknown(is, was, read)
			kept = kept || !bytes.Equal(merged, is)
			valueFields[name] = merged
		case !here && !understood:
			kept = true
			valueFields[name] = was
		}
	}
	if !kept {
		return value
	}
	merged, err := json.Marshal(valueFields)
	if err != nil {
		return value
	}
	return merged
}

// equal compares entries as they are stored: times without their monotonic part and location.
func equal(a, b ledger.Entry) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// maxKey is the longest key that the API server takes in a ConfigMap.
const maxKey = 253

// encodeKey writes an entry's key in the letters that a ConfigMap's key may have: a slash becomes two underscores, every other strange byte an
// underscore and two hexadecimal digits. It can be turned back, but for keys that are too long: these end in a hash, and the
// entry itself tells its key.
func encodeKey(key string) string {
	var b strings.Builder
	for i := range len(key) {
		switch c := key[i]; {
		case c == '/':
			b.WriteString("__")
		case c == '-', '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	name := b.String()
	if len(name) <= maxKey {
		return name
	}
	sum := sha256.Sum256([]byte(key))
	end := "_h" + hex.EncodeToString(sum[:])
	return name[:maxKey-len(end)] + end
}
