package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// Without a path, the settings without a finding that are explained are those
// most likely to leave within a week, if that is not all too unlikely.
const (
	explained = 3
	worthIt   = 0.01
	aWeek     = 3 // index into the horizons
)

// Explain says why a setting is forecast and judged as it is, as of now; for the
// path "" it does so for each finding on the resource, the gravest first, then
// for what is most likely to leave.
func (e *Engine) Explain(_ context.Context, address penumbra.Address, path string) ([]penumbra.Explanation, error) {
	if e.cfg.Explain == nil {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "this engine explains nothing", Remedy: "ask the program that was made with a model that can"}
	}
	at := e.clock.now()
	e.mu.Lock() // the shadow is one goroutine's at a time
	defer e.mu.Unlock()
	r := e.resources[address]
	if r == nil {
		return nil, noResource(address)
	}
	at = later(at, r.last)
	expect := e.shadow.Expect(&r.Resource, at, e.cfg.Confidence)
	expect, forecast := e.limits.Apply(&r.Resource, expect, e.shadow.Forecast(&r.Resource, at), at)
	a := e.cfg.Judge.Assess(&r.Resource, expect, forecast, at)
	findings := slices.Clone(a.Findings)
	slices.SortStableFunc(findings, func(x, y penumbra.Finding) int { return cmp.Compare(y.Verdict, x.Verdict) })

	out := []penumbra.Explanation{}
	say := func(path string, f *penumbra.Finding) {
		var d *penumbra.Drift
		if f != nil {
			f, d = foundBefore(r.active, f)
		}
		out = append(out, e.cfg.Explain(e.shadow, &r.Resource, path, at, f, d))
	}
	if path != "" {
		i := slices.IndexFunc(findings, func(f penumbra.Finding) bool { return f.Path == path })
		switch {
		case i >= 0:
			say(path, &findings[i])
		case slices.ContainsFunc(forecast, func(f penumbra.Forecast) bool { return f.Path == path }):
			say(path, nil)
		default:
			return nil, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("%s has no setting %q", address, path), Remedy: "`penumbra shadow show` lists its settings"}
		}
		return out, nil
	}
	for i := range findings {
		say(findings[i].Path, &findings[i])
	}
	for _, path := range likeliest(forecast, findings) {
		say(path, nil)
	}
	return out, nil
}

// foundBefore returns the finding as its drift has it, with what was expected
// before the value was seen, and the drift.
func foundBefore(active []penumbra.Drift, f *penumbra.Finding) (*penumbra.Finding, *penumbra.Drift) {
	for i := range active {
		if kept, there := active[i].Finding(f.Path); there && kept.Verdict == f.Verdict {
			kept.Actual = f.Actual
			return &kept, &active[i]
		}
	}
	return f, nil
}

// likeliest returns the paths that have no finding and are most likely to leave;
// at least one if there is no finding at all.
func likeliest(forecast []penumbra.Forecast, findings []penumbra.Finding) []string {
	rest := slices.DeleteFunc(slices.Clone(forecast), func(f penumbra.Forecast) bool {
		return slices.ContainsFunc(findings, func(x penumbra.Finding) bool { return x.Path == f.Path })
	})
	slices.SortStableFunc(rest, func(a, b penumbra.Forecast) int { return cmp.Compare(b.Leave[aWeek], a.Leave[aWeek]) })
	var out []string
	for i, f := range rest {
		if i == explained || f.Leave[aWeek] < worthIt && (i > 0 || len(findings) > 0) {
			break
		}
		out = append(out, f.Path)
	}
	return out
}
