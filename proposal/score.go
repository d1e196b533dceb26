package proposal

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// prior is what is held of a kind's chance of success before any run of it was
// seen: a Beta distribution, as if so many runs had ended well and so many had
// not. The figures are judgement, not measurement, and worth ten runs together,
// so that ten real ones weigh as much.
type prior struct{ well, badly float64 }

var priors = map[penumbra.ProposalKind]prior{
	penumbra.Revert:        {9, 1}, // the code was applied before, so it can be again
	penumbra.Adopt:         {7, 3}, // a value that nobody reviewed is taken back more often
	penumbra.Custom:        {8, 2},
	penumbra.Restore:       {8, 2},
	penumbra.IgnoreRule:    {8, 2},
	penumbra.IgnoreChanges: {7, 3}, // it also hides the next drift of the setting
}

// otherType is what a run on another type of resource counts for.
const otherType = 0.25

// hiding is what ignoring is worth for a drift that is no habit: the setting
// stays off the code.
const hiding = 0.5

// Weights of the rank. Each is positive, so that what is better in all three
// scores ranks better.
const (
	likelihoodWeight = 0.5
	riskWeight       = 0.35
	complexityWeight = 0.15
)

// rank orders proposals, the best first, and numbers them. What destroys comes
// after all that does not; as its risk is always higher, that never puts a
// proposal above one that is better in all three scores.
func rank(list []penumbra.Proposal) {
	slices.SortStableFunc(list, func(a, b penumbra.Proposal) int {
		if x, y := disrupts(&a), disrupts(&b); x != y {
			if x {
				return 1
			}
			return -1
		}
		switch x, y := merit(a.Scores), merit(b.Scores); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	for i := range list {
		list[i].Rank = i + 1
	}
}

func merit(s penumbra.Scores) float64 {
	return likelihoodWeight*s.Likelihood + riskWeight*(1-s.Risk) + complexityWeight*(1-s.Complexity)
}

func disrupts(p *penumbra.Proposal) bool { return applies(p) && len(p.Plan.Disrupts()) > 0 }

// applies reports whether carrying the proposal out applies its plan; the plan
// of a patch that only follows the world is a proof.
func applies(p *penumbra.Proposal) bool {
	if p.Plan == nil || p.Plan.IsEmpty() {
		return false
	}
	return p.Kind == penumbra.Revert || p.Kind == penumbra.Custom || p.Kind == penumbra.Restore
}

// score gives the three scores and says where each comes from. share is the
// part of the drift's settings that the proposal deals with.
func score(p *penumbra.Proposal, ev *Evidence, share float64) (penumbra.Scores, []string) {
	l, why := likelihood(p, ev, share)
	r, risky := risk(p, ev)
	c, steps := complexity(p)
	return penumbra.Scores{Likelihood: l, Risk: r, Complexity: c}, []string{
		fmt.Sprintf("likelihood %.2f: %s", l, why),
		fmt.Sprintf("risk %.2f: %s", r, risky),
		fmt.Sprintf("complexity %.2f: %s", c, steps),
	}
}

// likelihood is the mean of the Beta posterior over the runs of like proposals
// (Gelman et al., Bayesian Data Analysis, section 2.4), times the chance that
// the drift stays away.
func likelihood(p *penumbra.Proposal, ev *Evidence, share float64) (float64, string) {
	belief := priors[p.Kind]
	well, badly := 0, 0
	for _, o := range ev.Outcomes {
		if o.Kind != p.Kind {
			continue
		}
		weight := otherType
		if o.Type == ev.Drift.Type {
			weight = 1
		}
		if o.Succeeded {
			belief.well += weight
			well++
		} else {
			belief.badly += weight
			badly++
		}
	}
	l := belief.well / (belief.well + belief.badly)
	why := fmt.Sprintf("%.0f %% of such proposals are expected to hold (%d of %d earlier ones did, beside a prior worth ten)", 100*l, well, well+badly)
	if share < 1 {
		l *= share
		why += fmt.Sprintf("; it deals with %.0f %% of the drifted settings", 100*share)
	}
	habit := ev.Drift.Verdict == penumbra.Tolerated
	switch p.Kind {
	case penumbra.IgnoreRule, penumbra.IgnoreChanges:
		if !habit {
			l *= hiding
			why += "; halved, for it hides the drift and does not end it"
		}
	case penumbra.Revert, penumbra.Adopt, penumbra.Custom:
		if p.Kind != penumbra.Revert && !habit {
			break // the world stays where somebody wanted it
		}
		again, known := driftsAgain(ev.Drift.Findings)
		if !known {
			why += "; the shadow does not know whether it drifts again"
			break
		}
		l *= 1 - again
		why += fmt.Sprintf("; the shadow gives %.0f %% that it drifts again within 7 days", 100*again)
	}
	return l, why
}

// week is the index of 7 days in [penumbra.Horizons].
var week = slices.Index(penumbra.Horizons[:], 7*24*time.Hour)

// driftsAgain is the shadow's greatest chance that a setting leaves the
// template within a week: its forecast, or, without one, the share of other
// values in what it expects of a habit.
func driftsAgain(findings []penumbra.Finding) (chance float64, known bool) {
	for _, f := range findings {
		switch {
		case f.Forecast != nil:
			chance, known = max(chance, f.Forecast.Leave[week]), true
		case f.Expectation.Habit:
			away := f.Expectation.NovelProbability
			for _, c := range f.Expectation.Values {
				if c.Value != f.Template {
					away += c.Probability
				}
			}
			chance, known = max(chance, min(away, 1)), true
		}
	}
	return chance, known
}

// Risks of an action on one resource, between 0 and 1 within its class. They
// order the actions; they are not measured frequencies.
const (
	updateRisk    = 0.2
	restartRisk   = 0.4 // a setting that most services read only when they start
	createRisk    = 0.15
	replaceRisk   = 0.8
	destroyRisk   = 0.9
	sensitiveRisk = 0.1 // added for a secret that changes
	patchRisk     = 0.05
	ruleRisk      = 0.02
	dependantRisk = 0.03 // of each resource that refers to one that changes
)

// disruptive divides the scale: no proposal that destroys is below it, and no
// other above.
const disruptive = 0.7

// restarts matches the settings whose change restarts most services.
var restarts = regexp.MustCompile(`(?i)(^|[._-])(port|instance_?(type|class)|engine|version|cpu|memory|image|ami|size|processes|user_data|tls|kernel|node_type)`)

func risk(p *penumbra.Proposal, ev *Evidence) (float64, string) {
	if !applies(p) {
		if p.Patch == nil {
			return disruptive * ruleRisk, "only Penumbra's own view changes"
		}
		return disruptive * patchRisk, "only code changes, and the plan proves that the resource does not"
	}
	safe, touched := 1.0, 0
	worst := penumbra.NoChange
	restart := false
	for _, c := range p.Plan.Changes {
		r := 0.0
		switch c.Action {
		case penumbra.Create:
			r = createRisk
		case penumbra.Update:
			r = updateRisk
			if slices.ContainsFunc(c.Changes, func(x penumbra.PathChange) bool { return restarts.MatchString(x.Path) }) {
				r, restart = restartRisk, true
			}
		case penumbra.Replace:
			r = replaceRisk
		case penumbra.Destroy:
			r = destroyRisk
		default:
			continue
		}
		if slices.ContainsFunc(c.Changes, func(x penumbra.PathChange) bool { return x.After.Kind() == penumbra.SecretKind }) {
			r = min(1, r+sensitiveRisk)
		}
		safe *= 1 - r
		touched++
		if severity(c.Action) > severity(worst) {
			worst = c.Action
		}
	}
	for range ev.Dependants {
		safe *= 1 - dependantRisk
	}
	why := fmt.Sprintf("%s, %s of the plan changed", actionNames[worst], count(touched, "resource"))
	if restart {
		why += ", a setting among them that usually needs a restart"
	}
	if n := len(ev.Dependants); n > 0 {
		why += fmt.Sprintf(", %s to the drifted one", count(n, "other resource")+verb(n, " refers", " refer"))
	}
	if worst.Disrupts() {
		return disruptive + (1-disruptive)*(1-safe), why
	}
	return disruptive * (1 - safe), why
}

var actionNames = map[penumbra.PlanAction]string{
	penumbra.NoChange: "nothing is changed", penumbra.Create: "something is created", penumbra.Update: "something is updated in place",
	penumbra.Replace: "something is REPLACED", penumbra.Destroy: "something is DESTROYED",
}

func severity(a penumbra.PlanAction) int {
	return slices.Index([]penumbra.PlanAction{penumbra.NoChange, penumbra.Create, penumbra.Update, penumbra.Replace, penumbra.Destroy}, a)
}

// complexity grows with what has to be understood and done, and stays below 1.
func complexity(p *penumbra.Proposal) (float64, string) {
	files, resources, steps := 0, 0, 0
	if p.Patch != nil {
		files = len(p.Patch.Files)
		steps += 2 // write it, and have it reviewed and committed
	}
	if applies(p) {
		for _, c := range p.Plan.Changes {
			if severity(c.Action) > 0 {
				resources++
			}
		}
		steps++
	}
	if p.Rule != nil {
		steps++
	}
	n := float64(files + resources + steps)
	return n / (n + 10), fmt.Sprintf("%s, %s of code, %s changed", count(steps, "step"), count(files, "file"), count(resources, "resource"))
}
