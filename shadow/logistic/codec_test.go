package logistic

import (
	"math/rand/v2"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func learned(tb testing.TB, features int) *Regression {
	tb.Helper()
	r := New(features, 0.3)
	random := rand.New(rand.NewPCG(7, 1))
	x := make([]float32, features)
	for range 200 {
		for i := range x {
			x[i] = float32(random.NormFloat64())
		}
		r.Learn(-1, x, x[0] > 0, 2)
	}
	r.Forget(0.9)
	return r
}

// TestReadBackGoesOn holds a regression that is read back to the same answers,
// also after both have learnt more.
func TestReadBackGoesOn(t *testing.T) {
	t.Parallel()
	a := learned(t, 5)
	data, _ := a.MarshalBinary()
	b := New(5, 1)
	if err := b.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	x := []float32{1, -0.5, 0.25, 2, 0}
	for range 20 {
		a.Learn(-2, x, true, 1)
		b.Learn(-2, x, true, 1)
		a.Forget(0.99)
		b.Forget(0.99)
		if a.LogOdds(0, x) != b.LogOdds(0, x) {
			t.Fatalf("log odds %v, read back %v", a.LogOdds(0, x), b.LogOdds(0, x))
		}
	}
}

func TestForeignRegressionIsRefused(t *testing.T) {
	t.Parallel()
	good, _ := learned(t, 5).MarshalBinary()
	other, _ := learned(t, 4).MarshalBinary()
	r := learned(t, 5)
	for name, data := range map[string][]byte{
		"empty": nil, "short": good[:len(good)-1], "long": append(good[:len(good):len(good)], 0), "of other features": other,
		"not a number": append(append([]byte(nil), good[:len(good)-8]...), 0, 0, 0, 0, 0, 0, 0xf8, 0x7f),
		"no variance":  append(append([]byte(nil), good[:len(good)-8]...), 0, 0, 0, 0, 0, 0, 0, 0),
	} {
		if err := r.UnmarshalBinary(data); penumbra.KindOf(err) != penumbra.Damaged {
			t.Errorf("%s: %v", name, err)
		}
		if now, _ := r.MarshalBinary(); string(now) != string(good) {
			t.Fatalf("%s: the regression did not stay as it was", name)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	good, _ := learned(f, 3).MarshalBinary()
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := New(3, 1)
		if err := r.UnmarshalBinary(data); err != nil {
			if penumbra.KindOf(err) != penumbra.Damaged {
				t.Fatal(err)
			}
			return
		}
		if again, _ := r.MarshalBinary(); string(again) != string(data) {
			t.Fatal("other bytes are written than were read")
		}
	})
}
