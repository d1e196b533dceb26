package penumbra

import "testing"

func TestBound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		is      Relation
		value   Value
		in, out Value
		words   string
	}{
		{Equal, String("info"), String("info"), String("debug"), `m is "info"`},
		{Unequal, Bool(true), Bool(false), Bool(true), "m is not true"},
		{Below, Number(8), Number(7), Number(8), "m is below 8"},
		{AtMost, Number(8), Number(8), Number(9), "m is at most 8"},
		{Above, Number(8), Number(9), String("many"), "m is above 8"},
		{AtLeast, Number(8), Number(8), Number(7), "m is at least 8"},
	} {
		b := Bound{Path: "m", Is: c.is, Value: c.value}
		if !b.Allows(c.in) || b.Allows(c.out) || b.String() != c.words {
			t.Errorf("%s: %v, %v", &b, b.Allows(c.in), b.Allows(c.out))
		}
	}
}
