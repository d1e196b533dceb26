package wire

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/postgres"
	"github.com/penumbra-iac/penumbra/drift"
)

// ruled is a judge with rules of a file before those of the store, that also
// knows which values are dangerous.
type ruled struct {
	*drift.Judge
	fixed []penumbra.Rule
	rules *drift.Rules // both
	Manuals
}

// Assess adds to the verdicts which values wait for a restart of PostgreSQL, and
// which are dangerous in themselves.
func (r *ruled) Assess(res *penumbra.Resource, expect []penumbra.Expectation, forecast []penumbra.Forecast, at time.Time) penumbra.Assessment {
	a := r.Judge.Assess(res, expect, forecast, at)
	if res.Type == postgres.Type {
		r.waiting(res, &a)
	}
	for i := range a.Findings {
		if f := &a.Findings[i]; f.Verdict.IsDrift() && !f.Sensitive && f.Path != "" {
			f.Hazard = r.Hazard(penumbra.AskFacts(res, f.Path, f.Actual, at))
		}
	}
	return a
}

// waiting adds what a restart will bring instead of what the code declares. The
// shadow has nothing to expect of a path that comes up for the first time; the
// code has: that nothing else waits.
func (r *ruled) waiting(res *penumbra.Resource, a *penumbra.Assessment) {
	if a.NotChecked != "" {
		return
	}
	for _, x := range res.Actual {
		name, waits := strings.CutPrefix(x.Path, postgres.PendingRestart)
		declared, ok := res.Template.Find(name)
		if !waits || !ok || declared.Value.Agrees(x.Value) {
			continue
		}
		at, found := slices.BinarySearchFunc(a.Findings, x.Path, func(f penumbra.Finding, path string) int { return strings.Compare(f.Path, path) })
		if found {
			continue
		}
		f := penumbra.Finding{Path: x.Path, Verdict: penumbra.Unexpected, Actual: x.Value, Sensitive: x.Sensitive}
		f.Expectation = penumbra.Expectation{Path: x.Path, Confidence: 1, Values: []penumbra.Candidate{{Value: penumbra.Null(), Probability: 1}}}
		if rule, ignored := r.rules.Match(res.Address, x.Path, x.Value, a.Time); ignored {
			f.Verdict, f.Rule = penumbra.Tolerated, rule.Pattern
		}
		a.Findings = slices.Insert(a.Findings, at, f)
		a.InSync--
	}
}

// SetRules replaces the store's rules; the file's stay before them.
func (r *ruled) SetRules(rules []penumbra.Rule) error {
	all := append(append([]penumbra.Rule{}, r.fixed...), rules...)
	compiled, err := drift.NewRules(all)
	if err != nil {
		return err
	}
	r.rules = compiled
	return r.Judge.SetRules(all)
}

// ignoreFile is the name of the file of ignore rules beside the code.
const ignoreFile = ".penumbraignore"

// ignoreRules reads the file of ignore rules: the one named, the configured
// one, or the one in dir if there is one.
func ignoreRules(c *Config, dir, name string) ([]penumbra.Rule, error) {
	if name == "" {
		name = c.path(c.Ignore)
	}
	optional := name == ""
	if optional {
		name = filepath.Join(dir, ignoreFile)
	}
	f, err := os.Open(name)
	if optional && errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read ignore rules", Remedy: "check the file's name", Err: err}
	}
	defer f.Close()
	return drift.ParseRules(f)
}
