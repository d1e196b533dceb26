package choice

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/conformal"
)

func TestSaidIsKept(t *testing.T) {
	t.Parallel()
	said := Said{
		group: conformal.Group{Name: "vm size", Parent: "number"}, novel: 0.1,
		values: []penumbra.Candidate{{Value: penumbra.Number(1), Probability: 0.7}, {Value: penumbra.String("x"), Probability: 0.2}},
	}
	data, err := said.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var got Said
	if err := got.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(said, got, cmp.AllowUnexported(Said{}, penumbra.Value{})); d != "" {
		t.Error(d)
	}
	for _, bad := range []Said{
		{novel: 1.5},
		{values: []penumbra.Candidate{{Value: penumbra.Number(1), Probability: -1}}},
		{values: []penumbra.Candidate{{Value: penumbra.Number(1), Probability: 0.2}, {Value: penumbra.Number(2), Probability: 0.7}}},
		{values: make([]penumbra.Candidate, maxSaid+1)},
	} {
		data, err := bad.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := got.UnmarshalBinary(data); err == nil {
			t.Errorf("%+v was read", bad)
		}
	}
	if err := got.UnmarshalBinary(data[:len(data)/2]); err == nil {
		t.Error("half of it was read")
	}
}

// TestBusyDayIsBounded learns from some of the changes of a busy day only.
func TestBusyDayIsBounded(t *testing.T) {
	t.Parallel()
	m := New(nil, Options{Lessons: 100})
	learnt := 0
	for range 1700 {
		if m.teaches(86400) {
			learnt++
		}
	}
	if learnt != 200 {
		t.Errorf("%d of 1700 changes teach, want 100 and one in 16 of the rest", learnt)
	}
	if !m.teaches(2 * 86400) {
		t.Error("the next day's first does not teach")
	}
}
