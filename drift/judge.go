package drift

import (
	"time"

	"github.com/penumbra-iac/penumbra"
)

// A Judge assesses with the rules and thresholds of one installation. It is
// used by one goroutine at a time.
type Judge struct {
	thresholds Thresholds
	rules      *Rules
}

// NewJudge returns a judge without rules. It returns an error of kind Invalid
// if a threshold means nothing.
func NewJudge(th Thresholds) (*Judge, error) {
	if err := th.Check(); err != nil {
		return nil, err
	}
	return &Judge{thresholds: th}, nil
}

// SetRules replaces the ignore rules. It returns an error of kind Invalid that
// names the rule if one cannot be read, and keeps the earlier ones.
func (j *Judge) SetRules(rules []penumbra.Rule) error {
	compiled, err := NewRules(rules)
	if err != nil {
		return err
	}
	j.rules = compiled
	return nil
}

// Assess is [Assess] with the judge's rules and thresholds.
func (j *Judge) Assess(r *penumbra.Resource, expect []penumbra.Expectation, forecast []penumbra.Forecast, at time.Time) penumbra.Assessment {
	return Assess(r, expect, forecast, j.rules, j.thresholds, at)
}

// Live is [Live] with the judge's rules, which also end drifts on undeclared
// settings: once the shadow has seen the value, no assessment mentions them.
func (j *Judge) Live(active []penumbra.Drift, r *penumbra.Resource, a penumbra.Assessment) []penumbra.Drift {
	return live(active, r, a, j.rules)
}
