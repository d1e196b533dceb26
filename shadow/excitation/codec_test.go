package excitation_test

import (
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/excitation"
)

func learned() *excitation.Model {
	m := excitation.New()
	x := excitation.Of(0.9, &[shadow.NumRecent]float32{1, 2, 0, 3})
	for i := range 50 {
		m.Learn(i%excitation.Horizons, &x, i%3 == 0, 2)
	}
	return m
}

func TestReadBackGoesOn(t *testing.T) {
	t.Parallel()
	a, b := learned(), excitation.New()
	data, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	x := excitation.Of(0.8, &[shadow.NumRecent]float32{0, 1, 1})
	for range 10 {
		a.Learn(1, &x, true, 1)
		b.Learn(1, &x, true, 1)
		if a.LogOdds(1, &x) != b.LogOdds(1, &x) {
			t.Fatal("the one that was read back learns otherwise")
		}
	}
}

func TestForeignExcitationIsRefused(t *testing.T) {
	t.Parallel()
	m := learned()
	good, _ := m.MarshalBinary()
	other := append([]byte(nil), good...)
	other[4]++
	endless := append([]byte(nil), good...)
	endless[15], endless[14] = 0x7f, 0xf0
	for name, data := range map[string][]byte{
		"empty": nil, "short": good[:len(good)-1], "long": append(good[:len(good):len(good)], 0), "other sources": other, "endless": endless,
	} {
		if err := m.UnmarshalBinary(data); penumbra.KindOf(err) != penumbra.Damaged {
			t.Errorf("%s: %v", name, err)
		}
		if now, _ := m.MarshalBinary(); string(now) != string(good) {
			t.Fatalf("%s: the model did not stay as it was", name)
		}
	}
}
