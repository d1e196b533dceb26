package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// public is the act of routes that are for everybody: signing in, and what a page
// that asks for it looks like.
const public = penumbra.Act("public")

// acts are what routes do. A route that is not here keeps the pages from being made:
// nobody has said who may see it.
var acts = map[string]penumbra.Act{
	"GET /{$}": "status.read", "GET /drifts": "drift.read", "GET /drift": "drift.read", "GET /proposal": "proposal.read",
	"GET /resources": "resource.read", "GET /resource": "resource.read", "GET /anomalies": "anomaly.read", "GET /anomaly": "anomaly.read",
	"GET /runs": "run.read", "GET /run": "run.read", "GET /model": "model.read", "GET /sources": "input.read", "GET /freezes": "freeze.read",
	"GET /knowledge": "knowledge.read", "GET /settings": "settings.read", "GET /audit": "audit.read", "POST /audit": "audit.verify",

	"POST /approve": "proposal.approve", "POST /reject": "proposal.reject", "POST /acknowledge": "drift.acknowledge", "POST /rollback": "run.rollback",
	"POST /customize": "proposal.customize", "POST /adopt": "proposal.adopt", "GET /news": "news.read", "POST /snooze": "drift.snooze", "POST /accept": "drift.accept", "POST /freeze": "stack.freeze",
	"POST /unfreeze": "stack.unfreeze",

	"GET /notifications": "notice.read", "POST /notifications/test": "notice.change", "POST /notifications/resend": "notice.change",

	"GET /people": "self.read", "POST /people": "account.change", "POST /people/change": "self.change", "POST /tokens": "self.change",
	"POST /tokens/revoke": "self.change",

	"POST /signout": "self.change", "POST /theme": "self.change", "/": "self.read",
	"GET /account": "self.read", "POST /account/password": "self.change",
	"POST /oidc/{provider}": public, "GET /oidc/{provider}/callback": public,
	"GET /signin": public, "POST /signin": public, "GET /setup": public, "POST /setup": public, "GET /assets/": public,
}

// routes is a mux whose every route has an act.
type routes struct {
	*http.ServeMux
	acts map[string]penumbra.Act // of the routes, by their patterns
}

func newRoutes() *routes {
	return &routes{ServeMux: http.NewServeMux(), acts: map[string]penumbra.Act{}}
}

// A Route is one of the pages', with what it does.
type Route struct {
	Pattern string // of [http.ServeMux]
	Act     penumbra.Act
}

// Pages are the pages of a service.
type Pages struct {
	http.Handler
	routes *routes
}

// Routes returns all routes that the pages have.
func (p *Pages) Routes() []Route {
	var out []Route
	for pattern, act := range p.routes.acts {
		out = append(out, Route{pattern, act})
	}
	slices.SortFunc(out, func(a, b Route) int { return strings.Compare(a.Pattern, b.Pattern) })
	return out
}

// IsPublic reports whether a route is for everybody.
func (r Route) IsPublic() bool { return r.Act == public }

type actKey struct{}

// Handle adds a route, with its act in the requests' context. It panics if nobody has
// said what the route does.
func (m *routes) Handle(pattern string, h http.Handler) {
	act, ok := acts[pattern]
	if !ok {
		panic("the page " + pattern + " has no act: say in web/acts.go what it does, and so who may see it")
	}
	m.acts[pattern] = act
	m.ServeMux.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), actKey{}, act)))
	}))
}

// HandleFunc is Handle of a function.
func (m *routes) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	m.Handle(pattern, http.HandlerFunc(h))
}

// reach returns an error of kind Refused if a request's act is out of reach for who
// asks.
func (s *site) reach(r *http.Request) error {
	act, ok := r.Context().Value(actKey{}).(penumbra.Act)
	if !ok {
		return &penumbra.Error{Kind: penumbra.Refused, What: "nobody has said who may see this page"}
	}
	return s.service.Reach(r.Context(), act)
}
