package duration_test

import (
	"slices"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/histories"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/duration"
)

// history reads one of the public histories.
func history(t testing.TB, name string) []*penumbra.Observation { return histories.Read(t, name) }

// settingOf names a setting of a resource.
type settingOf struct {
	resource penumbra.Address
	path     string
}

// spell is a state of which was said, when it began, how long such last.
type spell struct {
	began        time.Time
	value, from  penumbra.Value
	said         duration.Typical
	name         string
	over         time.Time
	back         bool
	flagged      time.Time
	censoredByIt bool
}

// watch follows a history: what is said of each state when it begins, before
// anything of its commit is learnt, and what becomes of it.
type watch struct {
	model *duration.Model
	from  time.Time
	open  map[settingOf]*spell
	all   []*spell
	queue []shadow.Change
}

// tell takes in what a commit brought.
func (w *watch) tell() {
	for i := range w.queue {
		c := &w.queue[i]
		at := c.By.Time
		key := settingOf{c.Resource, c.Path}
		if s := w.open[key]; s != nil {
			if s.value == c.To {
				continue
			}
			s.over, s.back = at, c.To == s.from || s.from.IsNull()
			delete(w.open, key)
		}
		if c.To.IsNull() || at.Before(w.from) {
			continue
		}
		if said, ok := w.model.Typical(c.Type, c.Class, c.To, at); ok {
			s := &spell{began: at, value: c.To, from: c.From, said: said, name: c.Type + " " + c.Class}
			w.open[key] = s
			w.all = append(w.all, s)
		}
	}
	for i := range w.queue {
		w.model.Learn(&w.queue[i])
	}
	w.queue = w.queue[:0]
}

// TestHistories says how well the stated durations hold on a public history, in
// its second half: of the states of which something was said when they began, how
// many went back by the stated median and quantile; and of those that lasted
// beyond it, how many were named before they were over, and how many that were
// named did go back.
func TestHistories(t *testing.T) {
	for _, name := range []string{"estate-c", "home-ops-a"} {
		t.Run(name, func(t *testing.T) { follow(t, history(t, name)) })
	}
}

func follow(t *testing.T, observations []*penumbra.Observation) {
	first, last := observations[0].Time, observations[len(observations)-1].Time
	w := &watch{model: duration.New(duration.Options{}), from: first.Add(last.Sub(first) / 2), open: map[settingOf]*spell{}}
	learn := func(c shadow.Change) { w.queue = append(w.queue, c) }
	p := shadow.NewPooled(shadow.Options{Changes: learn, Moves: learn})
	day := w.from
	var now time.Time
	source := ""
	for _, o := range observations {
		if !o.Time.Equal(now) || o.Source != source {
			w.tell()
			now, source = o.Time, o.Source
		}
		for ; day.Before(o.Time); day = day.Add(24 * time.Hour) {
			for _, s := range w.model.Stuck(day) {
				if x := w.open[settingOf{s.Resource, s.Path}]; x != nil && x.flagged.IsZero() {
					x.flagged = day
				}
			}
		}
		p.Observe(o)
		if o.Action == penumbra.ActionDelete {
			w.tell()
			w.model.End(o.Resource, o.Time)
			for key, s := range w.open {
				if key.resource == o.Resource {
					s.over, s.censoredByIt = o.Time, true
					delete(w.open, key)
				}
			}
		}
	}
	w.tell()
	w.report(t, last)
}

func (w *watch) report(t *testing.T, last time.Time) {
	var said, back, byMedian, byLimit, named, namedBack, long, longNamed int
	kinds := map[string]int{}
	expected := 0.0
	for _, s := range w.all {
		if s.censoredByIt || last.Sub(s.began) < 2*s.said.Limit {
			continue // nobody saw
		}
		said++
		kinds[s.name]++
		expected += s.said.Returns
		lasted := s.over.Sub(s.began)
		if s.back {
			back++
			if lasted <= s.said.Median {
				byMedian++
			}
			if lasted <= s.said.Limit {
				byLimit++
			}
		}
		if !s.flagged.IsZero() {
			named++
			if s.back {
				namedBack++
			}
		}
		if s.back && lasted > s.said.Limit+24*time.Hour {
			long++
			if !s.flagged.IsZero() {
				longNamed++
			}
		}
	}
	share := func(n, of int) float64 { return float64(n) / float64(max(1, of)) }
	t.Logf("of %d states something was said; it said %.3f would go back, %.3f did; of those %.3f by the stated median, %.3f by the stated nine tenths",
		said, expected/float64(max(1, said)), share(back, said), share(byMedian, back), share(byLimit, back))
	t.Logf("%d were named as stuck on some day, of which %d went back later; of %d that went back a day or more beyond the stated nine tenths %d had been named",
		named, namedBack, long, longNamed)
	stuck := w.model.Stuck(last)
	t.Logf("at the end %d are stuck", len(stuck))
	kinds2 := map[string]int{}
	for i := range stuck {
		name := stuck[i].Type + " " + shadow.Mask(stuck[i].Path)
		if kinds2[name]++; kinds2[name] == 1 {
			t.Logf("  %.2f %s: %s", stuck[i].Probability, stuck[i].Type, stuck[i].Reason())
		}
	}
	t.Log(kinds2)
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return kinds[b] - kinds[a] })
	for _, name := range names[:min(8, len(names))] {
		t.Logf("  %d of %s", kinds[name], name)
	}
}
