package creep

import (
	"math"
	"strconv"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// amount is a value that has a size: in bytes, seconds, or its own unit.
type amount struct {
	x     float64
	kind  byte // amounts of different kinds do not compare
	unit  string
	scale float64 // of the unit
}

// The units that a server's settings have beside those of [shadow.Quantity].
// Memory is binary, as in PostgreSQL, where 1 MB is 1024 kB.
var (
	memoryUnits = map[string]float64{
		"B": 1, "kB": 1 << 10, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40,
	}
	timeUnits = map[string]float64{"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400}
)

// parse reads an amount: a number, or a text that is a number with a unit. "500m"
// is half, as in Kubernetes: minutes are "min".
func parse(v penumbra.Value) (amount, bool) {
	if f, ok := v.Float(); ok {
		return amount{x: f, kind: 'n', scale: 1}, true
	}
	text := strings.TrimSpace(v.Text())
	if v.Kind() != penumbra.StringKind || text == "" || len(text) > 24 {
		return amount{}, false
	}
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ%")
	unit := text[len(digits):]
	digits = strings.TrimSpace(digits)
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsInf(n, 0) || math.IsNaN(n) || strings.ContainsAny(digits, "_xX") {
		return amount{}, false
	}
	a := amount{unit: unit, kind: 'u'}
	if unit == "" {
		return amount{x: n, kind: 'n', scale: 1}, true
	}
	var known bool
	if a.scale, known = memoryUnits[unit]; !known {
		if a.scale, known = timeUnits[unit]; known {
			a.kind = 't'
		} else if one, kind, ok := shadow.Quantity(penumbra.String("1" + unit)); ok {
			a.scale, a.kind = one, kind
		} else {
			return amount{}, false
		}
	}
	a.x = n * a.scale
	return a, true
}

// compares reports whether two amounts can be held against each other. Nothing is
// nothing in every unit.
func (a amount) compares(b amount) bool { return a.kind == b.kind || a.x == 0 || b.x == 0 }

// value writes x as a value in a's unit, to four digits.
func (a amount) value(x float64) penumbra.Value {
	x /= a.scale
	if x != 0 {
		digits := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(x))))
		if round := math.Round(x*digits) / digits; !math.IsInf(round, 0) && !math.IsNaN(round) {
			x = round
		}
	}
	if a.unit == "" {
		return penumbra.Number(x)
	}
	return penumbra.String(strconv.FormatFloat(x, 'f', -1, 64) + a.unit)
}
