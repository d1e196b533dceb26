package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penumbra-iac/penumbra"
)

func addRoutes(a huma.API, s Service) {
	addWatching(a, s)
	addExplaining(a, s)
	addDrifts(a, s)
	addProposals(a, s)
	addRuns(a, s)
	addTimelines(a, s)
	addModels(a, s)
}

type none struct{}

type resourceList struct {
	Resources []penumbra.ResourceStatus `json:"resources"`
}

func addWatching(a huma.API, s Watcher) {
	answer(a, route{http.MethodGet, "/v1/status", "get-status", "watch",
		"State of everything", "Stacks with their last and next read, counts of resources by their gravest verdict, counts of active drifts. What was not checked is counted as such, never as in sync.",
		exampleStatus(),
	}, func(ctx context.Context, _ *none) (penumbra.Status, error) {
		return s.Status(ctx)
	})

	type stackQuery struct {
		Stack string `query:"stack" doc:"Only this stack; all without it." example:"shop"`
	}
	answer(a, route{http.MethodGet, "/v1/resources", "list-resources", "watch",
		"Resources", "The resources of a stack or of all, the gravest verdict first, then by address.",
		resourceList{exampleResources()},
	}, func(ctx context.Context, in *stackQuery) (resourceList, error) {
		resources, err := s.Resources(ctx, in.Stack)
		return resourceList{orEmpty(resources)}, err
	})

	type addressQuery struct {
		Address string `query:"address" required:"true" doc:"The resource's address, percent-encoded." example:"shop/aws_db_instance.main[\"a\"]"`
	}
	answer(a, route{http.MethodGet, "/v1/shadow", "get-shadow", "watch",
		"One resource with its shadow", "Each setting with what the code declares, what is there, what is expected at which confidence and how likely it is to leave within each horizon; the active drifts; the history of values.",
		exampleShadow(),
	}, func(ctx context.Context, in *addressQuery) (penumbra.ShadowView, error) {
		return s.Shadow(ctx, penumbra.Address(in.Address))
	})
}

type explanationList struct {
	Explanations []penumbra.Explanation `json:"explanations"`
}

func addExplaining(a huma.API, s Explainer) {
	type settingQuery struct {
		Address string `query:"address" required:"true" doc:"The resource's address, percent-encoded." example:"shop/aws_db_instance.main[\"a\"]"`
		Path    string `query:"path" doc:"Only this setting; without it, every finding and what is most likely to leave." example:"instance_class"`
	}
	answer(a, route{http.MethodGet, "/v1/explanations", "explain", "watch",
		"Why", "What moved a setting's forecast, by what the model would say without it, and why there is a verdict on it. Effects are in log odds; they overlap and need not add up.",
		explanationList{[]penumbra.Explanation{exampleExplanation()}},
	}, func(ctx context.Context, in *settingQuery) (explanationList, error) {
		explanations, err := s.Explain(ctx, penumbra.Address(in.Address), in.Path)
		return explanationList{orEmpty(explanations)}, err
	})
}

type driftList struct {
	Drifts []penumbra.Drift `json:"drifts"`
}

type driftQuery struct {
	ID       string `query:"id" doc:"Only the drift of this id."`
	Resource string `query:"resource" doc:"Only drifts of this resource, percent-encoded."`
	Stack    string `query:"stack" doc:"Only drifts of this stack." example:"shop"`
	Active   bool   `query:"active" doc:"Only drifts that are not resolved."`
	Limit    int    `query:"limit" minimum:"0" doc:"At most so many; 0 for all." example:"50"`
}

type driftPath struct {
	ID string `path:"id" doc:"The drift's id." example:"d-4c1e"`
}

type proposalList struct {
	Proposals []penumbra.Proposal `json:"proposals" doc:"By rank, the best first."`
	Omitted   []penumbra.Omitted  `json:"omitted" doc:"Ways that are not proposed, and why."`
}

type acknowledgement struct {
	ID   string `path:"id" doc:"The drift's id." example:"d-4c1e"`
	Body struct {
		By string `json:"by" doc:"Who has seen it." example:"alice"`
	}
}

type acceptance struct {
	ID   string `path:"id" doc:"The drift's id." example:"d-4c1e"`
	Body struct {
		By     string    `json:"by" doc:"Who accepts it." example:"alice"`
		Reason string    `json:"reason,omitempty" doc:"Why it is right." example:"hot fix of incident 4711"`
		Until  time.Time `json:"until,omitzero" doc:"When the acceptance ends; without it, never." example:"2026-04-01T00:00:00Z"`
	}
}

func addDrifts(a huma.API, s Service) {
	answer(a, route{http.MethodGet, "/v1/drifts", "list-drifts", "watch",
		"Drifts", "The selected drifts, the last changed first.",
		driftList{[]penumbra.Drift{exampleDrift()}},
	}, func(ctx context.Context, in *driftQuery) (driftList, error) {
		drifts, err := s.Drifts(ctx, penumbra.DriftQuery{
			ID: in.ID, Resource: penumbra.Address(in.Resource), Stack: in.Stack, Active: in.Active, Limit: in.Limit,
		})
		return driftList{orEmpty(drifts)}, err
	})
	answer(a, route{http.MethodGet, "/v1/drifts/{id}", "get-drift", "watch",
		"One drift", "Who, when, from what cause, and the finding on each setting.",
		exampleDrift(),
	}, func(ctx context.Context, in *driftPath) (penumbra.Drift, error) {
		drifts, err := s.Drifts(ctx, penumbra.DriftQuery{ID: in.ID})
		return only(drifts, err, "drift", in.ID)
	})
	answer(a, route{http.MethodGet, "/v1/drifts/{id}/proposals", "list-proposals", "resolve",
		"Ways to resolve a drift", "The open proposals by rank; they are made and planned first if there are none, which may take as long as a plan does.",
		proposalList{[]penumbra.Proposal{exampleProposal()}, []penumbra.Omitted{{Kind: penumbra.IgnoreChanges, Reason: "the setting is already in lifecycle.ignore_changes"}}},
	}, func(ctx context.Context, in *driftPath) (proposalList, error) {
		proposals, omitted, err := s.Proposals(ctx, in.ID)
		return proposalList{orEmpty(proposals), orEmpty(omitted)}, err
	})
	answer(a, route{http.MethodPost, "/v1/drifts/{id}/acknowledge", "acknowledge-drift", "resolve",
		"Acknowledge a drift", "Records that a person has seen it. It stays open.",
		exampleDrift(),
	}, func(ctx context.Context, in *acknowledgement) (penumbra.Drift, error) {
		return s.Acknowledge(ctx, in.ID, in.Body.By)
	})
	answer(a, route{http.MethodPost, "/v1/drifts/{id}/accept", "accept-drift", "resolve",
		"Accept a drift", "Takes the actual values as right, for good or until a time. The code stays as it is.",
		exampleDrift(),
	}, func(ctx context.Context, in *acceptance) (penumbra.Drift, error) {
		return s.Accept(ctx, in.ID, in.Body.By, in.Body.Reason, in.Body.Until)
	})
}

type proposalPath struct {
	ID string `path:"id" doc:"The proposal's id." example:"p-7f3a"`
}

type approval struct {
	ID   string `path:"id" doc:"The proposal's id." example:"p-7f3a"`
	Body struct {
		Hash string `json:"hash" minLength:"1" doc:"The proposal's hash, as it was shown." example:"9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab"`
		By   string `json:"by" doc:"Who approves it." example:"alice"`
	}
}

type rejection struct {
	ID   string `path:"id" doc:"The proposal's id." example:"p-7f3a"`
	Body struct {
		Reason string `json:"reason,omitempty" doc:"Why it is wrong; the shadow learns from it." example:"the larger instance is needed until Friday"`
		By     string `json:"by" doc:"Who rejects it." example:"alice"`
	}
}

type customisation struct {
	ID   string `path:"id" doc:"The proposal's id." example:"p-7f3a"`
	Body struct {
		Values []penumbra.Setting `json:"values" nullable:"false" minItems:"1" doc:"The settings and the values that they are to have."`
		By     string             `json:"by,omitempty" doc:"Who chose them." example:"alice"`
	}
}

func addProposals(a huma.API, s Resolver) {
	answer(a, route{http.MethodGet, "/v1/proposals/{id}", "get-proposal", "resolve",
		"One proposal", "Script, plan, patch, scores and the way back.",
		exampleProposal(),
	}, func(ctx context.Context, in *proposalPath) (penumbra.Proposal, error) {
		return s.Proposal(ctx, in.ID)
	})
	answer(a, route{http.MethodPost, "/v1/proposals/{id}/approve", "approve-proposal", "resolve",
		"Approve a proposal", "Records the decision and starts the run, which goes on after the answer. The hash must be the proposal's: otherwise the problem is of kind stale and nothing is done.",
		exampleRun(),
	}, func(ctx context.Context, in *approval) (penumbra.Run, error) {
		return s.Approve(ctx, in.ID, in.Body.Hash, in.Body.By)
	})
	act(a, route{http.MethodPost, "/v1/proposals/{id}/reject", "reject-proposal", "resolve",
		"Reject a proposal", "Records that it is wrong. It is not proposed again for the same drift.", nil,
	}, func(ctx context.Context, in *rejection) error {
		return s.Reject(ctx, in.ID, in.Body.By, in.Body.Reason)
	})
	answer(a, route{http.MethodPost, "/v1/proposals/{id}/customize", "customize-proposal", "resolve",
		"Choose the values", "Makes and plans a new proposal that sets the values given. It is approved like any other.",
		exampleProposal(),
	}, func(ctx context.Context, in *customisation) (penumbra.Proposal, error) {
		return s.Customize(ctx, in.ID, in.Body.Values, in.Body.By)
	})
}

type runList struct {
	Runs []penumbra.Run `json:"runs"`
}

type runQuery struct {
	ID       string `query:"id" doc:"Only the run of this id."`
	Proposal string `query:"proposal" doc:"Only runs of this proposal."`
	Stack    string `query:"stack" doc:"Only runs on this stack." example:"shop"`
	Unended  bool   `query:"unended" doc:"Only runs that have not ended."`
	Limit    int    `query:"limit" minimum:"0" doc:"At most so many; 0 for all." example:"50"`
}

type runPath struct {
	ID string `path:"id" doc:"The run's id." example:"r-02b9"`
}

type undoing struct {
	ID   string `path:"id" doc:"The run's id." example:"r-02b9"`
	Body struct {
		By string `json:"by" doc:"Who asks for it." example:"alice"`
	}
}

func addRuns(a huma.API, s Resolver) {
	answer(a, route{http.MethodGet, "/v1/runs", "list-runs", "resolve",
		"Runs", "The selected runs, the last started first.",
		runList{[]penumbra.Run{exampleRun()}},
	}, func(ctx context.Context, in *runQuery) (runList, error) {
		runs, err := s.Runs(ctx, penumbra.RunQuery{ID: in.ID, Proposal: in.Proposal, Stack: in.Stack, Unended: in.Unended, Limit: in.Limit})
		return runList{orEmpty(runs)}, err
	})
	answer(a, route{http.MethodGet, "/v1/runs/{id}", "get-run", "resolve",
		"One run", "Where it is, the steps behind it, and what the tools printed, redacted.",
		exampleRun(),
	}, func(ctx context.Context, in *runPath) (penumbra.Run, error) {
		runs, err := s.Runs(ctx, penumbra.RunQuery{ID: in.ID})
		return only(runs, err, "run", in.ID)
	})
	answer(a, route{http.MethodPost, "/v1/runs/{id}/rollback", "rollback-run", "resolve",
		"The way back from a run", "Makes and plans a proposal that takes the run back. Nothing is changed until it is approved.",
		exampleProposal(),
	}, func(ctx context.Context, in *undoing) (penumbra.Proposal, error) {
		return s.Rollback(ctx, in.ID, in.Body.By)
	})
}

// only returns the first of a selection by id, of which there is one at most.
func only[T any](found []T, err error, noun, id string) (T, error) {
	var zero T
	if err != nil {
		return zero, err
	}
	if len(found) == 0 {
		return zero, &penumbra.Error{Kind: penumbra.NotFound, What: "there is no " + noun + " " + id, Remedy: "list them for those that there are"}
	}
	return found[0], nil
}

// orEmpty makes a list that holds nothing an empty JSON array rather than null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
