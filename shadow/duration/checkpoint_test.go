package duration_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/duration"
)

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	m := duration.New(duration.Options{})
	random := rand.New(rand.NewPCG(5, 1))
	at := upgrades(m, 50, random)
	for i := range 20 {
		step(m, at, 500+i, "upgrade", off, on)
		step(m, at, 500+i, "name", penumbra.Null(), penumbra.String("x"))
	}
	data, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	read := duration.New(duration.Options{})
	if err := read.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	for _, x := range []*duration.Model{m, read} {
		for i := range 10 {
			step(x, at.Add(time.Duration(i+1)*time.Hour), 500+i, "upgrade", on, off)
		}
		x.End(address(515), at.Add(time.Hour))
	}
	later := at.Add(200 * time.Hour)
	a, b := m.Stuck(later), read.Stuck(later)
	if diff := cmp.Diff(a, b, cmp.Comparer(func(a, b penumbra.Value) bool { return a == b }), cmpopts.IgnoreUnexported(duration.Typical{})); diff != "" || len(a) != 9 {
		t.Errorf("%d are stuck, want 9; %s", len(a), diff)
	}
	whole, _ := m.MarshalBinary()
	if same, _ := read.MarshalBinary(); !bytes.Equal(whole, same) {
		t.Error("the same state gives other bytes")
	}
	flipped := bytes.Clone(data)
	flipped[len(data)/2] ^= 1
	for name, bad := range map[string][]byte{"nothing": nil, "cut": data[:len(data)/2], "flipped": flipped, "foreign": []byte("penumbra pooled\n")} {
		var e *penumbra.Error
		if err := read.UnmarshalBinary(bad); !errors.As(err, &e) || e.Kind != penumbra.Damaged {
			t.Errorf("%s: %v", name, err)
		}
	}
	if same, _ := read.MarshalBinary(); !bytes.Equal(whole, same) {
		t.Error("a damaged file changed the model")
	}
}
