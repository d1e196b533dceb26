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
	addDecisions(a, s)
	addGoverning(a, s)
	addTimelines(a, s)
	addModels(a, s)
	addListening(a, s)
	addRecording(a, s)
	addAuditing(a, s)
	addAccounts(a, s)
	addTokens(a, s)
	addLogin(a, s, s)
	addNews(a, s)
	addNotices(a, s)
	addKnowledge(a, s)
	addMoved(a, s)
	addTasks(a, s)
}

type none struct{}

type resourceList struct {
	Resources []penumbra.ResourceStatus `json:"resources"`
	Found     int                       `json:"found" doc:"On all pages."`
	Next      string                    `json:"next,omitempty" doc:"The cursor of the next page, absent on the last."`
}

func (l resourceList) next() string { return l.Next }

type resourceQuery struct {
	Stack    string   `query:"stack" doc:"Only this stack; all without it." example:"shop"`
	Type     string   `query:"type" doc:"Only this type." example:"aws_db_instance"`
	Verdicts []string `query:"verdicts" doc:"Only these verdicts, separated by commas." example:"drifted,not checked"`
	Text     string   `query:"q" maxLength:"200" doc:"Only those in whose address or type this occurs, whatever the case." example:"db"`
	Order    string   `query:"order" enum:"address,type,settings,seen" doc:"By address, by type, those with the most settings first, those that were looked at longest ago first; without it, the gravest verdict first."`
	Paging
}

func addWatching(a huma.API, s Watcher) {
	answer(a, route{http.MethodGet, "/v1/status", "get-status", "watch",
		"State of everything", "Stacks with their last and next read, counts of resources by their gravest verdict, counts of active drifts. What was not checked is counted as such, never as in sync.",
		exampleStatus(),
	}, func(ctx context.Context, _ *none) (penumbra.Status, error) {
		return s.Status(ctx)
	})

	answer(a, route{http.MethodGet, "/v1/nodes", "list-nodes", "watch",
		"Nodes", "The processes that share the store and were heard of within a day: which of them leads, and when each was heard of last. None where one process has the store to itself. See docs/nodes.md.",
		exampleNodes(),
	}, func(ctx context.Context, _ *none) (penumbra.Nodes, error) {
		nodes, err := s.Nodes(ctx)
		nodes.Nodes = orEmpty(nodes.Nodes)
		return nodes, err
	})

	pages(a, route{http.MethodGet, "/v1/resources", "list-resources", "watch",
		"Resources", "The selected resources, the gravest verdict first, then by address.",
		resourceList{Resources: exampleResources(), Found: len(exampleResources())},
	}, func(in *resourceQuery) *Paging { return &in.Paging }, func(ctx context.Context, in *resourceQuery) (resourceList, error) {
		q := penumbra.ResourceQuery{Stack: in.Stack, Type: in.Type, Text: in.Text, Order: penumbra.ResourceOrder(in.Order), Page: penumbra.Page{Limit: in.Limit, After: in.Cursor}}
		var err error
		if q.Verdicts, err = verdicts(in.Verdicts); err != nil {
			return resourceList{}, err
		}
		page, err := s.FindResources(ctx, q)
		return resourceList{orEmpty(page.Resources), page.Found, page.Next}, err
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
	Found  *int             `json:"found,omitempty" doc:"On all pages; absent where resolved ones are asked for too, which are not counted."`
	Next   string           `json:"next,omitempty" doc:"The cursor of the next page, absent on the last."`
}

func (l driftList) next() string { return l.Next }

type driftQuery struct {
	ID       string   `query:"id" doc:"Only the drift of this id."`
	Resource string   `query:"resource" doc:"Only drifts of this resource, percent-encoded."`
	Stack    string   `query:"stack" doc:"Only drifts of this stack." example:"shop"`
	Active   bool     `query:"active" doc:"Only drifts that are not resolved."`
	Resolved bool     `query:"resolved" doc:"Only drifts that are resolved."`
	Critical bool     `query:"critical" doc:"Only drifts that coincide with a drop in performance."`
	Snoozed  string   `query:"snoozed" enum:"true,false" doc:"Only those that are snoozed, or only those that are not."`
	Type     string   `query:"type" doc:"Only drifts of resources of this type." example:"aws_db_instance"`
	Verdicts []string `query:"verdicts" doc:"Only these verdicts, separated by commas." example:"drifted,impending"`
	Text     string   `query:"q" maxLength:"200" doc:"Only those in whose id, address, type, actor, action or paths this occurs, whatever the case." example:"alice"`
	Paging
}

func (in *driftQuery) query() (q penumbra.DriftQuery, err error) {
	q = penumbra.DriftQuery{
		ID: in.ID, Resource: penumbra.Address(in.Resource), Stack: in.Stack, Active: in.Active, Resolved: in.Resolved, Critical: in.Critical,
		Type: in.Type, Text: in.Text, Limit: in.Limit, After: in.Cursor,
	}
	if in.Snoozed != "" {
		q.Snoozed = new(in.Snoozed == "true")
	}
	q.Verdicts, err = verdicts(in.Verdicts)
	return q, err
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
		By string `json:"by,omitempty" doc:"Who has seen it: the credential's name, which may be left out." example:"alice"`
	}
}

type acceptance struct {
	ID   string `path:"id" doc:"The drift's id." example:"d-4c1e"`
	Body struct {
		By     string    `json:"by,omitempty" doc:"Who accepts it: the credential's name, which may be left out." example:"alice"`
		Reason string    `json:"reason,omitempty" doc:"Why it is right." example:"hot fix of incident 4711"`
		Until  time.Time `json:"until,omitzero" doc:"When the acceptance ends; without it, never." example:"2026-04-01T00:00:00Z"`
	}
}

func addDrifts(a huma.API, s Service) {
	pages(a, route{http.MethodGet, "/v1/drifts", "list-drifts", "watch",
		"Drifts", "The selected drifts: those that go on by what presses, then by verdict, then the last changed; then the resolved ones, the last changed first.",
		driftList{Drifts: []penumbra.Drift{exampleDrift()}, Found: new(1)},
	}, func(in *driftQuery) *Paging { return &in.Paging }, func(ctx context.Context, in *driftQuery) (driftList, error) {
		q, err := in.query()
		if err != nil {
			return driftList{}, err
		}
		page, err := s.FindDrifts(ctx, q)
		list := driftList{Drifts: orEmpty(page.Drifts), Next: page.Next}
		if page.Found >= 0 {
			list.Found = &page.Found
		}
		return list, err
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
		by, err := asker(ctx, in.Body.By)
		if err != nil {
			return penumbra.Drift{}, err
		}
		return s.Acknowledge(ctx, in.ID, by)
	})
	answer(a, route{http.MethodPost, "/v1/drifts/{id}/accept", "accept-drift", "resolve",
		"Accept a drift", "Takes the actual values as right, for good or until a time. The code stays as it is.",
		exampleDrift(),
	}, func(ctx context.Context, in *acceptance) (penumbra.Drift, error) {
		by, err := decider(ctx, in.Body.By)
		if err != nil {
			return penumbra.Drift{}, err
		}
		return s.Accept(ctx, in.ID, by, in.Body.Reason, in.Body.Until)
	})
}

type proposalPath struct {
	ID string `path:"id" doc:"The proposal's id." example:"p-7f3a"`
}

type approval struct {
	ID   string `path:"id" doc:"The proposal's id." example:"p-7f3a"`
	Body struct {
		Hash string `json:"hash" minLength:"1" doc:"The proposal's hash, as it was shown." example:"9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab"`
		By   string `json:"by,omitempty" doc:"Who approves it: the credential's name, which may be left out." example:"alice"`
	}
}

type rejection struct {
	ID   string `path:"id" doc:"The proposal's id." example:"p-7f3a"`
	Body struct {
		Reason string `json:"reason,omitempty" doc:"Why it is wrong; the shadow learns from it." example:"the larger instance is needed until Friday"`
		By     string `json:"by,omitempty" doc:"Who rejects it: the credential's name, which may be left out." example:"alice"`
	}
}

type customisation struct {
	ID   string `path:"id" doc:"The proposal's id." example:"p-7f3a"`
	Body struct {
		Values []penumbra.Setting  `json:"values,omitempty" nullable:"false" minItems:"1" doc:"The settings and the values that they are to have."`
		Files  []penumbra.FileEdit `json:"files,omitempty" nullable:"false" minItems:"1" doc:"Or whole files of the code as they are to be."`
		By     string              `json:"by,omitempty" doc:"Who chose them: the credential's name, which may be left out." example:"alice"`
	}
}

type partAdoption struct {
	ID   string `path:"id" doc:"The drift's id." example:"d-9c1e"`
	Body struct {
		Only       []string `json:"only" nullable:"false" minItems:"1" doc:"The paths of the settings to adopt; a path stands for all below it too." example:"memory_mb"`
		RevertRest bool     `json:"revert_rest,omitempty" doc:"Bring the drift's other settings back to the code in the same run."`
		By         string   `json:"by,omitempty" doc:"Who asks for it: the credential's name, which may be left out." example:"alice"`
	}
}

func addProposals(a huma.API, s Resolver) {
	answer(a, route{http.MethodPost, "/v1/drifts/{id}/adopt", "adopt-part", "resolve",
		"Adopt some settings", "Makes and plans a new proposal that writes only the settings given into the code. Its plan shows what the code still wants of the others. It is approved like any other.",
		exampleProposal(),
	}, func(ctx context.Context, in *partAdoption) (penumbra.Proposal, error) {
		by, err := asker(ctx, in.Body.By)
		if err != nil {
			return penumbra.Proposal{}, err
		}
		return s.AdoptPart(ctx, in.ID, in.Body.Only, in.Body.RevertRest, by)
	})
	answer(a, route{http.MethodGet, "/v1/proposals/{id}", "get-proposal", "resolve",
		"One proposal", "Script, plan, patch, scores and the way back.",
		exampleProposal(),
	}, func(ctx context.Context, in *proposalPath) (penumbra.Proposal, error) {
		return s.Proposal(ctx, in.ID)
	})
	answer(a, route{http.MethodPost, "/v1/proposals/{id}/approve", "approve-proposal", "resolve",
		"Approve a proposal", "Records the decision. The approval of the last person needed starts the run, which goes on after the answer, or schedules it for the next maintenance window. The hash must be the proposal's: otherwise the problem is of kind stale and nothing is done. What a policy, a freeze or a window does not allow is of kind refused.",
		exampleApproval(),
	}, func(ctx context.Context, in *approval) (penumbra.Approval, error) {
		by, err := decider(ctx, in.Body.By)
		if err != nil {
			return penumbra.Approval{}, err
		}
		return s.Approve(ctx, in.ID, in.Body.Hash, by)
	})
	act(a, route{http.MethodPost, "/v1/proposals/{id}/reject", "reject-proposal", "resolve",
		"Reject a proposal", "Records that it is wrong, and why. What would do the same is not proposed again for the drift, unless that changes.", nil,
	}, func(ctx context.Context, in *rejection) error {
		by, err := decider(ctx, in.Body.By)
		if err != nil {
			return err
		}
		return s.Reject(ctx, in.ID, by, in.Body.Reason)
	})
	answer(a, route{http.MethodPost, "/v1/proposals/{id}/customize", "customize-proposal", "resolve",
		"Choose the values, or edit the code", "Makes and plans a new proposal that sets the values given, or writes the files given, one of the two. It says how it differs from the one it was made from, and is approved like any other.",
		exampleProposal(),
	}, func(ctx context.Context, in *customisation) (penumbra.Proposal, error) {
		by, err := asker(ctx, in.Body.By)
		if err != nil {
			return penumbra.Proposal{}, err
		}
		return s.Customize(ctx, in.ID, penumbra.Edit{Values: in.Body.Values, Files: in.Body.Files}, by)
	})
}

type runList struct {
	Runs []penumbra.Run `json:"runs"`
	Next string         `json:"next,omitempty" doc:"The cursor of the next page, absent on the last."`
}

func (l runList) next() string { return l.Next }

type runQuery struct {
	ID       string `query:"id" doc:"Only the run of this id."`
	Proposal string `query:"proposal" doc:"Only runs of this proposal."`
	Stack    string `query:"stack" doc:"Only runs on this stack." example:"shop"`
	Unended  bool   `query:"unended" doc:"Only runs that have not ended."`
	Paging
}

type runPath struct {
	ID string `path:"id" doc:"The run's id." example:"r-02b9"`
}

type undoing struct {
	ID   string `path:"id" doc:"The run's id." example:"r-02b9"`
	Body struct {
		By string `json:"by,omitempty" doc:"Who asks for it: the credential's name, which may be left out." example:"alice"`
	}
}

func addRuns(a huma.API, s Resolver) {
	pages(a, route{http.MethodGet, "/v1/runs", "list-runs", "resolve",
		"Runs", "The selected runs, the last started first.",
		runList{Runs: []penumbra.Run{exampleRun()}},
	}, func(in *runQuery) *Paging { return &in.Paging }, func(ctx context.Context, in *runQuery) (runList, error) {
		var from placed
		if err := penumbra.ReadCursor(in.Cursor, &from); err != nil {
			return runList{}, err
		}
		runs, err := s.Runs(ctx, penumbra.RunQuery{
			ID: in.ID, Proposal: in.Proposal, Stack: in.Stack, Unended: in.Unended, Limit: in.Limit + 1, Before: from.Time, BeforeID: from.ID,
		})
		list, next := cutPage(runs, in.Limit, func(r *penumbra.Run) placed { return placed{r.Started, r.ID} })
		return runList{list, next}, err
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
		by, err := asker(ctx, in.Body.By)
		if err != nil {
			return penumbra.Proposal{}, err
		}
		return s.Rollback(ctx, in.ID, by)
	})
	answer(a, route{http.MethodPost, "/v1/runs/{id}/review", "review-run", "resolve",
		"What became of a change under review", "Asks version control, and the forge if there is a pull request, now; a daemon does so every few minutes. The drift stays open until the code that is read has the change.",
		exampleReview(),
	}, func(ctx context.Context, in *runPath) (penumbra.Run, error) {
		return s.Review(ctx, in.ID)
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
