package diagnosis_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/diagnosis"
)

func ofOneKind(penumbra.Address) string { return kind }

func TestBackgroundIsLearnt(t *testing.T) {
	t.Parallel()
	const week = 7 * 86400.0
	var busy, quiet diagnosis.Rates
	if got := busy.Background(db, latency) * week; math.Abs(got-0.5) > 1e-9 {
		t.Errorf("%g a week before anything is known", got)
	}
	busy.Watch(db, latency, time.Minute, day0)
	quiet.Watch(db, latency, time.Minute, day0)
	for d := range 300 {
		at := day0.Add(time.Duration(d) * 24 * time.Hour)
		busy.Watch(db, latency, time.Minute, at)
		busy.Observe(slowed(at), ofOneKind)
		quiet.Watch(db, latency, time.Minute, at)
	}
	if got := busy.Background(db, latency) * week; got < 5.5 || got > 7.2 {
		t.Errorf("%g a week, there was one a day", got)
	}
	if got := quiet.Background(db, latency) * week; got > 0.1 {
		t.Errorf("%g a week, there was none", got)
	}
	// What a change explains is not the background's.
	explained := slowed(day0.Add(301 * 24 * time.Hour))
	explained.Suspects = []penumbra.Suspect{{Resource: db, Path: "work_mem", Probability: 1}}
	before := quiet.Background(db, latency)
	quiet.Observe(explained, ofOneKind)
	if after := quiet.Background(db, latency); after > before {
		t.Errorf("the background rose from %g to %g", before, after)
	}
}

// What a person found out moves the ranking the next time.
func TestOutcomesImproveTheRanking(t *testing.T) {
	t.Parallel()
	rates := ratesOf(time.Second)
	p := func() float64 {
		onset := day0.Add(time.Hour)
		got := diagnosis.Rank(slowed(onset), []diagnosis.Change{
			changed("culprit", onset.Add(-2*time.Second)), changed("bystander", onset.Add(-2*time.Second)),
		}, rates, nil)
		return probability(got, "culprit")
	}
	last := p()
	if math.Abs(last-0.5) > 0.01 {
		t.Fatalf("%g before anything is known", last)
	}
	for range 3 {
		a := slowed(day0.Add(time.Hour))
		changes := []diagnosis.Change{changed("culprit", a.Onset.Add(-2*time.Second)), changed("bystander", a.Onset.Add(-2*time.Second))}
		for i := range changes {
			rates.Changed(&changes[i])
		}
		a.Suspects = diagnosis.Rank(a, changes, rates, nil)
		rates.Observe(a, ofOneKind)
		for _, s := range a.Suspects {
			rates.Outcome(kind, a, s, s.Path == "culprit")
		}
		if now := p(); now <= last {
			t.Errorf("from %g to %g", last, now)
		} else {
			last = now
		}
	}
	if last < 0.9 {
		t.Errorf("%g after three outcomes", last)
	}
}

func TestRatesAreBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	var r diagnosis.Rates
	for i := range 60_000 {
		at := day0.Add(time.Duration(i) * time.Second)
		r.Watch(db, fmt.Sprint("m", i), time.Second, at)
		c := changed(fmt.Sprint("s", i), at)
		r.Changed(&c)
		r.Outcome(kind, slowed(at), penumbra.Suspect{Resource: db, Path: c.Path}, true)
	}
	var in struct{ Series, Changes, Causes []json.RawMessage }
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &in); err != nil {
		t.Fatal(err)
	}
	if len(in.Series) > 50_000 || len(in.Changes) > 20_000 || len(in.Causes) > 80_000 || len(in.Changes) < 10_000 {
		t.Errorf("%d series, %d changes, %d causes", len(in.Series), len(in.Changes), len(in.Causes))
	}
	long := string(make([]byte, 5000))
	r = diagnosis.Rates{}
	r.Watch(db, long, time.Second, day0)
	r.Watch(db, "\xff", time.Second, day0)
	if data, err := json.Marshal(r); err != nil || string(data) != `{"series":null,"changes":null,"causes":null}` {
		t.Errorf("%s %v", data, err)
	}
}

func someRates() diagnosis.Rates {
	r := ratesOf(time.Second)
	c := changed("work_mem", day0)
	event := diagnosis.Change{Resource: db, Type: kind, Action: "Restart", Time: day0}
	r.Changed(&c)
	r.Changed(&event)
	a := slowed(day0.Add(time.Hour))
	a.Suspects = diagnosis.Rank(a, []diagnosis.Change{c, event}, r, nil)
	r.Observe(a, ofOneKind)
	return r
}

func TestRatesAreKept(t *testing.T) {
	t.Parallel()
	r := someRates()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := cbor.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var fromText, fromBinary diagnosis.Rates
	if err := json.Unmarshal(text, &fromText); err != nil {
		t.Fatal(err)
	}
	if err := cbor.Unmarshal(binary, &fromBinary); err != nil {
		t.Fatal(err)
	}
	for name, back := range map[string]diagnosis.Rates{"JSON": fromText, "CBOR": fromBinary} {
		if again, _ := json.Marshal(back); string(again) != string(text) {
			t.Errorf("%s: %s, want %s", name, again, text)
		}
	}
	for _, bad := range []string{
		`{"series":[{"resource":"a/b","metric":"m","watched":-1}]}`,
		`{"changes":[{"type":"t","factor":"f","count":-2}]}`,
		`{"causes":[{"type":"t","factor":"f","metric":"m","count":-2}]}`,
		`{"series":3}`,
	} {
		err := json.Unmarshal([]byte(bad), &fromText)
		var e *penumbra.Error
		if !errors.As(err, &e) || e.Kind != penumbra.Damaged {
			t.Errorf("%s: %v", bad, err)
		}
		if again, _ := json.Marshal(fromText); string(again) != string(text) {
			t.Errorf("%s changed what was there", bad)
		}
	}
}

func FuzzRates(f *testing.F) {
	r := someRates()
	seed, err := r.MarshalCBOR()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{0xa0})
	f.Add([]byte{0xa1, 0x66})
	f.Fuzz(func(t *testing.T, data []byte) {
		var r diagnosis.Rates
		if r.UnmarshalCBOR(data) != nil {
			return
		}
		onset := day0.Add(time.Hour)
		got := diagnosis.Rank(slowed(onset), []diagnosis.Change{changed("work_mem", onset)}, r, nil)
		if u := diagnosis.Unseen(got); !(u >= 0 && u <= 1) {
			t.Fatalf("unseen %g", u)
		}
		if _, err := r.MarshalCBOR(); err != nil {
			t.Fatal(err)
		}
	})
}
