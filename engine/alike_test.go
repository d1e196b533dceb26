package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/engine/decisions"
)

// asked is a proposer that keeps what it is asked with.
type asked struct {
	decisions.Proposer
	last decisions.Case
}

func (a *asked) Propose(_ context.Context, c decisions.Case) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	a.last = c
	return nil, nil, nil
}

func (a *asked) Part(_ context.Context, only []string, _ bool, c decisions.Case) (penumbra.Proposal, error) {
	a.last = c
	return penumbra.Proposal{ID: "p-" + only[0], Drift: c.Drift.ID, State: penumbra.Proposed, Hash: "h", Created: c.Time}, nil
}

func TestAlike(t *testing.T) {
	t.Parallel()
	b, a := newBench(t), &asked{}
	for _, name := range []string{"vm.a", "vm.b", "vm.c", "vm.d"} {
		b.both(name, set("size", 1, "zone", "north"))
	}
	b.config = func(c *engine.Config) { c.Stacks[0].Proposer = a }
	b.start()
	b.look()
	b.advance(time.Hour)
	b.world["vm.a"] = set("size", 2, "zone", "north")
	b.world["vm.b"] = set("size", 2, "zone", "north")
	b.world["vm.c"] = set("size", 3, "zone", "north")
	b.world["vm.d"] = set("size", 2, "zone", "south")
	b.look()
	for _, d := range b.drifts() {
		if _, _, err := b.engine.Proposals(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		var want penumbra.Address
		switch d.Resource {
		case "shop/vm.a":
			want = "shop/vm.b"
		case "shop/vm.b":
			want = "shop/vm.a"
		}
		if got := a.last.Alike; want == "" && len(got) != 0 || want != "" && (len(got) != 1 || got[0].Resource != want) {
			t.Errorf("%s is alike to %+v, want %q", d.Resource, got, want)
		}
		p, err := b.engine.AdoptPart(t.Context(), d.ID, []string{"size"}, false, "alice")
		if err != nil {
			t.Fatal(err)
		}
		if kept, err := b.engine.Proposal(t.Context(), p.ID); err != nil || kept.Drift == "" {
			t.Errorf("the part is not kept: %+v, %v", kept, err)
		}
	}
}

// What is in the code and no longer in the state was last seen, and is not there
// by now for all that is known.
func TestGoneFromTheState(t *testing.T) {
	t.Parallel()
	b, a := newBench(t), &asked{}
	b.both("vm.a", set("size", 1, "id", "i-7"))
	b.both("vm.b", set("size", 1))
	b.config = func(c *engine.Config) { c.Stacks[0].Proposer = a }
	b.start()
	b.look()
	b.advance(time.Hour)
	delete(b.world, "vm.a")
	b.look()
	b.look() // once more changes nothing
	d := b.drifts()
	if len(d) != 1 || d[0].Resource != "shop/vm.a" || d[0].Findings[0].Path != "" {
		t.Fatalf("the drifts: %+v", d)
	}
	if _, _, err := b.engine.Proposals(t.Context(), d[0].ID); err != nil {
		t.Fatal(err)
	}
	if id := a.last.Was.Get("id"); id != penumbra.String("i-7") {
		t.Errorf("it was last seen as %v", a.last.Was)
	}
}
