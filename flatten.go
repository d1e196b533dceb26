package penumbra

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Flatten turns a nested configuration, as encoding/json decodes it with
// UseNumber, into settings. Maps become "tags.team". A list of objects that all
// have a different name, key or id is keyed by it, so that an insertion in the
// middle does not move the rest; other lists are keyed by index. Where isSet
// reports that a path is a set, scalar elements become paths of their own with
// the value true, and objects without a name are keyed by a digest of their
// content: the order of a set means nothing. isSet may be nil. Nulls, empty
// lists and empty maps leave no setting.
func Flatten(config any, isSet func(path string) bool) Settings {
	if isSet == nil {
		isSet = func(string) bool { return false }
	}
	var out Settings
	flatten(&out, "", config, isSet)
	return NewSettings(out...)
}

func flatten(out *Settings, path string, x any, isSet func(string) bool) {
	switch x := x.(type) {
	case map[string]any:
		for k, v := range x {
			flatten(out, JoinPath(path, k), v, isSet)
		}
	case []any:
		for i, key := range ElementKeys(x, isSet(path)) {
			if key.Member {
				*out = append(*out, Setting{Path: JoinPath(path, key.Name), Value: Bool(true)})
				continue
			}
			flatten(out, JoinPath(path, key.Name), x[i], isSet)
		}
	default:
		if v := Scalar(x); !v.IsNull() {
			*out = append(*out, Setting{Path: path, Value: v})
		}
	}
}

// Scalar turns a scalar as encoding/json decodes it into a value; null for
// what is none.
func Scalar(x any) Value {
	switch x := x.(type) {
	case bool:
		return Bool(x)
	case string:
		return String(x)
	case float64:
		return Number(x)
	case int:
		return Number(float64(x))
	case int64:
		return Value{NumberKind, strconv.FormatInt(x, 10)}
	case json.Number:
		v, err := ParseNumber(string(x))
		if err != nil {
			return String(string(x))
		}
		return v
	default:
		return Null()
	}
}

// ElementKey is how one element of a list is named in a path.
type ElementKey struct {
	Name string
	// Member is set for a scalar element of a set: being there is the value.
	Member bool
}

// ElementKeys names the elements of a list, see [Flatten].
func ElementKeys(list []any, set bool) []ElementKey {
	keys := make([]ElementKey, len(list))
	for _, field := range [...]string{"name", "key", "id"} {
		if names, ok := uniqueNames(list, field); ok {
			for i, name := range names {
				keys[i].Name = name
			}
			return keys
		}
	}
	for i, x := range list {
		switch {
		case !set:
			keys[i].Name = strconv.Itoa(i)
		case Scalar(x).IsNull():
			keys[i].Name = digest(x)
		default:
			keys[i] = ElementKey{Name: Scalar(x).Text(), Member: true}
		}
	}
	return keys
}

// uniqueNames returns the named field of each element; ok is false unless
// every element is an object whose field is a string that no other has.
func uniqueNames(list []any, field string) (names []string, ok bool) {
	seen := make(map[string]bool, len(list))
	for _, x := range list {
		object, _ := x.(map[string]any)
		name, _ := object[field].(string)
		if name == "" || seen[name] {
			return nil, false
		}
		seen[name] = true
		names = append(names, name)
	}
	return names, len(list) > 0
}

// digest names a value by its content, the same for every order of its keys.
func digest(x any) string {
	h := sha256.New()
	writeCanonical(h, x)
	return hex.EncodeToString(h.Sum(nil)[:5])
}

func writeCanonical(w interface{ Write([]byte) (int, error) }, x any) {
	switch x := x.(type) {
	case map[string]any:
		names := make([]string, 0, len(x))
		for k := range x {
			names = append(names, k)
		}
		sort.Strings(names)
		for _, k := range names {
			fmt.Fprintf(w, "{%q", k)
			writeCanonical(w, x[k])
		}
	case []any:
		for _, v := range x {
			fmt.Fprint(w, "[")
			writeCanonical(w, v)
		}
	default:
		v := Scalar(x)
		fmt.Fprintf(w, "%d%q", v.kind, v.text)
	}
}

// JoinPath appends a step to a path.
func JoinPath(path, step string) string {
	if path == "" {
		return step
	}
	if strings.HasSuffix(path, ".") {
		return path + step
	}
	return path + "." + step
}
