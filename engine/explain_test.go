package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/shadow/explain"
)

// TestExplain has a person change one setting of two, and asks why.
func TestExplain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config = func(c *engine.Config) {
		c.Explain = func(s engine.Shadow, r *penumbra.Resource, path string, at time.Time, f *penumbra.Finding, d *penumbra.Drift) penumbra.Explanation {
			return explain.Of(s, explain.Question{Resource: r, Path: path, Time: at, Finding: f, Drift: d})
		}
	}
	size := func(n float64) penumbra.Settings {
		return penumbra.NewSettings(penumbra.Setting{Path: "size", Value: penumbra.Number(n)}, penumbra.Setting{Path: "zone", Value: penumbra.String("x")})
	}
	b.both("vm.a", size(1))
	b.start()
	b.look()
	b.advance(6 * time.Hour)
	b.ingest(`{"kind":"event","time":"2026-03-02T05:00:00Z","resource":"shop/vm.a","type":"vm","actor":"alice","actor_kind":"user","action":"resize","settings":{"size":2}}` + "\n")
	b.world["vm.a"] = size(2)
	b.look()
	b.advance(time.Hour)

	all, err := b.engine.Explain(t.Context(), "shop/vm.a", "")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].Path != "size" || all[0].Verdict != penumbra.Drifted || !all[0].Time.Equal(b.now) {
		t.Fatalf("explained is %+v", all)
	}
	if want := "drifted: the code says 1, there is 2; alice touched it with resize 2 hours ago, between the snapshots of 2026-03-02 00:00 and 06:00 UTC"; !strings.HasPrefix(all[0].Sentence, want) {
		t.Errorf("got %s\nwant %s …", all[0].Sentence, want)
	}
	if one, err := b.engine.Explain(t.Context(), "shop/vm.a", "zone"); err != nil || len(one) != 1 || one[0].Verdict != penumbra.InSync || len(one[0].Influences) == 0 {
		t.Errorf("of a setting in sync: %+v, %v", one, err)
	}
	for _, c := range [][2]string{{"shop/vm.z", ""}, {"shop/vm.a", "colour"}} {
		if _, err := b.engine.Explain(t.Context(), penumbra.Address(c[0]), c[1]); penumbra.KindOf(err) != penumbra.NotFound {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestExplainsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t).start()
	if _, err := b.engine.Explain(t.Context(), "shop/vm.a", ""); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("an engine without an explainer says %v", err)
	}
}
