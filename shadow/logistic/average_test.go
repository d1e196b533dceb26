package logistic_test

import (
	"math"
	"testing"

	"github.com/penumbra-iac/penumbra/shadow/logistic"
)

func TestAverageIsBetween(t *testing.T) {
	t.Parallel()
	learnt := func(happened bool) *logistic.Regression {
		r := logistic.New(1, 1)
		for range 20 {
			r.Learn(0, []float32{1}, happened, 1)
		}
		return r
	}
	yes, no := learnt(true), learnt(false)
	x := []float32{1}
	got := logistic.Average([]*logistic.Regression{yes, no}, []float64{0.75, 0.25}).LogOdds(0, x)
	if want := 0.75*yes.LogOdds(0, x) + 0.25*no.LogOdds(0, x); math.Abs(got-want) > 1e-12 || want <= 0 {
		t.Errorf("log odds %v, want %v", got, want)
	}
	data, err := logistic.Average([]*logistic.Regression{yes, no}, []float64{0.75, 0.25}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if err := logistic.New(1, 1).UnmarshalBinary(data); err != nil {
		t.Errorf("it cannot be read back: %v", err)
	}
}
