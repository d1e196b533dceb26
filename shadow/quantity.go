package shadow

import (
	"strconv"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// units are the suffixes of Kubernetes and of cloud providers for amounts, in
// base units. Times are left out: "5m" may be minutes or thousandths.
var units = map[string]float64{
	"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
	"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
	"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	"m": 1e-3, "%": 1e-2,
}

// quantity reads a number, or a string that is a number with a unit: "512Mi"
// is 536870912, "500m" 0.5. kind tells amounts apart that do not compare:
// plain numbers, amounts with a unit and shares.
func quantity(v penumbra.Value) (x float64, kind byte, ok bool) {
	if f, ok := v.Float(); ok {
		return f, 'n', true
	}
	s := v.Text()
	if v.Kind() != penumbra.StringKind || s == "" || len(s) > 24 || s[0] < '-' || s[0] > '9' {
		return 0, 0, false
	}
	digits := strings.TrimRight(s, "kKMGTiBm%")
	f, err := strconv.ParseFloat(digits, 64)
	scale, known := units[s[len(digits):]]
	switch {
	case err != nil || !known:
		return 0, 0, false
	case strings.HasSuffix(s, "%"):
		return f * scale, '%', true
	}
	return f * scale, 'u', true
}

// Quantity reads an amount as this model does, for the model families below
// this package: plain numbers, and texts with a unit such as "512Mi" or "500m",
// in base units. kind tells apart amounts that do not compare; ok is false for
// any other value.
func Quantity(v penumbra.Value) (x float64, kind byte, ok bool) { return quantity(v) }
