package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"github.com/penumbra-iac/penumbra"
)

// Handler returns the HTTP API of a service. Every route but /healthz needs a
// credential.
func Handler(s Service, who Authenticator, version string, opts ...HandlerOption) http.Handler {
	o := handlerOptions{answers: &memory{kept: map[string]penumbra.KeptAnswer{}}}
	for _, opt := range opts {
		opt(&o)
	}
	router := chi.NewRouter()
	router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, newProblem(http.StatusNotFound, penumbra.NotFound, "no route "+r.Method+" "+r.URL.Path, "see /v1/openapi.json for what there is"))
	})
	router.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, newProblem(http.StatusMethodNotAllowed, penumbra.Invalid, "route "+r.URL.Path+" has no method "+r.Method, "see /v1/openapi.json for what there is"))
	})
	a := humachi.New(router, config(version))
	a.UseMiddleware(guarded(s))
	addRoutes(a, s)
	description := document(a)
	router.Get("/v1/openapi.json", reached(s, describeAct, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(description)
	}))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.Handle("POST "+loginPath, router)
	mux.Handle("/", authenticated(who, once(o.answers, time.Now, conditional(router))))
	return knownHost(plainHeaders(mux))
}

// plainHeaders keeps answers out of caches and browsers from guessing types.
func plainHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

const about = `What Penumbra knows and does: the state of every resource against the shadow it casts, drifts and impending drifts, ways to resolve them, and runs.

Every route needs a bearer token: that of the machine's owner, or one that penumbra token create made. Whose it is decides what is recorded: a name in a request has to be the token's, and may be left out. Times are RFC 3339 in UTC, durations whole nanoseconds, probabilities between 0 and 1. A sensitive value is never in an answer: its keyed hash stands in its place, and the finding or setting is marked sensitive.

A POST may carry an Idempotency-Key of your choice, such as a UUID. Sent again with the same key within 24 hours, it is not carried out again but answered as before; another request with that key is refused with 422, and one that comes while the first is at work with 409.

Nothing is changed without a decision that names the hash of the proposal that was shown; if the world has moved since, the answer is a problem of kind "stale".`

func config(version string) huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "Penumbra", Version: version, Description: about},
			Tags: []*huma.Tag{
				{Name: "watch", Description: "What is known: stacks, resources, shadows, drifts."},
				{Name: "resolve", Description: "Proposals, decisions and runs."},
				{Name: "audit", Description: "Who did what, in a chain of hashes."},
				{Name: "timeline", Description: "Observations in and out as JSON Lines, and reads on demand."},
				{Name: "access", Description: "Who asks, users and tokens."},
			},
			Security: []map[string][]string{{"token": {}}},
			Components: &huma.Components{
				Schemas: schemas(),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "A token that was made for a person, a service or a source; or that of the machine's owner, which the daemon made when it first started."},
				},
			},
		},
		Formats:                      huma.DefaultFormats,
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{restate},
	}
}

// Description returns the OpenAPI 3.1 document of the API, as a daemon of a version
// answers it.
func Description(version string) []byte {
	a := humachi.New(chi.NewRouter(), config(version))
	addRoutes(a, undone{})
	return document(a)
}

// undone stands for a service while the API is described: nothing of it is called.
type undone struct{ Service }

func (undone) LastNews() uint64 { return 0 }

// document writes the OpenAPI description once: huma would do it on the first
// request, without a lock.
func document(a huma.API) []byte {
	description, err := json.Marshal(a.OpenAPI())
	if err != nil {
		panic("describe the API: " + err.Error()) // the routes are fixed at compile time
	}
	return description
}

// A route is what the description says of one operation.
type route struct {
	method, path, id, tag string
	summary, description  string
	example               any // of the answer, nil for none
}

type output[T any] struct{ Body T }

// answer adds a route whose handler returns a body.
func answer[I, O any](a huma.API, r route, handle func(context.Context, *I) (O, error)) {
	op := r.operation(a)
	huma.Register(a, op, func(ctx context.Context, in *I) (*output[O], error) {
		body, err := handle(ctx, in)
		if err != nil {
			return nil, problemOf(err)
		}
		return &output[O]{Body: body}, nil
	})
	if r.example != nil {
		op.Responses["200"].Content["application/json"].Example = r.example
	}
}

// act adds a route that answers 204 without a body.
func act[I any](a huma.API, r route, handle func(context.Context, *I) error) {
	huma.Register(a, r.operation(a), func(ctx context.Context, in *I) (*struct{}, error) {
		if err := handle(ctx, in); err != nil {
			return nil, problemOf(err)
		}
		return nil, nil
	})
}

func (r route) operation(a huma.API) huma.Operation {
	op := huma.Operation{
		Method: r.method, Path: r.path, OperationID: r.id, Tags: []string{r.tag},
		Summary: r.summary, Description: r.description, Metadata: map[string]any{actKey: actOf(r.id)},
		Responses: map[string]*huma.Response{"default": problemResponse(a)},
		// huma's own deadline stays when a body was read already, and then ends the
		// context of whatever takes longer. The server bounds the pauses of a body.
		BodyReadTimeout: -1,
	}
	if polled[r.path] {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "If-None-Match", In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: "The ETag of an answer that is at hand: if nothing is different, the answer is 304 without a body.", Example: `W/"3f1c9e0b7a2d4c58"`,
		})
		op.Responses["304"] = &huma.Response{Description: "Nothing is different from the answer whose ETag was given."}
	}
	return op
}
