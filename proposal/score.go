package proposal

import (
	"fmt"
	"math"
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
	penumbra.BestPractice:  {7, 3}, // right by the book, and nobody here has chosen it yet
	penumbra.Restore:       {8, 2},
	penumbra.Import:        {9, 1}, // the plan has read the object already
	penumbra.IgnoreRule:    {8, 2},
	penumbra.IgnoreChanges: {7, 3}, // it also hides the next drift of the setting
	penumbra.WatchCloser:   {8, 2}, // of seeing how it ends, which is all that it promises
	penumbra.Guard:         {8, 2}, // of keeping the value out of the code
	penumbra.TellOwner:     {6, 4}, // people have their reasons
	penumbra.GuardPolicy:   {7, 3}, // it keeps nobody from changing the resource
}

// What a run on another type of resource counts for, and one that took back what another
// kind of actor had done.
const (
	otherType  = 0.25
	otherActor = 0.5
)

// hiding is what ignoring is worth for a drift that is no habit: the setting
// stays off the code.
const hiding = 0.5

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
	belief, known := priors[p.Kind], priorOf(p, ev)
	prior := "a prior worth ten"
	if known != nil {
		belief = known.prior
		prior = "what is known: " + known.why
	}
	well, badly := 0, 0
	for _, o := range ev.Outcomes {
		if o.Kind != p.Kind {
			continue
		}
		weight := 1.0
		if o.Type != ev.Drift.Type {
			weight = otherType
		}
		if o.ActorKind != ev.Drift.Cause.ActorKind {
			weight *= otherActor
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
	why := fmt.Sprintf("%.0f %% of such proposals are expected to hold (%d of %d earlier ones did, beside %s)", 100*l, well, well+badly, prior)
	if share < 1 {
		l *= share
		why += fmt.Sprintf("; it deals with %.0f %% of the drifted settings", 100*share)
	}
	habit := ev.Drift.Verdict == penumbra.Tolerated
	switch p.Kind {
	case penumbra.WatchCloser:
		l *= hiding
		why += "; halved, for it ends nothing: it shows sooner how it ends"
	case penumbra.GuardPolicy:
		l *= hiding
		why += "; halved, for it ends nothing: it keeps one person alone from taking the value over"
	case penumbra.Guard:
		if beside := ev.beside(); beside > 0 {
			l *= 1 - hiding*beside
			why += fmt.Sprintf("; %.0f %% of the changes before were made beside the code, where it stops nobody before the next plan: these count half", 100*beside)
		}
	case penumbra.TellOwner:
		share, people := ev.toldShare()
		l *= share
		why += fmt.Sprintf("; those who would be told made %.0f %% of the changes", 100*share)
		if !people {
			l *= hiding
			why += "; halved, for they are programs, and who runs them has to be found"
		}
	case penumbra.IgnoreRule, penumbra.IgnoreChanges:
		if !habit && known == nil {
			l *= hiding
			why += "; halved, for it hides the drift and does not end it"
		}
	case penumbra.Revert, penumbra.Adopt, penumbra.Custom, penumbra.BestPractice:
		if p.Kind != penumbra.Revert && !habit {
			break // the world stays where somebody wanted it
		}
		again, foreseen := driftsAgain(ev.Drift.Findings)
		if !foreseen {
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
	executeRisk   = 0.25 // a command that no plan foresees
	beyondRisk    = 0.15 // added where what nobody asked for changes too
	sensitiveRisk = 0.1  // added for a secret that changes
	patchRisk     = 0.05
	guardRisk     = 0.08
	ruleRisk      = 0.02
	dependantRisk = 0.03 // of each resource that refers to one that changes
)

// disruptive divides the scale: no proposal that destroys is below it, and no
// other above.
const disruptive = 0.7

// restartWord matches the names of commands that restart something.
var restartWord = regexp.MustCompile(`(?i)\brestart`)

// notAsked counts the settings that a plan changes beside those of the drift and
// those that the proposal sets; what a command does is not counted.
func notAsked(c *penumbra.PlannedChange, p *penumbra.Proposal, ev *Evidence) int {
	if c.Action != penumbra.Update {
		return 0
	}
	n := 0
	for _, x := range c.Changes {
		_, drifted := ev.Drift.Finding(x.Path)
		_, set := p.Values.Find(x.Path)
		if c.Resource != ev.Drift.Resource || !drifted && !set && !x.Unknown {
			n++
		}
	}
	return n
}

// restarts matches the settings whose change restarts most services.
var restarts = regexp.MustCompile(`(?i)(^|[._-])(port|instance_?(type|class)|engine|version|cpu|memory|image|ami|size|processes|user_data|tls|kernel|node_type)`)

func risk(p *penumbra.Proposal, ev *Evidence) (float64, string) {
	if !p.Applies() {
		r, why := disruptive*patchRisk, "only code changes, and the plan proves that the resource does not"
		switch {
		case p.Kind == penumbra.TellOwner:
			r, why = disruptive*ruleRisk, "only words are exchanged"
		case p.Policy != nil:
			r, why = disruptive*ruleRisk, "only how many people decide changes"
		case p.Kind == penumbra.WatchCloser:
			r, why = disruptive*ruleRisk, "it is only read more often"
		case p.Patch == nil:
			r, why = disruptive*ruleRisk, "only Penumbra's own view changes"
		case p.Kind == penumbra.Guard:
			r, why = disruptive*guardRisk, "only code changes; a plan that somebody means may be refused until the guard is changed too"
		}
		bad, also := badly(p)
		return r + bad*(disruptive-r), why + also
	}
	safe, touched, beyond := 1.0, 0, 0
	worst := penumbra.NoChange
	restart := false
	for _, c := range p.Plan.Changes {
		r := 0.0
		switch c.Action {
		case penumbra.Create:
			r = createRisk
		case penumbra.Update:
			var restarts bool
			r, restarts = updating(p, &c)
			restart = restart || restarts
		case penumbra.Execute:
			r = executeRisk
			if restartWord.MatchString(string(c.Resource)) {
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
		if n := notAsked(&c, p, ev); n > 0 {
			beyond += n
			r = min(1, r+beyondRisk)
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
	safe *= 1 - worsened(p.Predictions)
	hour, atHour := timeOfDay(ev)
	safe = math.Pow(safe, hour*ev.Criticality.power())
	why := fmt.Sprintf("%s, %s of the plan changed", actionNames[worst], count(touched, "resource"))
	if restart {
		why += ", a setting among them that usually needs a restart"
	}
	if beyond > 0 {
		why += ", " + count(beyond, "setting") + " of it beside the drift"
	}
	if n := len(ev.Dependants); n > 0 {
		why += fmt.Sprintf(", %s to the drifted one", count(n, "other resource")+verb(n, " refers", " refer"))
	}
	if worse := worsened(p.Predictions); worse > 0 {
		why += fmt.Sprintf(", a metric predicted to be bad in at least %.0f %% more of the hours", 100*worse)
	}
	if atHour != "" {
		why += ", " + atHour
	}
	if ev.Criticality != Normal {
		why += fmt.Sprintf(", on a resource of %s criticality by %s", ev.Criticality, ev.CriticalBy)
	}
	for _, group := range byEntry(p.Facts) {
		f := &group[0]
		if f.Risk != nil {
			safe *= 1 - f.Risk.Mean()
			why += fmt.Sprintf("; %s: %.0f %% that a change disrupts, for %s", f.Entry, 100*f.Risk.Mean(), f.Risk.Why)
		}
		if f.OneWay != "" {
			safe *= 1 - oneWayRisk
			why += "; " + paths(group) + " cannot be taken back, by " + f.Entry
		}
	}
	bad, also := badly(p)
	safe *= 1 - bad
	if why += also; worst.Disrupts() {
		return disruptive + (1-disruptive)*(1-safe), why
	}
	return disruptive * (1 - safe), why
}

var actionNames = map[penumbra.PlanAction]string{
	penumbra.NoChange: "nothing is changed", penumbra.Execute: "a command runs", penumbra.Create: "something is created", penumbra.Update: "something is updated in place",
	penumbra.Replace: "something is REPLACED", penumbra.Destroy: "something is DESTROYED",
}

func severity(a penumbra.PlanAction) int {
	return slices.Index([]penumbra.PlanAction{penumbra.NoChange, penumbra.Create, penumbra.Update, penumbra.Execute, penumbra.Replace, penumbra.Destroy}, a)
}

// complexity grows with what has to be understood and done, and stays below 1.
func complexity(p *penumbra.Proposal) (float64, string) {
	files, resources, steps := 0, 0, 0
	if p.Patch != nil {
		files = len(p.Patch.Files)
		steps += 2 // write it, and have it reviewed and committed
	}
	if p.Applies() {
		for _, c := range p.Plan.Changes {
			if severity(c.Action) > 0 {
				resources++
			}
		}
		steps++
	}
	if p.Rule != nil || p.Attention != nil || p.Policy != nil {
		steps++
	}
	if p.Message != nil {
		steps += 1 + len(p.Message.To) // tell them, and hear what each says
	}
	n := float64(files + resources + steps)
	return n / (n + 10), fmt.Sprintf("%s, %s of code, %s changed", count(steps, "step"), count(files, "file"), count(resources, "resource"))
}
