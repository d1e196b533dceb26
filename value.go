package penumbra

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ValueKind is the type of a setting's value.
type ValueKind uint8

// The kinds of value. Null is the zero kind: a setting that is not there.
const (
	NullKind ValueKind = iota
	BoolKind
	NumberKind
	StringKind
	// SecretKind is a keyed hash that stands in for a sensitive value: two of
	// them can be compared, neither can be read.
	SecretKind
	// UnknownKind is a value that the template leaves open until it is
	// applied. It agrees with every actual value.
	UnknownKind
)

var valueKindNames = [...]string{"null", "bool", "number", "string", "secret", "unknown"}

func (k ValueKind) String() string {
	if int(k) < len(valueKindNames) {
		return valueKindNames[k]
	}
	return "ValueKind(" + strconv.Itoa(int(k)) + ")"
}

// Value is a typed scalar. It is comparable with ==, so it can be a map's key;
// numbers are kept in one canonical spelling for that reason.
type Value struct {
	kind ValueKind
	text string
}

// Null returns the value of a setting that is not there.
func Null() Value { return Value{} }

// Bool returns a boolean value.
func Bool(b bool) Value { return Value{BoolKind, strconv.FormatBool(b)} }

// String returns a string value.
func String(s string) Value { return Value{StringKind, s} }

// Unknown returns the value that is known only after an apply.
func Unknown() Value { return Value{kind: UnknownKind} }

// SecretPrefix starts the text of every secret value.
const SecretPrefix = "hmac-sha256:"

// Secret returns a secret from the text of its keyed hash, as a [Key] makes it
// and as it stands in a timeline file. ok is false if text is not one.
func Secret(text string) (v Value, ok bool) {
	digest, found := strings.CutPrefix(text, SecretPrefix)
	if !found || len(digest) != 32 {
		return Value{}, false
	}
	for _, r := range digest {
		if (r < '0' || r > '9') && (r < 'a' || r > 'f') {
			return Value{}, false
		}
	}
	return Value{SecretKind, text}, true
}

// Number returns a numeric value. NaN and the infinities, which JSON cannot
// hold, become null.
func Number(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Value{}
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return Value{NumberKind, strconv.FormatInt(int64(f), 10)}
	}
	return Value{NumberKind, strconv.FormatFloat(f, 'g', -1, 64)}
}

// ParseNumber reads a number in JSON's spelling. Integers of any length keep
// all their digits; other numbers are rounded to the nearest float64.
func ParseNumber(text string) (Value, error) {
	digits := strings.TrimPrefix(text, "-")
	if digits != "" && (digits == "0" || digits[0] != '0') && strings.Trim(digits, "0123456789") == "" {
		if digits == "0" {
			text = "0" // so that -0 and 0 are one value
		}
		return Value{NumberKind, text}, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return Value{}, fmt.Errorf("%q is not a number", text)
	}
	return Number(f), nil
}

// Kind returns the value's type.
func (v Value) Kind() ValueKind { return v.kind }

// IsNull reports whether the setting is not there.
func (v Value) IsNull() bool { return v.kind == NullKind }

// Text returns the value without quotes: the string itself, the number's
// digits, "true" or "false", the keyed hash; "" for null and unknown.
func (v Value) Text() string { return v.text }

// Float returns the number; ok is false for any other kind.
func (v Value) Float() (f float64, ok bool) {
	if v.kind != NumberKind {
		return 0, false
	}
	f, err := strconv.ParseFloat(v.text, 64)
	return f, err == nil
}

// Agrees reports whether an actual value satisfies this template value: they
// are equal, or the template leaves it open.
func (v Value) Agrees(actual Value) bool { return v == actual || v.kind == UnknownKind }

// String returns the value as a person would read it. A secret shows only that
// it is one.
func (v Value) String() string {
	switch v.kind {
	case NullKind:
		return "(absent)"
	case UnknownKind:
		return "(known after apply)"
	case SecretKind:
		return "(sensitive)"
	case StringKind:
		return strconv.Quote(v.text)
	default:
		return v.text
	}
}

// MarshalJSON writes a JSON scalar. Secrets are written as the string of their
// keyed hash, unknown values as null: what holds them lists their paths.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.kind {
	case NullKind, UnknownKind:
		return []byte("null"), nil
	case BoolKind, NumberKind:
		return []byte(v.text), nil
	default:
		return json.Marshal(v.text)
	}
}

// UnmarshalJSON reads a JSON scalar. A string is a string, even if it looks
// like a keyed hash: only what holds the value knows that it is sensitive.
func (v *Value) UnmarshalJSON(data []byte) error {
	text := strings.TrimSpace(string(data))
	switch {
	case text == "null":
		*v = Value{}
		return nil
	case text == "true" || text == "false":
		*v = Value{BoolKind, text}
		return nil
	case strings.HasPrefix(text, `"`):
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		*v = String(s)
		return nil
	case strings.HasPrefix(text, "{") || strings.HasPrefix(text, "["):
		return fmt.Errorf("a setting's value must be a JSON scalar: flatten lists and maps into paths")
	default:
		n, err := ParseNumber(text)
		if err != nil {
			return err
		}
		*v = n
		return nil
	}
}
