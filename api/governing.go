package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penumbra-iac/penumbra"
)

type decisionList struct {
	Decisions []penumbra.Decision `json:"decisions"`
	Next      string              `json:"next,omitempty" doc:"The cursor of the next page, absent on the last."`
}

func (l decisionList) next() string { return l.Next }

type decisionQuery struct {
	Proposal string `query:"proposal" doc:"Only decisions on this proposal." example:"p-7f3a"`
	Drift    string `query:"drift" doc:"Only decisions on this drift and its proposals." example:"d-4c1e"`
	Paging
}

type snooze struct {
	ID   string `path:"id" doc:"The drift's id." example:"d-4c1e"`
	Body struct {
		By     string    `json:"by,omitempty" doc:"Who snoozes it: the credential's name, which may be left out." example:"alice"`
		Reason string    `json:"reason,omitempty" doc:"Why it can wait." example:"after the release"`
		Until  time.Time `json:"until,omitzero" doc:"When it comes back; without it, the snooze ends now." example:"2026-04-01T00:00:00Z"`
	}
}

func addDecisions(a huma.API, s Resolver) {
	pages(a, route{http.MethodGet, "/v1/decisions", "list-decisions", "resolve",
		"Decisions", "What was decided, by whom and why, oldest first. A decision of a policy is by policy: and its id.",
		decisionList{Decisions: []penumbra.Decision{exampleDecision()}},
	}, func(in *decisionQuery) *Paging { return &in.Paging }, func(ctx context.Context, in *decisionQuery) (decisionList, error) {
		var from placed
		if err := penumbra.ReadCursor(in.Cursor, &from); err != nil {
			return decisionList{}, err
		}
		decisions, err := s.Decisions(ctx, penumbra.DecisionQuery{Proposal: in.Proposal, Drift: in.Drift, Limit: in.Limit + 1, AfterID: from.ID})
		list, next := cutPage(decisions, in.Limit, func(d *penumbra.Decision) placed { return placed{d.Time, d.ID} })
		return decisionList{list, next}, err
	})
	answer(a, route{http.MethodPost, "/v1/drifts/{id}/snooze", "snooze-drift", "resolve",
		"Snooze a drift", "Keeps quiet about it until a time. It comes back by itself then, and before if it changes or becomes critical.",
		exampleDrift(),
	}, func(ctx context.Context, in *snooze) (penumbra.Drift, error) {
		by, err := asker(ctx, in.Body.By)
		if err != nil {
			return penumbra.Drift{}, err
		}
		return s.Snooze(ctx, in.ID, by, in.Body.Reason, in.Body.Until)
	})
}

type policyQuery struct {
	ID string `path:"id" doc:"The proposal's id." example:"p-7f3a"`
	By string `query:"by" doc:"Whose acts to ask about; without it, only whether Penumbra would approve it itself." example:"alice"`
}

type freezeList struct {
	Freezes []penumbra.Freeze `json:"freezes"`
}

type freezing struct {
	Body struct {
		Stacks []string  `json:"stacks,omitempty" nullable:"false" doc:"The stacks that it holds for; without any, all." example:"[\"shop\"]"`
		From   time.Time `json:"from,omitzero" doc:"When it begins; without it, now." example:"2026-03-27T00:00:00Z"`
		Until  time.Time `json:"until,omitzero" doc:"When it ends; without it, somebody has to lift it." example:"2026-04-01T00:00:00Z"`
		Reason string    `json:"reason" minLength:"1" doc:"Why, for those whose runs it refuses." example:"the spring sale"`
		By     string    `json:"by,omitempty" doc:"Who sets it: the credential's name, which may be left out." example:"olga"`
	}
}

type lifting struct {
	ID   string `path:"id" doc:"The freeze's id." example:"f-19ab"`
	Body struct {
		By string `json:"by,omitempty" doc:"Who lifts it: the credential's name, which may be left out." example:"olga"`
	}
}

func addGoverning(a huma.API, s Governor) {
	answer(a, route{http.MethodGet, "/v1/proposals/{id}/policy", "ask-policy", "resolve",
		"What policies say of a proposal", "For each act by a person whether it is allowed, how many people have to approve, and by which policies; whether Penumbra would approve it itself; whether a window is open and a freeze holds. Nothing is decided.",
		exampleReport(),
	}, func(ctx context.Context, in *policyQuery) (penumbra.PolicyReport, error) {
		return s.Policies(ctx, in.ID, in.By)
	})
	answer(a, route{http.MethodGet, "/v1/freezes", "list-freezes", "resolve",
		"Freezes", "Those of the configuration and those that people set, ended ones too, oldest first.",
		freezeList{[]penumbra.Freeze{exampleFreeze()}},
	}, func(ctx context.Context, _ *none) (freezeList, error) {
		freezes, err := s.Freezes(ctx)
		return freezeList{orEmpty(freezes)}, err
	})
	answer(a, route{http.MethodPost, "/v1/freezes", "freeze", "resolve",
		"Freeze stacks", "Keeps runs from starting until a time, or until it is lifted. Runs at work go on.",
		exampleFreeze(),
	}, func(ctx context.Context, in *freezing) (penumbra.Freeze, error) {
		b := in.Body
		by, err := asker(ctx, b.By)
		if err != nil {
			return penumbra.Freeze{}, err
		}
		return s.Freeze(ctx, penumbra.Freeze{Stacks: b.Stacks, From: b.From, Until: b.Until, Reason: b.Reason, By: by})
	})
	answer(a, route{http.MethodPost, "/v1/freezes/{id}/lift", "lift-freeze", "resolve",
		"Lift a freeze", "Ends a freeze that a person set. One of the configuration ends there.",
		exampleFreeze(),
	}, func(ctx context.Context, in *lifting) (penumbra.Freeze, error) {
		by, err := asker(ctx, in.Body.By)
		if err != nil {
			return penumbra.Freeze{}, err
		}
		return s.Unfreeze(ctx, in.ID, by)
	})
}

// Snooze implements [Resolver].
func (c *Client) Snooze(ctx context.Context, drift, by, reason string, until time.Time) (penumbra.Drift, error) {
	var in snooze
	in.Body.By, in.Body.Reason, in.Body.Until = by, reason, until
	var d penumbra.Drift
	err := c.callOn(ctx, http.MethodPost, "drift", "/v1/drifts/", drift, "/snooze", in.Body, &d)
	restoreDrift(&d)
	return d, err
}

// Policies implements [Governor].
func (c *Client) Policies(ctx context.Context, proposal, by string) (penumbra.PolicyReport, error) {
	if proposal == "" {
		return penumbra.PolicyReport{}, &penumbra.Error{Kind: penumbra.Invalid, What: "the id of the proposal is empty", Remedy: "name one"}
	}
	var report penumbra.PolicyReport
	return report, c.get(ctx, "/v1/proposals/"+url.PathEscape(proposal)+"/policy", params{}.text("by", by), &report)
}

// Freezes implements [Governor].
func (c *Client) Freezes(ctx context.Context) ([]penumbra.Freeze, error) {
	var list freezeList
	err := c.get(ctx, "/v1/freezes", nil, &list)
	return list.Freezes, err
}

// Freeze implements [Governor].
func (c *Client) Freeze(ctx context.Context, f penumbra.Freeze) (penumbra.Freeze, error) {
	var in freezing
	in.Body.Stacks, in.Body.From, in.Body.Until, in.Body.Reason, in.Body.By = f.Stacks, f.From, f.Until, f.Reason, f.By
	var out penumbra.Freeze
	return out, c.call(ctx, http.MethodPost, "/v1/freezes", in.Body, &out)
}

// Unfreeze implements [Governor].
func (c *Client) Unfreeze(ctx context.Context, id, by string) (penumbra.Freeze, error) {
	var in lifting
	in.Body.By = by
	var f penumbra.Freeze
	return f, c.callOn(ctx, http.MethodPost, "freeze", "/v1/freezes/", id, "/lift", in.Body, &f)
}
