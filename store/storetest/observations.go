package storetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func minute(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

var secret = penumbra.Key("key").Seal(penumbra.String("hunter2"))

// everything is an observation of each kind, with every field that one can
// have, and the barest that there is.
func everything() []penumbra.Observation {
	long, err := penumbra.ParseNumber("123456789012345678901234567890")
	if err != nil {
		panic(err)
	}
	all := penumbra.NewSettings(
		penumbra.Setting{Path: "absent"},
		penumbra.Setting{Path: "arn", Value: penumbra.Unknown()},
		penumbra.Setting{Path: "big", Value: long},
		penumbra.Setting{Path: "empty", Value: penumbra.String("")},
		penumbra.Setting{Path: "looks.sealed", Value: penumbra.String(secret.Text())},
		penumbra.Setting{Path: "on", Value: penumbra.Bool(true)},
		penumbra.Setting{Path: "password", Value: secret, Sensitive: true},
		penumbra.Setting{Path: "pin", Value: penumbra.Unknown(), Sensitive: true},
		penumbra.Setting{Path: "size", Value: penumbra.Number(-1.5)},
		penumbra.Setting{Path: "tags.é\n\"", Value: penumbra.String("\x00 😀")},
	)
	const address = `shop/aws_db_instance.main["a/b"]`
	return []penumbra.Observation{
		{Kind: penumbra.TemplateKind, Time: minute(0), Resource: address, Type: "aws_db_instance", Source: "git:3fa2c1d",
			Settings: all, Applied: penumbra.Settings{{Path: "gone"}, {Path: "password", Value: secret, Sensitive: true}}},
		{Kind: penumbra.SnapshotKind, Time: minute(1).Add(time.Nanosecond), Seen: minute(2), Resource: address, Type: "aws_db_instance",
			Source: "tofu", Settings: all, Full: true},
		{Kind: penumbra.SnapshotKind, Time: minute(2), Resource: address, NotChecked: "throttled: try later"},
		{Kind: penumbra.EventKind, Time: minute(3), Resource: address, Source: "log", ID: "e-91", Actor: "alice",
			ActorKind: penumbra.User, Action: "ModifyDBInstance", Message: "because", Settings: all[:1]},
		{Kind: penumbra.MetricKind, Time: minute(4), Resource: address,
			Metrics: []penumbra.Metric{{Name: "cpu", Value: 0.1 + 0.2, Worse: penumbra.Up, Directed: true}, {Name: "load", Value: 1, Directed: true}, {Name: "zero", Value: math.Copysign(0, -1)}, {Name: "tiny", Value: math.SmallestNonzeroFloat64}}},
		{Kind: penumbra.TemplateKind, Time: time.Unix(-1, 1).UTC(), Resource: "r"},
	}
}

// simple is a snapshot of one setting.
func simple(resource penumbra.Address, at time.Time, value string) penumbra.Observation {
	return penumbra.Observation{Kind: penumbra.SnapshotKind, Time: at, Resource: resource, Source: "test",
		Settings: penumbra.Settings{{Path: "a", Value: penumbra.String(value)}}}
}

// inOrder returns observations in the order in which a store yields them.
func inOrder(obs []penumbra.Observation) []penumbra.Observation {
	out := slices.Clone(obs)
	slices.SortFunc(out, func(a, b penumbra.Observation) int {
		i, j := a.Identity(), b.Identity()
		return cmp.Or(a.Time.Compare(b.Time), bytes.Compare(i[:], j[:]))
	})
	return out
}

func (s *opened) read(q penumbra.ObservationQuery) []penumbra.Observation {
	s.t.Helper()
	var out []penumbra.Observation
	for o, err := range s.Observations(bg, q) {
		ok(s.t, err)
		out = append(out, o)
	}
	return out
}

func (s *opened) append(obs ...penumbra.Observation) []penumbra.Observation {
	s.t.Helper()
	added, err := s.Append(bg, obs)
	ok(s.t, err)
	return added
}

var observationTests = map[string]func(*testing.T, *opened){
	"an empty store": func(t *testing.T, s *opened) {
		s.twice(func() {
			equal(t, "observations", []penumbra.Observation(nil), s.read(penumbra.ObservationQuery{}))
			n, err := s.Sequence(bg)
			ok(t, err)
			observations, quarantined, err := s.Counts(bg)
			ok(t, err)
			equal(t, "sequence and counts", []int64{0, 0, 0}, []int64{n, observations, quarantined})
			equal(t, "added of none", []penumbra.Observation(nil), s.append())
		})
	},
	"observations come back as they were": func(t *testing.T, s *opened) {
		want := everything()
		equal(t, "added", want, s.append(want...))
		s.twice(func() {
			got := s.read(penumbra.ObservationQuery{})
			equal(t, "observations", inOrder(want), got)
			for i, o := range inOrder(want) {
				if got[i].Identity() != o.Identity() {
					t.Errorf("%v observation has another identity", o.Kind)
				}
				for k, m := range o.Metrics {
					if math.Float64bits(m.Value) != math.Float64bits(got[i].Metrics[k].Value) {
						t.Errorf("metric %s is %v, want %v", m.Name, got[i].Metrics[k].Value, m.Value)
					}
				}
			}
		})
	},
	"times are kept in UTC": func(t *testing.T, s *opened) {
		o := simple("s/t.n", minute(0).In(time.FixedZone("", 3600)), "x")
		s.append(o)
		for _, got := range s.read(penumbra.ObservationQuery{}) {
			if got.Time.Location() != time.UTC || !got.Time.Equal(o.Time) {
				t.Errorf("time is %v, want %v in UTC", got.Time, o.Time)
			}
		}
	},
	"repeats are dropped": func(t *testing.T, s *opened) {
		a, b, c := simple("s/t.n", minute(0), "a"), simple("s/t.n", minute(1), "b"), simple("s/t.n", minute(2), "c")
		again := a
		again.Seen = minute(9)
		equal(t, "first batch", []penumbra.Observation{b, a}, s.append(b, a, b, again))
		equal(t, "second batch", []penumbra.Observation{c}, s.append(again, c, b))
		s.twice(func() {
			equal(t, "third batch", []penumbra.Observation(nil), s.append(c, again))
			equal(t, "observations", []penumbra.Observation{a, b, c}, s.read(penumbra.ObservationQuery{}))
			n, err := s.Sequence(bg)
			ok(t, err)
			observations, _, err := s.Counts(bg)
			ok(t, err)
			equal(t, "sequence and count", []int64{3, 3}, []int64{n, observations})
		})
	},
	"the same identifier is the same observation": func(t *testing.T, s *opened) {
		a := penumbra.Observation{Kind: penumbra.EventKind, Time: minute(0), Resource: "s/t.n", Source: "log", ID: "e-1", Message: "first"}
		b := a
		b.Message, b.Time = "second", minute(5)
		s.append(a)
		equal(t, "added", []penumbra.Observation(nil), s.append(b))
		equal(t, "observations", []penumbra.Observation{a}, s.read(penumbra.ObservationQuery{}))
	},
	"what cannot be used is refused whole": func(t *testing.T, s *opened) {
		good := simple("s/t.n", minute(0), "x")
		for name, spoil := range map[string]func(*penumbra.Observation){
			"kind":     func(o *penumbra.Observation) { o.Kind = 0 },
			"time":     func(o *penumbra.Observation) { o.Time = time.Time{} },
			"far time": func(o *penumbra.Observation) { o.Time = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC) },
			"resource": func(o *penumbra.Observation) { o.Resource = "" },
		} {
			bad := good
			spoil(&bad)
			_, err := s.Append(bg, []penumbra.Observation{good, bad})
			kind(t, name, err, penumbra.Invalid)
		}
		equal(t, "observations", []penumbra.Observation(nil), s.read(penumbra.ObservationQuery{}))
	},
	"queries": testQueries,
	"a reading can stop, nest and write": func(t *testing.T, s *opened) {
		for i := range 10 {
			s.append(simple("s/t.n", minute(i), "x"))
		}
		read := 0
		for _, err := range s.Observations(bg, penumbra.ObservationQuery{}) {
			ok(t, err)
			s.append(simple("s/t.other", minute(read), "y"))
			for _, err := range s.Observations(bg, penumbra.ObservationQuery{Latest: 1}) {
				ok(t, err)
			}
			if read++; read == 5 {
				break
			}
		}
		equal(t, "observations", 15, len(s.read(penumbra.ObservationQuery{})))
	},
	"a cancelled context stops": func(t *testing.T, s *opened) {
		s.append(simple("s/t.n", minute(0), "x"))
		ctx, cancel := context.WithCancel(bg)
		cancel()
		if _, err := s.Append(ctx, []penumbra.Observation{simple("s/t.n", minute(1), "y")}); err == nil {
			t.Error("appended")
		}
		for _, err := range s.Observations(ctx, penumbra.ObservationQuery{}) {
			if err == nil {
				t.Error("read")
			}
		}
		equal(t, "observations", 1, len(s.read(penumbra.ObservationQuery{})))
	},
	"large batches": func(t *testing.T, s *opened) {
		var obs []penumbra.Observation
		for i := range 5000 {
			obs = append(obs, simple(penumbra.Address(fmt.Sprintf("s/t.n[%d]", i%70)), minute(i%50), fmt.Sprint(i)))
		}
		equal(t, "added first", 2500, len(s.append(obs[:2500]...)))
		equal(t, "added then", 2500, len(s.append(obs...)))
		s.twice(func() { equal(t, "observations", inOrder(obs), s.read(penumbra.ObservationQuery{})) })
	},
	"large values": func(t *testing.T, s *opened) {
		want := []penumbra.Observation{simple("s/t.n", minute(0), string(bytes.Repeat([]byte("x"), 4<<20)))}
		for i := range 5000 {
			want[0].Settings = append(want[0].Settings, penumbra.Setting{Path: fmt.Sprintf("b.%05d", i), Value: penumbra.Number(float64(i))})
		}
		s.append(want...)
		s.twice(func() { equal(t, "observations", want, s.read(penumbra.ObservationQuery{})) })
	},
	"readers while others write": testConcurrency,
	"bad lines are kept once": func(t *testing.T, s *opened) {
		line := penumbra.BadLine{Source: "f.jsonl", Line: 3, Reason: "time is missing", Text: "{}", Seen: minute(0)}
		later, other := line, line
		later.Seen, other.Line = minute(5), 4
		ok(t, s.Quarantine(bg, []penumbra.BadLine{line, other}))
		ok(t, s.Quarantine(bg, []penumbra.BadLine{later, {}}))
		ok(t, s.Quarantine(bg, nil))
		s.twice(func() {
			_, quarantined, err := s.Counts(bg)
			ok(t, err)
			equal(t, "quarantined", int64(3), quarantined)
		})
	},
}

func testQueries(t *testing.T, s *opened) {
	var obs []penumbra.Observation
	for i := range 12 {
		o := simple([]penumbra.Address{"shop/t.a", "shop/t.b", "pay/t.a", "bare"}[i%4], minute(11-i), "x")
		if i%3 == 0 {
			o = penumbra.Observation{Kind: penumbra.EventKind, Time: o.Time, Resource: o.Resource, Action: "edit"}
		}
		obs = append(obs, o)
	}
	// Two at one instant, so that the identity decides.
	obs = append(obs, simple("shop/t.a", minute(5), "p"), simple("shop/t.a", minute(5), "q"), simple("shop/t.b", minute(5), "q"))
	for i := range obs {
		s.append(obs[i]) // one by one: the sequence is the index and one
	}
	tests := map[string]struct {
		query  penumbra.ObservationQuery
		choose func(i int, o penumbra.Observation) bool
		latest int
	}{
		"all":         {penumbra.ObservationQuery{}, func(int, penumbra.Observation) bool { return true }, 0},
		"resource":    {penumbra.ObservationQuery{Resource: "shop/t.a"}, func(_ int, o penumbra.Observation) bool { return o.Resource == "shop/t.a" }, 0},
		"no resource": {penumbra.ObservationQuery{Resource: "shop/t"}, func(int, penumbra.Observation) bool { return false }, 0},
		"stack":       {penumbra.ObservationQuery{Stack: "shop"}, func(_ int, o penumbra.Observation) bool { return o.Resource.Stack() == "shop" }, 0},
		"kinds": {penumbra.ObservationQuery{Kinds: []penumbra.ObservationKind{penumbra.EventKind, penumbra.MetricKind}},
			func(_ int, o penumbra.Observation) bool { return o.Kind == penumbra.EventKind }, 0},
		"from is inclusive": {penumbra.ObservationQuery{From: minute(5)}, func(_ int, o penumbra.Observation) bool { return !o.Time.Before(minute(5)) }, 0},
		"to is exclusive":   {penumbra.ObservationQuery{To: minute(5)}, func(_ int, o penumbra.Observation) bool { return o.Time.Before(minute(5)) }, 0},
		"far bounds":        {penumbra.ObservationQuery{From: time.Unix(-1e12, 0), To: time.Unix(1e12, 0)}, func(int, penumbra.Observation) bool { return true }, 0},
		"after":             {penumbra.ObservationQuery{After: 7}, func(i int, _ penumbra.Observation) bool { return i >= 7 }, 0},
		"up to":             {penumbra.ObservationQuery{UpTo: 7}, func(i int, _ penumbra.Observation) bool { return i < 7 }, 0},
		"after the last":    {penumbra.ObservationQuery{After: 15}, func(int, penumbra.Observation) bool { return false }, 0},
		"latest":            {penumbra.ObservationQuery{Latest: 4}, func(int, penumbra.Observation) bool { return true }, 4},
		"latest at a tie":   {penumbra.ObservationQuery{Latest: 2, To: minute(6)}, func(_ int, o penumbra.Observation) bool { return o.Time.Before(minute(6)) }, 2},
		"latest of many":    {penumbra.ObservationQuery{Latest: 99}, func(int, penumbra.Observation) bool { return true }, 99},
		"all together": {penumbra.ObservationQuery{Resource: "shop/t.a", Stack: "shop", Kinds: []penumbra.ObservationKind{penumbra.SnapshotKind},
			From: minute(1), To: minute(9), After: 3, Latest: 2},
			func(i int, o penumbra.Observation) bool {
				return o.Resource == "shop/t.a" && o.Kind == penumbra.SnapshotKind && !o.Time.Before(minute(1)) && o.Time.Before(minute(9)) && i >= 3
			}, 2},
	}
	s.twice(func() {
		for name, tt := range tests {
			var want []penumbra.Observation
			for i, o := range obs {
				if tt.choose(i, o) {
					want = append(want, o)
				}
			}
			want = inOrder(want)
			if tt.latest > 0 {
				want = want[max(0, len(want)-tt.latest):]
			}
			equal(t, name, want, s.read(tt.query))
		}
	})
}

// testConcurrency reads while two writers append the same and other
// observations: a reader sees whole batches only, in order.
func testConcurrency(t *testing.T, s *opened) {
	const batches, size = 20, 25
	batch := func(writer, n int) []penumbra.Observation {
		var out []penumbra.Observation
		for i := range size {
			out = append(out, simple("s/t.n", minute(n*size+i), fmt.Sprint(writer)))
		}
		return append(out, simple("s/t.shared", minute(n), "both"))
	}
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range 2 {
		writers.Go(func() {
			for n := range batches {
				if _, err := s.Append(bg, batch(w, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for finished := false; !finished; {
				select {
				case <-done:
					finished = true // and look once more
				default:
				}
				n, last := 0, time.Time{}
				for o, err := range s.Observations(bg, penumbra.ObservationQuery{Resource: "s/t.n"}) {
					if err != nil {
						t.Error(err)
						return
					}
					if o.Time.Before(last) {
						t.Errorf("%v comes after %v", o.Time, last)
					}
					n, last = n+1, o.Time
				}
				if n%size != 0 || finished && n != 2*batches*size {
					t.Errorf("a reader sees %d observations of batches of %d", n, size)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	observations, _, err := s.Counts(bg)
	ok(t, err)
	equal(t, "observations", int64(batches*(2*size+1)), observations)
}
