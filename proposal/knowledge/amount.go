package knowledge

import (
	"math"
	"strconv"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// number reads a value as a number: a number itself, or a text that is one, as
// providers often keep them.
func number(v penumbra.Value) (float64, bool) {
	switch v.Kind() {
	case penumbra.NumberKind:
		return v.Float()
	case penumbra.StringKind:
		return parseNumber(strings.TrimSpace(v.Text()))
	default:
		return 0, false
	}
}

func parseNumber(text string) (float64, bool) {
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// memoryUnits are in bytes. The letters alone are powers of 1024, as PostgreSQL
// and nginx have them.
var memoryUnits = map[string]float64{
	"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "ki": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "mi": 1 << 20, "mib": 1 << 20,
	"g": 1 << 30, "gb": 1 << 30, "gi": 1 << 30, "gib": 1 << 30, "t": 1 << 40, "tb": 1 << 40, "ti": 1 << 40, "tib": 1 << 40,
}

var timeUnits = map[string]float64{
	"": 1, "us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400,
}

// memory reads an amount of memory in bytes: "64kB", "512Mi", "10m".
func memory(v penumbra.Value) (float64, bool) { return amount(v, memoryUnits) }

// seconds reads a time in seconds: "30s", "5min", "1h".
func seconds(v penumbra.Value) (float64, bool) { return amount(v, timeUnits) }

func amount(v penumbra.Value, units map[string]float64) (float64, bool) {
	if v.Kind() == penumbra.NumberKind {
		return v.Float()
	}
	if v.Kind() != penumbra.StringKind {
		return 0, false
	}
	text := strings.TrimSpace(v.Text())
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	size, known := units[strings.ToLower(text[len(digits):])]
	n, ok := parseNumber(strings.TrimSpace(digits))
	return n * size, ok && known
}

// compare orders two values as numbers, as amounts of memory or as times,
// whichever both are first.
func compare(a, b penumbra.Value) (order int, ok bool) {
	for _, read := range [...]func(penumbra.Value) (float64, bool){number, memory, seconds} {
		x, okX := read(a)
		y, okY := read(b)
		if okX && okY {
			switch {
			case x < y:
				return -1, true
			case x > y:
				return 1, true
			}
			return 0, true
		}
	}
	return 0, false
}

// same reports whether two values mean the same: providers keep numbers and
// booleans as texts, and servers say on for true.
func same(a, b penumbra.Value) bool {
	if a == b {
		return true
	}
	if a.IsNull() || b.IsNull() || a.Kind() == penumbra.SecretKind || b.Kind() == penumbra.SecretKind {
		return false
	}
	if x, ok := boolean(a); ok {
		y, ok := boolean(b)
		return ok && x == y
	}
	order, ok := compare(a, b)
	return ok && order == 0 || a.Text() == b.Text() && a.Text() != ""
}

// position reads what is known to be a switch, where 0 and 1 stand for off and on
// too.
func position(v penumbra.Value) (value, ok bool) {
	switch v.Text() {
	case "1", "t":
		return true, v.Kind() != penumbra.SecretKind
	case "0", "f":
		return false, v.Kind() != penumbra.SecretKind
	}
	return boolean(v)
}

// boolean reads a switch in the spellings of configuration files.
func boolean(v penumbra.Value) (value, ok bool) {
	if v.Kind() != penumbra.BoolKind && v.Kind() != penumbra.StringKind {
		return false, false
	}
	switch strings.ToLower(v.Text()) {
	case "true", "on", "yes", "enabled":
		return true, true
	case "false", "off", "no", "disabled":
		return false, true
	}
	return false, false
}
