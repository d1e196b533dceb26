package proposal

import (
	"fmt"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// What known facts add to the risk of a change. Like the other risks they are
// judgement: only their order is meant.
const (
	takenOverRisk = 0.1  // of a change that what runs takes over by itself
	reloadRisk    = 0.15 // of one that needs a reload
	oneWayRisk    = 0.3  // added for what cannot be taken back
	hazardRisk    = 0.4  // added for a value that is dangerous in itself
	unmetRisk     = 0.1  // added for a value that is not good practice
)

var effectRisks = map[penumbra.ChangeEffect]float64{
	penumbra.NoEffect: takenOverRisk, penumbra.ReloadEffect: reloadRisk, penumbra.RestartEffect: restartRisk,
	penumbra.ReplaceEffect: restartRisk, penumbra.DestroyEffect: restartRisk, // the plan says what it does
}

// updating is the risk of a change in place: that of its gravest setting, by what
// is known of each, or else by its name.
func updating(p *penumbra.Proposal, c *penumbra.PlannedChange) (risk float64, restart bool) {
	for _, x := range c.Changes {
		effect, r := effectOf(p, x.Path), updateRisk
		if effect != "" {
			r = effectRisks[effect]
			restart = restart || effect == penumbra.RestartEffect
		} else if restarts.MatchString(x.Path) {
			r, restart = restartRisk, true
		}
		risk = max(risk, r)
	}
	if len(c.Changes) == 0 {
		return updateRisk, false
	}
	return risk, restart
}

// effectOf is the gravest effect that is known of a change at path.
func effectOf(p *penumbra.Proposal, path string) penumbra.ChangeEffect {
	var worst penumbra.ChangeEffect
	for _, f := range p.Facts {
		if f.Path == path && f.Effect.Graver(worst) {
			worst = f.Effect
		}
	}
	return worst
}

// badly is the share of risk that the values add which the proposal sets or
// leaves: dangerous ones, and such as are not good practice.
func badly(p *penumbra.Proposal) (share float64, why string) {
	for _, group := range byEntry(p.Facts) {
		f := &group[0]
		unmet := slices.ContainsFunc(group, func(f penumbra.Fact) bool { return f.Best != nil && !f.Best.Met })
		switch {
		case f.Hazard != "":
			share = max(share, hazardRisk)
			why += fmt.Sprintf("; %s is then at a dangerous value, by %s", paths(group), f.Entry)
		case unmet:
			share = max(share, unmetRisk)
			why += fmt.Sprintf("; %s is then not as good practice has it, by %s", paths(group), f.Entry)
		}
	}
	return share, why
}

// given is a prior that the knowledge base gives.
type given struct {
	prior
	why string
}

// priorOf returns what is known of a kind's chance with these settings, the least
// hopeful of several; nil if nothing is. What automation would do is not held
// against a change that a person has made.
func priorOf(p *penumbra.Proposal, ev *Evidence) *given {
	var out *given
	for _, f := range p.Facts {
		b, ok := f.Likelihood[p.Kind]
		if !ok || f.Owner != "" && ev.Drift.Cause.ActorKind == penumbra.User {
			continue
		}
		if out == nil || b.Mean() < out.well/(out.well+out.badly) {
			out = &given{prior{b.A, b.B}, fmt.Sprintf("%s (%s)", b.Why, f.Entry)}
		}
	}
	return out
}
