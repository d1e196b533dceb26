package storetest

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
)

var hashTests = map[string]func(*testing.T, *opened){
	"reseal": testReseal, "reseal all or nothing": testResealAllOrNothing,
}

// Everything stored is as if it had been hashed under the new key.
func testReseal(t *testing.T, s *opened) {
	const first, second = "the first key of this test", "the second key of this test"
	old, key := penumbra.Key(first), penumbra.Key(second+"\n"+first)
	ctx := t.Context()
	at := time.Unix(1000, 0).UTC()
	secret := penumbra.String("hunter2-hunter2")
	said := func(k penumbra.Key, n int) penumbra.Observation {
		set := []penumbra.Setting{{Path: "password", Value: k.Seal(secret), Sensitive: true}, {Path: "size", Value: penumbra.Number(float64(n / 100))}}
		for _, line := range []string{"one", "two", "three", "four"} { // in the order of their hashes
			set = append(set, penumbra.Setting{Path: "lineinfile." + k.Short(penumbra.String(line)), Value: penumbra.Bool(line == "one")})
		}
		return penumbra.Observation{Kind: penumbra.SnapshotKind, Time: at.Add(time.Duration(n) * time.Second), Seen: at, Resource: "shop/vm.a", Type: "vm", Source: "tofu", Full: true, Settings: penumbra.NewSettings(set...)}
	}
	plain := penumbra.Observation{Kind: penumbra.EventKind, Time: at, Resource: "shop/vm.b", Type: "vm", Action: "edit"}
	drift := func(k penumbra.Key) penumbra.Drift {
		return penumbra.Drift{ID: "d-1", Resource: "shop/vm.a", Opened: at, Changed: at, Findings: []penumbra.Finding{{Path: "password", Verdict: penumbra.Drifted, Declared: true, Sensitive: true, Template: k.Seal(penumbra.String("x")), Actual: k.Seal(secret)}}}
	}
	model := func(k penumbra.Key) []byte {
		return envelope.Seal("penumbra mixture", 1, envelope.Seal("penumbra pooled\n", 2, []byte("seen: "+k.Seal(secret).Text())))
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var all []penumbra.Observation
	for n := range 1200 { // of more than a part
		all = append(all, said(old, n))
	}
	_, err := s.Append(ctx, append(slices.Clone(all), plain))
	ok(err)
	ok(s.SaveDrifts(ctx, []penumbra.Drift{drift(old)}))
	ok(s.SaveCheckpoint(ctx, penumbra.Checkpoint{Name: "model", Data: model(old)}))
	_, err = s.AddVersion(ctx, penumbra.ModelVersion{}, model(old))
	ok(err)
	if id, err := s.HashKey(ctx); err != nil || id != "" {
		t.Errorf("the key is %q, %v", id, err)
	}
	ok(s.SetHashKey(ctx, old.ID()))
	ok(s.SetHashKey(ctx, "another"))
	later, known := key.Since(old.ID())
	if !known || len(later) != 1 {
		t.Fatal(later, known)
	}
	changed, err := s.Reseal(ctx, key.ID(), later[0].Reseal)
	if err != nil || changed < 12+3 {
		t.Fatalf("%d, %v", changed, err)
	}
	s.twice(func() {
		if id, err := s.HashKey(ctx); err != nil || id != key.ID() {
			t.Errorf("the key is %q, %v", id, err)
		}
		n := 0
		for got, err := range s.Observations(ctx, penumbra.ObservationQuery{Resource: "shop/vm.a"}) {
			ok(err)
			if diff := cmp.Diff(said(key, n), got, cmp.AllowUnexported(penumbra.Value{})); diff != "" {
				t.Fatalf("observation %d:\n%s", n, diff)
			}
			n++
		}
		if n != len(all) {
			t.Errorf("%d observations of %d", n, len(all))
		}
		// Who sends one again is known by it.
		if added, err := s.Append(ctx, []penumbra.Observation{said(key, 7), plain}); err != nil || len(added) != 0 {
			t.Errorf("%d were added, %v", len(added), err)
		}
		if drifts, err := s.Drifts(ctx, penumbra.DriftQuery{}); err != nil || len(drifts) != 1 || drifts[0].Findings[0].Actual != key.Seal(secret) {
			t.Errorf("the drift: %+v, %v", drifts, err)
		}
		if c, err := s.Checkpoint(ctx, "model"); err != nil || !bytes.Equal(c.Data, model(key)) {
			t.Errorf("the checkpoint: %q, %v", c.Data, err)
		}
		if data, err := s.VersionBody(ctx, 1); err != nil || !bytes.Equal(data, model(key)) {
			t.Errorf("the version: %q, %v", data, err)
		}
	})
}

// A change that spoils something leaves all as it was.
func testResealAllOrNothing(t *testing.T, s *opened) {
	key := penumbra.Key("a key of this test only")
	ctx := t.Context()
	if err := s.SetHashKey(ctx, "first"); err != nil {
		t.Fatal(err)
	}
	o := penumbra.Observation{Kind: penumbra.SnapshotKind, Time: time.Unix(1, 0).UTC(), Resource: "shop/vm.a", Type: "vm", Settings: penumbra.Settings{{Path: "password", Value: key.Seal(penumbra.String("x")), Sensitive: true}}}
	if _, err := s.Append(ctx, []penumbra.Observation{o}); err != nil {
		t.Fatal(err)
	}
	spoil := func(data []byte) bool {
		copy(data, bytes.Repeat([]byte{0xff}, len(data))) // no document any more
		return true
	}
	if _, err := s.Reseal(ctx, "second", spoil); err == nil {
		t.Fatal("what cannot be read was written")
	}
	s.twice(func() {
		if id, _ := s.HashKey(ctx); id != "first" {
			t.Errorf("the key is %q", id)
		}
		for got, err := range s.Observations(ctx, penumbra.ObservationQuery{}) {
			if err != nil || got.Identity() != o.Identity() {
				t.Errorf("%+v, %v", got, err)
			}
		}
	})
}
