package penumbra

import (
	"slices"
	"testing"
)

const cache = Address("shop/service.cache")

// offDrift has a setting off the code, one beyond its limit, and one on the code
// that is unexpected.
func offDrift() *Drift {
	return &Drift{ID: "d-1", Resource: cache, Findings: []Finding{
		{Path: "level", Declared: true, Template: String("info"), Actual: String("debug")},
		{Path: "workers", Template: Number(8), Actual: Number(9), Expectation: Expectation{Limit: &Limit{Max: Number(8), Bound: Number(8), Passed: true}}},
		{Path: "mode", Declared: true, Template: String("a"), Actual: String("a")},
	}}
}

func TestOffTemplate(t *testing.T) {
	t.Parallel()
	const level, workers, other = "shop/service.cache.level", "shop/service.cache.workers", "shop/service.queue.size"
	plan := func(resource Address, path string, before, after Value) *Plan {
		return &Plan{Targets: []Address{resource}, Changes: []PlannedChange{{Resource: resource, Action: Update, Changes: []PathChange{{Path: path, Before: before, After: after}}}}}
	}
	for name, c := range map[string]struct {
		p    Proposal
		want []string
	}{
		"brought back":                   {Proposal{Kind: Revert, Plan: plan(cache, "level", String("debug"), String("info"))}, nil},
		"watched":                        {Proposal{Kind: WatchCloser}, nil},
		"guarded":                        {Proposal{Kind: GuardPolicy}, nil},
		"adopted":                        {Proposal{Kind: Adopt, Plan: &Plan{}}, []string{level, workers}},
		"adopted, and others alike":      {Proposal{Kind: Adopt, Also: []string{"d-2"}, Plan: &Plan{Targets: []Address{cache, "shop/service.queue"}}}, []string{level, "shop/service.queue.level", workers, "shop/service.queue.workers"}},
		"adopted in part":                {Proposal{Kind: Adopt, Values: Settings{{Path: "level", Value: String("debug")}}, Plan: plan(cache, "workers", Number(9), Number(8))}, []string{level}},
		"adopted, the rest brought back": {Proposal{Kind: Custom, Values: Settings{{Path: "level", Value: String("debug")}, {Path: "workers", Value: Number(8)}}}, []string{level}},
		"set to what the code says":      {Proposal{Kind: Custom, Values: Settings{{Path: "level", Value: String("info")}}}, nil},
		"set within the limit":           {Proposal{Kind: Custom, Values: Settings{{Path: "workers", Value: Number(3)}}}, nil},
		"set beyond the limit":           {Proposal{Kind: Custom, Values: Settings{{Path: "workers", Value: Number(12)}}}, []string{workers}},
		"set to no amount":               {Proposal{Kind: Custom, Values: Settings{{Path: "workers", Value: String("many")}}}, []string{workers}},
		"the code written anew":          {Proposal{Kind: Custom, Plan: plan(cache, "workers", Number(9), Number(4))}, []string{level}},
		"set where nothing has drifted":  {Proposal{Kind: Custom, Values: Settings{{Path: "mode", Value: String("b")}}, Plan: plan("shop/service.queue", "size", Number(1), Number(2))}, []string{"shop/service.cache.mode", other}},
		"set to what nobody knows yet": {Proposal{Kind: BestPractice, Values: Settings{{Path: "x", Value: Number(1)}}, Plan: &Plan{Changes: []PlannedChange{
			{Resource: cache, Changes: []PathChange{{Path: "level", Unknown: true}}},
		}}}, []string{level}},
		"ignored":                         {Proposal{Kind: IgnoreRule, Rule: &Rule{Pattern: workers}}, []string{workers}},
		"ignored as a whole":              {Proposal{Kind: IgnoreRule, Rule: &Rule{Pattern: string(cache)}}, []string{level, workers, "shop/service.cache.mode"}},
		"ignored by the code":             {Proposal{Kind: IgnoreChanges}, []string{level, workers, "shop/service.cache.mode"}},
		"back from a revert":              {Proposal{Kind: Restore, Values: Settings{{Path: "level", Value: String("debug")}}, Plan: plan(cache, "level", String("info"), String("debug"))}, []string{level}},
		"back from an adoption":           {Proposal{Kind: Restore, Patch: &Patch{}}, nil},
		"a policy taken away":             {Proposal{Kind: Restore, Policy: &PolicyFile{}}, nil},
		"back from what set another one":  {Proposal{Kind: Restore, Values: Settings{{Path: "level", Value: String("info")}}}, nil},
		"another resource in an adoption": {Proposal{Kind: Adopt, Plan: plan("shop/service.queue", "size", Number(1), Number(2))}, []string{level, workers}},
	} {
		if got := c.p.OffTemplate(offDrift()); !slices.Equal(got, c.want) {
			t.Errorf("%s: off the template are %q, want %q", name, got, c.want)
		}
	}
	if got := offDrift().OffTemplate(); !slices.Equal(got, []string{level, workers}) {
		t.Errorf("of the drift: %q", got)
	}
}
