package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// TestPagesOfDrifts walks those that go on and those that are resolved, after a
// restart too.
func TestPagesOfDrifts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.dir = inMemory(t, b.dir)
	for i := range 7 {
		b.both(fmt.Sprint("vm.a", i), set("size", 1))
	}
	b.start()
	b.look()
	for i := range 7 {
		b.world[fmt.Sprint("vm.a", i)] = set("size", 2)
		b.advance(time.Minute)
		b.look()
	}
	for i := range 4 {
		b.world[fmt.Sprint("vm.a", i)] = set("size", 1)
		b.advance(time.Minute)
		b.look()
	}
	check := func() {
		t.Helper()
		// What was changed back is likely to be changed again.
		whole, err := b.engine.Drifts(t.Context(), penumbra.DriftQuery{})
		if err != nil || len(whole) != 11 {
			t.Fatalf("%d drifts, error %v", len(whole), err)
		}
		for i := range whole {
			if whole[i].Active() != (i < 7) {
				t.Fatalf("number %d of all is %v", i, whole[i].Status)
			}
		}
		for limit := 1; limit < 13; limit++ {
			q := penumbra.DriftQuery{Limit: limit}
			var got []penumbra.Drift
			for pages := 0; ; pages++ {
				page, err := b.engine.FindDrifts(t.Context(), q)
				if err != nil || len(page.Drifts) > limit || pages > 11 {
					t.Fatalf("a page of %d has %d, error %v", limit, len(page.Drifts), err)
				}
				got = append(got, page.Drifts...)
				if q.After = page.Next; q.After == "" {
					break
				}
			}
			if len(got) != 11 {
				t.Fatalf("%d on pages of %d", len(got), limit)
			}
			for i := range got {
				if got[i].ID != whole[i].ID {
					t.Errorf("number %d on pages of %d is %s, want %s", i, limit, got[i].ID, whole[i].ID)
				}
			}
		}
		page, err := b.engine.FindDrifts(t.Context(), penumbra.DriftQuery{Resolved: true, Text: "VM.A3"})
		if err != nil || len(page.Drifts) != 1 || page.Drifts[0].Resource != "shop/vm.a3" {
			t.Errorf("a resolved one by its name: %+v, error %v", page, err)
		}
		st, err := b.engine.Status(t.Context())
		if err != nil || st.Resources != 7 || st.Verdicts[penumbra.Drifted] != 3 || st.Drifts[penumbra.Drifted] != 3 || st.Drifts[penumbra.Impending] != 4 || st.Stacks[0].Worst != penumbra.Drifted || st.Model != "pooled" {
			t.Errorf("status %+v, error %v", st, err)
		}
	}
	check()
	b.stop()
	b.start()
	check()
	delete(b.world, "vm.a6")
	delete(b.code, "vm.a6")
	b.advance(time.Minute)
	b.look()
	if page, err := b.engine.FindResources(t.Context(), penumbra.ResourceQuery{Text: "a6"}); err != nil || page.Found != 0 {
		t.Errorf("what is gone is still listed: %+v, error %v", page, err)
	}
	if _, err := b.engine.FindResources(t.Context(), penumbra.ResourceQuery{Stack: "none"}); penumbra.KindOf(err) != penumbra.NotFound {
		t.Errorf("a stack that is none: %v", err)
	}
}
