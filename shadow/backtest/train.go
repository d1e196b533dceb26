package backtest

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Train lets a model learn another history before it is judged on one that
// begins at the given time. The history is moved so that it ends a second
// before, since time must not run backwards, and its resources end with it:
// what was learnt of them stays, they themselves are not of the other estate.
func Train(m Model, observations iter.Seq[*penumbra.Observation], before time.Time) {
	var last time.Time
	for o := range observations {
		last = o.Time
	}
	if last.IsZero() {
		return
	}
	end := before.Add(-time.Second)
	shift := end.Sub(last)
	alive := map[penumbra.Address]string{}
	for o := range observations {
		moved := *o
		moved.Time = o.Time.Add(shift)
		m.Observe(&moved)
		if o.Kind == penumbra.EventKind && o.Action == penumbra.ActionDelete {
			delete(alive, o.Resource)
		} else {
			alive[o.Resource] = o.Type
		}
	}
	for _, a := range slices.Sorted(maps.Keys(alive)) {
		m.Observe(&penumbra.Observation{
			Kind: penumbra.EventKind, Time: end, Resource: a, Type: alive[a], Source: "git:trained", Action: penumbra.ActionDelete,
		})
	}
}
