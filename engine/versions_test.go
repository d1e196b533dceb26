package engine_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/shadow"
)

// counting is a shadow that remembers what it started from and how much it saw.
// It learns a version at each observation whose number divides by three.
type counting struct {
	*shadow.Pooled
	family, body string
	seen         int
	back         []time.Time
	tried        []penumbra.ModelVersion
	adopted      time.Time
}

func (c *counting) Observe(o *penumbra.Observation) {
	c.Pooled.Observe(o)
	if c.seen++; c.seen%3 == 0 {
		v := penumbra.ModelVersion{Created: o.Time, Family: c.family, Origin: penumbra.LearntVersion, State: penumbra.RefusedVersion}
		if !slices.ContainsFunc(c.back, o.Time.Equal) {
			v.State, c.adopted = penumbra.AdoptedVersion, o.Time
		}
		c.tried = append(c.tried, v)
	}
}

func (c *counting) Learn() bool                     { return false }
func (c *counting) Learnt() []penumbra.ModelVersion { return c.tried }

func (c *counting) TakeBack(at time.Time) bool {
	c.back = append(c.back, at)
	if !c.adopted.Equal(at) {
		return false
	}
	c.adopted = time.Time{}
	return true
}

func (c *counting) WriteTo(w io.Writer) (int64, error) {
	n, err := fmt.Fprintf(w, "%s %s %d", c.family, c.body, c.seen)
	return int64(n), err
}

func (c *counting) ReadFrom(r io.Reader) (int64, error) {
	data, err := io.ReadAll(r)
	if err == nil {
		_, err = fmt.Sscanf(string(data), c.family+" "+c.body+" %d", &c.seen)
	}
	if err != nil {
		return 0, &penumbra.Error{Kind: penumbra.Damaged, What: "read a count", Err: err}
	}
	return int64(len(data)), nil
}

// versioned starts a bench whose model can be any of two families, and returns
// the last model that was made.
func versioned(t *testing.T, model string) (*bench, func() *counting) {
	b := newBench(t)
	var last *counting
	b.config = func(c *engine.Config) {
		c.ModelName = model
		c.NewFamily = func(family string, body []byte) (engine.Shadow, error) {
			if strings.Contains(string(body), "damaged") {
				return nil, &penumbra.Error{Kind: penumbra.Damaged, What: "read the body"}
			}
			last = &counting{Pooled: shadow.NewPooled(shadow.Options{}), family: family, body: "from:" + string(body)}
			return last, nil
		}
	}
	b.both("vm.a", set("size", 1))
	return b.start(), func() *counting { return last }
}

func (b *bench) add(v penumbra.ModelVersion, body string) int {
	b.t.Helper()
	v, err := b.engine.AddVersion(b.t.Context(), v, []byte(body))
	if err != nil {
		b.t.Fatal(err)
	}
	return v.Number
}

func better(over int) *penumbra.VersionScore { return &penumbra.VersionScore{Over: over, Better: true} }

func (b *bench) served(family string, version int) {
	b.t.Helper()
	st, err := b.engine.Model(b.t.Context())
	if err != nil || st.Family != family || st.Version != version {
		b.t.Fatalf("%+v serves (%v), want %s of version %d", st, err, family, version)
	}
}

func TestPromoteAndRollBack(t *testing.T) {
	t.Parallel()
	b, last := versioned(t, engine.AutoModel)
	b.look() // two observations
	b.served(engine.FirstFamily, 0)
	first := b.add(penumbra.ModelVersion{Family: "mixture", Score: better(0)}, "one")
	second := b.add(penumbra.ModelVersion{Family: "bayes", Score: better(first)}, "two")
	b.served(engine.FirstFamily, 0)
	if _, err := b.engine.Promote(t.Context(), second, "alice", ""); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("held against another version: %v", err)
	}
	for _, n := range []int{first, second} {
		if _, err := b.engine.Promote(t.Context(), n, "alice", ""); err != nil {
			t.Fatal(err)
		}
	}
	b.served("bayes", second)
	if m := last(); m.body != "from:two" || m.seen != 2 {
		t.Errorf("the model started from %q and saw %d of 2 observations", m.body, m.seen)
	}
	b.stop()
	b.start() // it is the same after a restart, from its own checkpoint
	b.served("bayes", second)
	if m := last(); m.body != "from:two" || m.seen != 2 {
		t.Errorf("after a restart it started from %q and saw %d", m.body, m.seen)
	}
	for _, want := range []struct {
		family  string
		version int
	}{{"mixture", first}, {engine.FirstFamily, 0}} {
		left, err := b.engine.RollbackModel(t.Context(), "bob")
		if err != nil || left.State != penumbra.TakenBackVersion || left.By != "bob" {
			t.Fatalf("left %+v: %v", left, err)
		}
		b.served(want.family, want.version)
		if m := last(); m.seen != 2 {
			t.Errorf("the model built again saw %d of 2 observations", m.seen)
		}
	}
	if _, err := b.engine.RollbackModel(t.Context(), "bob"); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("back from nothing: %v", err)
	}
}

func TestPromotionIsRefused(t *testing.T) {
	t.Parallel()
	b, _ := versioned(t, "pooled")
	b.look()
	worse := b.add(penumbra.ModelVersion{Family: "pooled", Score: &penumbra.VersionScore{LogLoss: 2, OverLogLoss: 1}}, "worse")
	unscored := b.add(penumbra.ModelVersion{Family: "pooled"}, "unscored")
	other := b.add(penumbra.ModelVersion{Family: "bayes", Score: better(0)}, "other")
	for number, want := range map[int]penumbra.ErrorKind{worse: penumbra.Refused, unscored: penumbra.Refused, other: penumbra.Refused, 99: penumbra.NotFound} {
		if _, err := b.engine.Promote(t.Context(), number, "alice", ""); penumbra.KindOf(err) != want {
			t.Errorf("version %d: %v, want kind %v", number, err, want)
		}
	}
	if _, err := b.engine.AddVersion(t.Context(), penumbra.ModelVersion{Family: "pooled"}, []byte("damaged")); penumbra.KindOf(err) != penumbra.Damaged {
		t.Errorf("a damaged body: %v", err)
	}
	v, err := b.engine.Promote(t.Context(), worse, "alice", "the window was a freeze")
	if err != nil || v.Forced == "" || v.By != "alice" {
		t.Fatalf("%+v: %v", v, err)
	}
	b.served("pooled", worse)
	if _, err := b.engine.Promote(t.Context(), worse, "alice", "again"); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("active already: %v", err)
	}
}

// TestLearntVersionsAreRecorded holds what a model learns while it serves to its
// record, and what is taken back from it to stay so.
func TestLearntVersionsAreRecorded(t *testing.T) {
	t.Parallel()
	b, last := versioned(t, engine.AutoModel)
	learnt := func(want ...penumbra.VersionState) []penumbra.ModelVersion {
		t.Helper()
		all, err := b.engine.Versions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []penumbra.VersionState
		for _, v := range all {
			got = append(got, v.State)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("the versions are %v, want %v", got, want)
		}
		return all
	}
	for i := range 6 {
		b.world["vm.a"] = set("size", 2+i)
		b.look()
		b.advance(time.Hour)
	}
	b.stop()
	b.start()
	learnt(penumbra.AdoptedVersion) // of those before it there is no record
	for i := range 6 {
		b.world["vm.a"] = set("size", 10+i)
		b.look()
		b.advance(time.Hour)
	}
	b.stop()
	b.start()
	all := learnt(penumbra.AdoptedVersion, penumbra.RetiredVersion, penumbra.RetiredVersion)
	left, err := b.engine.RollbackModel(t.Context(), "bob")
	if err != nil || left.Number != all[0].Number {
		t.Fatalf("left %+v: %v", left, err)
	}
	learnt(penumbra.TakenBackVersion, penumbra.RetiredVersion, penumbra.RetiredVersion)
	b.stop()
	b.start()
	if m := last(); !slices.ContainsFunc(m.back, all[0].Created.Equal) {
		t.Error("what was taken back is not kept from the model that is built again")
	}
}

// countsSaved counts how often a shadow is saved.
type countsSaved struct {
	engine.Store
	saved int
}

func (s *countsSaved) SaveCheckpoint(ctx context.Context, c penumbra.Checkpoint) error {
	if c.Name == "shadow/pooled" {
		s.saved++
	}
	return s.Store.SaveCheckpoint(ctx, c)
}

func TestShadowIsSavedOnceAtTheEnd(t *testing.T) {
	b := newBench(t)
	store := &countsSaved{}
	b.config = func(c *engine.Config) {
		store.Store = c.Store
		c.Store = store
	}
	b.start()
	b.ingest(sizeTemplate("a"))
	b.run()()
	if err := b.engine.Close(t.Context()); err != nil || store.saved != 1 {
		t.Fatalf("saved %d times, error %v", store.saved, err)
	}
	b.ingest(sizeTemplate("b"))
	if err := b.engine.Close(t.Context()); err != nil || store.saved != 2 {
		t.Fatalf("saved %d times with an observation since, error %v", store.saved, err)
	}
}
