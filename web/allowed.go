package web

import (
	"context"
	"net/http"

	"github.com/penumbra-iac/penumbra"
)

// A page shows nobody a button that would refuse them. What decides is the service all
// the same, once a form is sent: what is shown here grants nothing.

// may reports whether who is signed in may do something to a target.
func (s *site) may(ctx context.Context, act penumbra.Act, t penumbra.Target) bool {
	return s.service.May(ctx, act, t) == nil
}

// decides reports whether who is signed in may take a decision on what has an
// identifier. A program takes none on pages.
func (s *site) decides(ctx context.Context, sess session, act penumbra.Act, id string) bool {
	return sess.principal.Kind == penumbra.PersonPrincipal && s.service.MayOn(ctx, act, id) == nil
}

// driftActs are what may be done to a drift.
type driftActs struct{ Acknowledge, Snooze, Adopt, Accept bool }

func (s *site) driftActs(ctx context.Context, sess session, id string) driftActs {
	of := func(act penumbra.Act) bool { return s.decides(ctx, sess, act, id) }
	return driftActs{of("drift.acknowledge"), of("drift.snooze"), of("proposal.adopt"), of("drift.accept")}
}

// Any reports whether anything may be done.
func (a driftActs) Any() bool { return a.Acknowledge || a.Snooze || a.Adopt || a.Accept }

// proposalActs are what may be done to a proposal.
type proposalActs struct {
	Approve, Reject, Customize bool
	// Missing says what it takes to approve it, "" if nothing is missing.
	Missing string
}

func (s *site) proposalActs(ctx context.Context, sess session, id string) proposalActs {
	a := proposalActs{Reject: s.decides(ctx, sess, "proposal.reject", id), Customize: s.decides(ctx, sess, "proposal.customize", id)}
	_, err := decider(sess)
	if err == nil {
		err = s.service.MayOn(ctx, "proposal.approve", id)
	}
	if a.Approve = err == nil; !a.Approve {
		a.Missing = failureOf(err).What
	}
	return a
}

// navigation is the list of pages, without those that who is signed in may not see.
func (s *site) navigation(r *http.Request) []navGroup {
	var out []navGroup
	for _, group := range navigation {
		shown := navGroup{Name: group.Name}
		for _, page := range group.Pages {
			pattern := "GET " + page.Path
			if page.Path == "/" {
				pattern = "GET /{$}"
			}
			if s.service.Reaches(r.Context(), acts[pattern]) {
				shown.Pages = append(shown.Pages, page)
			}
		}
		if len(shown.Pages) > 0 {
			out = append(out, shown)
		}
	}
	return out
}
