package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"github.com/penumbra-iac/penumbra"
)

// A Doorkeeper says whether who asks may do something at all, on whatever. It returns
// an error of kind Refused if not. What an act is on is asked about by the methods
// themselves.
type Doorkeeper interface {
	Reach(ctx context.Context, act penumbra.Act) error
}

// acts are what routes do, by their operations' identifiers. A route that is not here
// keeps the API from being made: nobody has said who may call it.
var acts = map[string]penumbra.Act{
	"login": public, "whoami": "self.read", "list-tokens": "self.read", "add-token": "self.change", "revoke-token": "self.change", "change-user": "self.change",
	"list-users": "account.read", "add-user": "account.change",
	"list-channels": "notice.read", "list-notices": "notice.read", "test-channel": "notice.change", "resend-notice": "notice.change",
	"list-audit": "audit.read", "get-audit-head": "audit.read", "verify-audit": "audit.verify",

	"get-status": "status.read", "list-resources": "resource.read", "get-shadow": "resource.read", "explain": "resource.read",
	"list-drifts": "drift.read", "get-drift": "drift.read", "list-anomalies": "anomaly.read", "get-anomaly": "anomaly.read",
	"list-rollups": "metric.read", "list-inputs": "input.read", "list-unmapped": "input.read", "stream-news": "news.read", "list-nodes": "input.read",
	"list-knowledge": "knowledge.read", "get-model": "model.read", "list-model-versions": "model.read",

	"acknowledge-drift": "drift.acknowledge", "snooze-drift": "drift.snooze", "accept-drift": "drift.accept",
	"list-proposals": "proposal.read", "get-proposal": "proposal.read", "adopt-part": "proposal.adopt", "customize-proposal": "proposal.customize",
	"approve-proposal": "proposal.approve", "reject-proposal": "proposal.reject", "ask-policy": "policy.read", "list-decisions": "decision.read",
	"list-runs": "run.read", "get-run": "run.read", "rollback-run": "run.rollback", "review-run": "run.review",
	"list-freezes": "freeze.read", "freeze": "stack.freeze", "lift-freeze": "stack.unfreeze",

	"find-moved": "stack.plan", "start-model-task": "model.change", "list-model-tasks": "model.read", "get-model-task": "model.read",
	"add-model-version": "model.change", "promote-model-version": "model.change", "rollback-model": "model.change",
	"ingest-observations": "timeline.ingest", "export-observations": "timeline.export", "read-stack": "stack.refresh", "retry-unmapped": "input.retry",
	"start-recording": "metric.record", "list-recorded-values": "metric.record", "end-recording": "metric.record",
}

// public is the act of routes that are for everybody.
const public = penumbra.Act("public")

// describeAct is what it takes to read what there is to ask for.
const describeAct = penumbra.Act("self.read")

const actKey = "act"

// actOf returns what a route does. It panics if nobody has said.
func actOf(operation string) penumbra.Act {
	act, ok := acts[operation]
	if !ok {
		panic("the route " + operation + " has no act: say in api/acts.go what it does, and so who may call it")
	}
	return act
}

// guarded refuses requests whose act is out of reach for who asks.
func guarded(s Doorkeeper) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		act, ok := hc.Operation().Metadata[actKey].(penumbra.Act)
		if !ok {
			panic("the route " + hc.Operation().OperationID + " has no act") // all are made by operation
		}
		if act == public {
			next(hc)
			return
		}
		if err := s.Reach(hc.Context(), act); err != nil {
			_, w := humachi.Unwrap(hc)
			writeProblem(w, problemOf(err))
			return
		}
		next(hc)
	}
}

// reached guards a route that huma does not know.
func reached(s Doorkeeper, act penumbra.Act, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := s.Reach(r.Context(), act); err != nil {
			writeProblem(w, problemOf(err))
			return
		}
		next(w, r)
	}
}

// A Route is one of the API's, with what it does.
type Route struct {
	Method, Path, Operation string
	Act                     penumbra.Act
}

// IsPublic reports whether a route is for everybody.
func (r Route) IsPublic() bool { return r.Act == public }

// Routes returns all routes of an API, as its router has them.
func Routes() []Route {
	a := humachi.New(chi.NewRouter(), config(""))
	addRoutes(a, nil)
	out := []Route{{http.MethodGet, "/v1/openapi.json", "openapi", describeAct}}
	for path, item := range a.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Patch, item.Delete, item.Options, item.Head, item.Trace} {
			if op != nil {
				act, _ := op.Metadata[actKey].(penumbra.Act)
				out = append(out, Route{op.Method, path, op.OperationID, act})
			}
		}
	}
	slices.SortFunc(out, func(a, b Route) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
	return out
}
