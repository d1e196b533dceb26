package decisions

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// alike returns the open drifts of the stack's other resources of the type whose
// settings left the code for the same values: one cause, as a rule, and one
// change of the code resolves them all. They are sorted by resource.
func (b *Board) alike(d *penumbra.Drift) []penumbra.Drift {
	out := b.cfg.World.Active(func(address penumbra.Address) bool {
		return address != d.Resource && address.Stack() == d.Resource.Stack()
	})
	out = slices.DeleteFunc(out, func(other penumbra.Drift) bool {
		if other.Verdict != penumbra.Drifted || other.Verdict != d.Verdict || !slices.EqualFunc(d.Findings, other.Findings, sameDeparture) {
			return true
		}
		r, ok := b.cfg.World.Resource(other.Resource)
		return !ok || r.Type != d.Type || r.Deleted
	})
	slices.SortFunc(out, func(a, b penumbra.Drift) int { return cmp.Compare(a.Resource, b.Resource) })
	return out
}

func sameDeparture(a, b penumbra.Finding) bool {
	return a.Path != "" && a.Path == b.Path && a.Actual == b.Actual && a.Declared == b.Declared
}

// lastLooks is how many snapshots are looked through for what was last seen.
const lastLooks = 5000

// lastSeen returns what the last snapshots showed of a resource that is gone.
func (b *Board) lastSeen(ctx context.Context, address penumbra.Address) (penumbra.Settings, error) {
	var was penumbra.Settings
	q := penumbra.ObservationQuery{Resource: address, Kinds: []penumbra.ObservationKind{penumbra.SnapshotKind}, Latest: lastLooks}
	for o, err := range b.cfg.Store.Observations(ctx, q) {
		if err != nil {
			return nil, err
		}
		if len(o.Settings) > 0 {
			was = o.Settings
		}
	}
	return was, nil
}

// AdoptPart makes a proposal that writes only the drift's settings at the paths
// into the code; with revert it brings the others back in the same run. The
// other proposals stay open. It is approved like any other.
func (b *Board) AdoptPart(ctx context.Context, id string, only []string, revert bool, by string) (penumbra.Proposal, error) {
	d, err := b.cfg.World.Drift(ctx, id)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	if !d.Active() || d.Verdict == penumbra.Impending || d.Verdict == penumbra.NotChecked {
		return penumbra.Proposal{}, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("drift %s has nothing to adopt", id), Remedy: "see `penumbra drift show " + id + "`"}
	}
	s, c, err := b.caseOf(ctx, d)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	s.Work.Lock()
	proposing, end := b.cfg.Begin(ctx, "propose", s.Name, "drift", d.ID)
	p, err := s.Proposer.Part(proposing, only, revert, c)
	end(err)
	s.Work.Unlock()
	if err != nil {
		return penumbra.Proposal{}, err
	}
	b.cfg.Log.Info("an adoption in part is proposed", "drift", id, "proposal", p.ID, "by", by)
	return p, b.cfg.Store.SaveProposals(ctx, []penumbra.Proposal{p})
}

// unkept returns the settings of a drift that are not as the proposal promised,
// as the shadow knows the resource now.
func (b *Board) unkept(p penumbra.Proposal, d penumbra.Drift) ([]penumbra.Finding, error) {
	view, err := b.cfg.World.Shadow(d.Resource)
	if err != nil {
		return nil, err
	}
	return unkept(&view, p, d), nil
}

// unkept returns the settings of a drift that are not as the proposal promised.
func unkept(view *penumbra.ShadowView, p penumbra.Proposal, d penumbra.Drift) []penumbra.Finding {
	if p.Kind == penumbra.Guard {
		return nil // nothing has drifted, and what may is as likely as before
	}
	var out []penumbra.Finding
	finding := func(s penumbra.SettingView, promised penumbra.Value) {
		out = append(out, penumbra.Finding{Path: s.Path, Verdict: s.Verdict, Declared: s.Declared, Template: promised, Actual: s.Actual, Sensitive: s.Sensitive})
	}
	if len(p.Values) > 0 {
		for _, v := range p.Values {
			if actual := view.Resource.Actual.Get(v.Path); actual != v.Value {
				finding(penumbra.SettingView{Path: v.Path, Actual: actual, Sensitive: v.Sensitive}, v.Value)
			}
		}
		for _, s := range view.Settings {
			if _, part := p.Values.Find(s.Path); part && p.Kind == penumbra.Adopt && s.Verdict.IsDrift() {
				finding(s, s.Template)
			}
		}
		return out
	}
	if p.Kind == penumbra.Restore {
		return nil // code or a rule was put back, nothing else was promised
	}
	if len(view.Resource.Actual) == 0 && (p.Kind == penumbra.Revert || p.Kind == penumbra.Import) {
		finding(penumbra.SettingView{Verdict: penumbra.Drifted}, penumbra.Null())
		return out
	}
	for _, s := range view.Settings {
		if _, part := d.Finding(s.Path); part && s.Verdict.IsDrift() {
			finding(s, s.Template)
		}
	}
	return out
}
