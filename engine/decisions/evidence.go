package decisions

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	// outcomesLearnt bounds the earlier runs that likelihoods are learnt from.
	outcomesLearnt = 500
	// holds is how long what a run has put right must hold to count as a success.
	holds = 7 * 24 * time.Hour
	// returnsWithin is how far back it is looked for earlier drifts of the same settings.
	returnsWithin = 30 * 24 * time.Hour
	// loadOver is the span over which it is learnt how busy the hours are.
	loadOver = 28 * 24 * time.Hour
)

// outcomes returns how the stack's runs of late ended: what was verified, hurt no metric,
// was not taken back, and did not drift again within a week has succeeded.
func (b *Board) outcomes(ctx context.Context, stack string) ([]Outcome, error) {
	runs, err := b.cfg.Store.Runs(ctx, penumbra.RunQuery{Stack: stack, Limit: outcomesLearnt})
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	drifts, byID, err := b.driftsSince(ctx, stack, runs)
	if err != nil {
		return nil, err
	}
	var out []Outcome
	for i := range runs {
		run := &runs[i]
		if !run.State.Ended() || run.Kind == penumbra.Restore || undecided(run) {
			continue
		}
		held := true
		switch run.Kind {
		case penumbra.WatchCloser, penumbra.TellOwner, penumbra.Guard, penumbra.GuardPolicy:
			var known bool
			if held, known, err = b.settled(ctx, run, byID[run.Drift], b.cfg.Now()); err != nil {
				return nil, err
			} else if !known {
				continue
			}
		}
		for address := range run.Before {
			r, _ := b.cfg.World.Resource(address)
			o := Outcome{Kind: run.Kind, Type: r.Type, Succeeded: held && succeeded(run) && !run.Hurt() && !cameBack(run, byID[run.Drift], drifts)}
			if d := byID[run.Drift]; d != nil {
				o.ActorKind = d.Cause.ActorKind
			}
			out = append(out, o)
			break
		}
	}
	return out, nil
}

// driftsSince returns the drifts of a stack that changed since the first of its runs of
// late, and by their identifiers those and the ones that the runs are about. A stack may
// have had a hundred times as many.
func (b *Board) driftsSince(ctx context.Context, stack string, runs []penumbra.Run) ([]penumbra.Drift, map[string]*penumbra.Drift, error) {
	first := runs[0].Started
	for i := range runs {
		if runs[i].Started.Before(first) {
			first = runs[i].Started
		}
	}
	drifts, err := b.cfg.Store.Drifts(ctx, penumbra.DriftQuery{Stack: stack, Since: first})
	if err != nil {
		return nil, nil, err
	}
	byID := make(map[string]*penumbra.Drift, len(drifts))
	for i := range drifts {
		byID[drifts[i].ID] = &drifts[i]
	}
	for i := range runs {
		if byID[runs[i].Drift] != nil {
			continue
		}
		earlier, err := b.cfg.Store.Drifts(ctx, penumbra.DriftQuery{ID: runs[i].Drift})
		if err != nil {
			return nil, nil, err
		}
		for j := range earlier {
			byID[earlier[j].ID] = &earlier[j]
		}
	}
	return drifts, byID, nil
}

// cameBack reports whether a setting that the run dealt with drifted again soon after.
func cameBack(run *penumbra.Run, d *penumbra.Drift, drifts []penumbra.Drift) bool {
	if d == nil {
		return false
	}
	return slices.ContainsFunc(drifts, func(later penumbra.Drift) bool {
		if later.ID == d.ID || later.Resource != d.Resource || !later.Verdict.IsDrift() || later.Opened.Before(run.Ended) || later.Opened.After(run.Ended.Add(holds)) {
			return false
		}
		return slices.ContainsFunc(later.Findings, func(f penumbra.Finding) bool {
			_, again := d.Finding(f.Path)
			return again
		})
	})
}

// returns counts the earlier drifts that had a setting of this one, and were seen of
// late.
func (b *Board) returns(ctx context.Context, d *penumbra.Drift) (int, error) {
	earlier, err := b.cfg.Store.Drifts(ctx, penumbra.DriftQuery{Resource: d.Resource, Since: b.cfg.Now().Add(-returnsWithin)})
	n := 0
	for i := range earlier {
		x := &earlier[i]
		if x.ID != d.ID && x.Verdict.IsDrift() && slices.ContainsFunc(d.Findings, func(f penumbra.Finding) bool {
			_, same := x.Finding(f.Path)
			return same
		}) {
			n++
		}
	}
	return n, err
}

// effects returns what is known of the settings of a type.
func (b *Board) effects(kind string) func(string, penumbra.Value) []penumbra.Effect {
	if b.cfg.Effects == nil {
		return nil
	}
	return func(path string, v penumbra.Value) []penumbra.Effect { return b.cfg.Effects(kind, path, v) }
}

// busyBy are the metrics by which a resource is busy, the surest first: what others ask
// of it, then what it takes to answer.
var busyBy = []string{"requests", "throughput", "connections", "network_io", "network_in", "cpu"}

// load returns how busy a resource is by the hour, by the first of its metrics that tells,
// nil if none does.
func (b *Board) load(ctx context.Context, resource penumbra.Address, now time.Time) (*penumbra.Load, error) {
	for _, metric := range busyBy {
		rollups, err := b.cfg.Store.Rollups(ctx, penumbra.RollupQuery{Resource: resource, Metric: metric, Span: time.Hour, From: now.Add(-loadOver)})
		if err != nil {
			return nil, err
		}
		if len(rollups) > 0 {
			return loadOf(metric, rollups), nil
		}
	}
	return nil, nil
}

func loadOf(metric string, rollups []penumbra.Rollup) *penumbra.Load {
	l := &penumbra.Load{Metric: metric}
	var sums, counts [24]float64
	days := map[int64]bool{}
	for i := range rollups {
		r := &rollups[i]
		h := r.Start.UTC().Hour()
		sums[h] += r.Mean()
		counts[h]++
		days[r.Start.Unix()/86400] = true
	}
	l.Days = len(days)
	for h := range l.Hours {
		l.Hours[h] = math.NaN()
		if counts[h] > 0 {
			l.Hours[h] = sums[h] / counts[h]
		}
	}
	return l
}
