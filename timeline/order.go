package timeline

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// Order returns the observations as one history, repeats dropped: by time; at
// one instant what the code declares comes first, then the events, then the
// snapshots that show what they did, then metrics; within a kind by identity.
// obs itself stays as it is.
//
// Of several observations with one identity that differ all the same, because
// their source used an identifier twice, the earliest stays. The result does
// not depend on the order of obs.
func Order(obs []penumbra.Observation) []penumbra.Observation {
	keys := make([]orderKey, len(obs))
	for i := range obs {
		o := &obs[i]
		keys[i] = orderKey{o: o, rank: rank[o.Kind], id: o.Identity()}
	}
	slices.SortFunc(keys, compareKeys)

	out := make([]penumbra.Observation, 0, len(obs))
	seen := make(map[penumbra.ObservationID]bool, len(obs))
	for _, k := range keys {
		if !seen[k.id] {
			seen[k.id] = true
			out = append(out, *k.o)
		}
	}
	return out
}

// rank is the order of the kinds at one instant.
var rank = map[penumbra.ObservationKind]int{
	penumbra.TemplateKind: 1,
	penumbra.EventKind:    2,
	penumbra.SnapshotKind: 3,
	penumbra.MetricKind:   4,
}

type orderKey struct {
	o    *penumbra.Observation
	rank int
	id   penumbra.ObservationID
}

func compareKeys(a, b orderKey) int {
	if c := a.o.Time.Compare(b.o.Time); c != 0 {
		return c
	}
	if c := cmp.Or(cmp.Compare(a.rank, b.rank), bytes.Compare(a.id[:], b.id[:])); c != 0 {
		return c
	}
	return compareRepeats(a.o, b.o) // dear, and seldom needed
}

// compareRepeats orders observations with one identity and one time, so that
// the same one stays whichever came first: what the identity leaves out when
// there is an identifier, then the sensitive marks, then when it was seen.
func compareRepeats(a, b *penumbra.Observation) int {
	if a.ID != "" {
		x, y := *a, *b
		x.ID, y.ID = "", ""
		i, j := x.Identity(), y.Identity()
		if c := bytes.Compare(i[:], j[:]); c != 0 {
			return c
		}
	}
	return cmp.Or(
		compareMarks(a.Settings, b.Settings),
		compareMarks(a.Applied, b.Applied),
		a.Seen.Compare(b.Seen),
	)
}

// compareMarks orders settings with equal paths by their sensitive marks: the
// marked one first, so that a mark is not lost to a repeat without it.
func compareMarks(a, b penumbra.Settings) int {
	return slices.CompareFunc(a, b, func(x, y penumbra.Setting) int {
		switch {
		case x.Sensitive == y.Sensitive:
			return 0
		case x.Sensitive:
			return -1
		default:
			return 1
		}
	})
}
