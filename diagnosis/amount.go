package diagnosis

import (
	"math"
	"strconv"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// unit is a unit's size, and what it measures: amounts of two sorts do not compare.
type unit struct {
	sort byte
	size float64
}

// units are those of PostgreSQL, Kubernetes and configuration files. What is written
// in bytes ("kB", "MB") is in powers of 1024, as PostgreSQL and most servers have it:
// a ratio is off by at most a tenth where the writer meant powers of 1000. "m" is left
// out: it may be minutes, thousandths or megabytes.
var units = map[string]unit{
	"": {'n', 1}, "k": {'n', 1e3}, "M": {'n', 1e6}, "G": {'n', 1e9}, "T": {'n', 1e12},
	"%": {'%', 1e-2},
	"B": {'b', 1}, "kB": {'b', 1 << 10}, "KB": {'b', 1 << 10}, "MB": {'b', 1 << 20}, "GB": {'b', 1 << 30}, "TB": {'b', 1 << 40},
	"Ki": {'b', 1 << 10}, "Mi": {'b', 1 << 20}, "Gi": {'b', 1 << 30}, "Ti": {'b', 1 << 40},
	"KiB": {'b', 1 << 10}, "MiB": {'b', 1 << 20}, "GiB": {'b', 1 << 30}, "TiB": {'b', 1 << 40},
	"us": {'t', 1e-6}, "ms": {'t', 1e-3}, "s": {'t', 1}, "min": {'t', 60}, "h": {'t', 3600}, "d": {'t', 86400},
}

// amount reads a number, or a text that is a number with a unit.
func amount(v penumbra.Value) (x float64, sort byte, ok bool) {
	if f, ok := v.Float(); ok {
		return f, 'n', true
	}
	s := strings.TrimSpace(v.Text())
	if v.Kind() != penumbra.StringKind || s == "" || len(s) > 32 {
		return 0, 0, false
	}
	end := strings.LastIndexAny(s, "0123456789.") + 1
	u, known := units[strings.TrimSpace(s[end:])]
	x, err := strconv.ParseFloat(s[:end], 64)
	if !known || err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0, 0, false
	}
	return x * u.size, u.sort, true
}

// ratio returns after/before if both are amounts of one sort, neither is zero and they
// have one sign.
func ratio(before, after penumbra.Value) (r float64, ok bool) {
	b, bs, okB := amount(before)
	a, as, okA := amount(after)
	if !okB || !okA || as != bs || a*b <= 0 {
		return 0, false
	}
	return a / b, true
}

// magnitude returns by what factor the size of a change moves the odds that it is the
// cause: in proportion to the logarithm of the ratio of the amounts, four times being
// neutral, within a quarter and three. To and from zero, which often means "off" or
// "no limit", counts twice. What is no amount is neutral.
func magnitude(before, after penumbra.Value) float64 {
	if r, ok := ratio(before, after); ok {
		return min(3, max(0.25, math.Abs(math.Log2(r))/2))
	}
	b, bs, okB := amount(before)
	a, as, okA := amount(after)
	if okA && okB && (as == bs || a == 0 || b == 0) && a != b {
		return 2
	}
	return 1
}
