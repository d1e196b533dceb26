package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// proposalView is a proposal as one article of a page.
type proposalView struct {
	penumbra.Proposal
	Open    bool // shown unfolded
	Form    string
	By      string
	Changes []penumbra.PlannedChange // what is destroyed or replaced first
	// Policy is what policies say of it, nil if nobody can be asked; Mine what
	// they say of an approval by who is signed in.
	Policy *penumbra.PolicyReport
	Mine   *penumbra.PolicyAnswer
	May    proposalActs
	// Decisions are those on it; Assignments what it sets, a line each.
	Decisions   []penumbra.Decision
	Assignments string
}

func (s *site) viewOf(ctx context.Context, p penumbra.Proposal, sess session, open bool) proposalView {
	v := proposalView{Proposal: p, Open: open, Form: sess.form, By: sess.principal.Name}
	if p.Plan != nil {
		v.Changes = slices.Clone(p.Plan.Changes)
		slices.SortStableFunc(v.Changes, func(a, b penumbra.PlannedChange) int {
			return cmp.Compare(weight(a.Action), weight(b.Action))
		})
	}
	v.Assignments = assignments(&p)
	if p.State == penumbra.Proposed || p.State == penumbra.Scheduled {
		v.May = s.proposalActs(ctx, sess, p.ID)
	}
	// A page does without where they cannot be had: the service asks them anyway.
	if report, err := s.service.Policies(ctx, p.ID, sess.principal.Name); err == nil {
		v.Policy = &report
		if i := slices.IndexFunc(report.Answers, func(a penumbra.PolicyAnswer) bool { return a.Verb == penumbra.Approve && a.By != "" }); i >= 0 {
			v.Mine = &report.Answers[i]
		}
	}
	if decisions, err := s.service.Decisions(ctx, penumbra.DecisionQuery{Proposal: p.ID}); err == nil {
		v.Decisions = decisions
	}
	return v
}

// Refused reports whether policies refuse an approval by who is signed in.
func (v proposalView) Refused() bool { return v.Mine != nil && !v.Mine.Allowed }

// assignments lists what a plan sets, as a form takes it back.
func assignments(p *penumbra.Proposal) string {
	var b strings.Builder
	if len(p.Values) > 0 {
		for _, x := range p.Values {
			fmt.Fprintf(&b, "%s=%s\n", x.Path, x.Value)
		}
		return b.String()
	}
	if !p.Applies() || len(p.Plan.Targets) == 0 {
		return ""
	}
	for _, c := range p.Plan.Changes {
		if c.Resource != p.Plan.Targets[0] {
			continue
		}
		for _, x := range c.Changes {
			if !x.Unknown && x.After.Kind() != penumbra.SecretKind {
				fmt.Fprintf(&b, "%s=%s\n", x.Path, x.After)
			}
		}
	}
	return b.String()
}

// weight orders the actions of a plan by how much they take away.
func weight(a penumbra.PlanAction) int {
	return slices.Index([]penumbra.PlanAction{penumbra.Destroy, penumbra.Replace, penumbra.Execute, penumbra.Update, penumbra.Create, penumbra.Read, penumbra.NoChange}, a)
}

func (s *site) proposal(w http.ResponseWriter, r *http.Request, sess session) error {
	id := r.URL.Query().Get("id")
	if id == "" {
		return &penumbra.Error{Kind: penumbra.NotFound, What: "no proposal is named", Remedy: "choose one on the page of a drift"}
	}
	p, err := s.service.Proposal(r.Context(), id)
	if err != nil {
		return err
	}
	s.show(w, http.StatusOK, "proposal.html", s.frame(r, p.Title, sess, s.viewOf(r.Context(), p, sess, true)))
	return nil
}
