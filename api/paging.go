package api

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penumbra-iac/penumbra"
)

const (
	// usualPage is how long a page is where nobody says, and largestPage the most
	// that anybody may.
	usualPage   = 100
	largestPage = 1000
)

// Paging is how a request says which page of a list it wants.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most so many on the page." example:"50"`
	Cursor string `query:"cursor" doc:"The next of the page before: where this one goes on."`
	asked  url.URL
}

// Resolve implements [huma.Resolver].
func (p *Paging) Resolve(ctx huma.Context) []error {
	p.asked = ctx.URL()
	return nil
}

// pageOutput is an answer with a link to the next page (RFC 8288).
type pageOutput[T any] struct {
	Link string `header:"Link" doc:"The address of the next page, with rel=next; absent on the last."`
	Body T
}

// page is a list that goes on behind a cursor.
type page interface{ next() string }

// pages adds a route whose handler returns a page of a list.
func pages[I any, O page](a huma.API, r route, of func(*I) *Paging, handle func(context.Context, *I) (O, error)) {
	op := r.operation(a)
	huma.Register(a, op, func(ctx context.Context, in *I) (*pageOutput[O], error) {
		body, err := handle(ctx, in)
		if err != nil {
			return nil, problemOf(err)
		}
		out := &pageOutput[O]{Body: body}
		if next := body.next(); next != "" {
			u := of(in).asked
			query := u.Query()
			query.Set("cursor", next)
			out.Link = "<" + (&url.URL{Path: u.Path, RawQuery: query.Encode()}).String() + `>; rel="next"`
		}
		return out, nil
	})
	op.Responses["200"].Content["application/json"].Example = r.example
}

// placed is where a page of a stored list ends: when, and at which one.
type placed struct {
	Time time.Time `json:"t"`
	ID   string    `json:"i"`
}

// cutPage takes one that was read too many off a page; its presence says that there is
// a next one, whose cursor is made of the last that stays.
func cutPage[T any](list []T, limit int, place func(*T) placed) ([]T, string) {
	if len(list) <= limit {
		return orEmpty(list), ""
	}
	list = list[:limit]
	return list, penumbra.WriteCursor(place(&list[limit-1]))
}

// addPage asks for a page.
func (p params) page(limit int, cursor string) params {
	return p.number("limit", int64(limit)).text("cursor", cursor)
}

func (p params) list(name string, values []string) params {
	return p.text(name, strings.Join(values, ","))
}

// each yields what is on the pages of a list, at most so many, 0 for all. An error
// ends it.
func each[T any](limit int, fetch func(size int, cursor string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var cursor string
		for given := 0; ; {
			size := largestPage
			if limit > 0 {
				size = min(size, limit-given)
			}
			list, next, err := fetch(size, cursor)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, x := range list {
				if !yield(x, nil) {
					return
				}
				if given++; given == limit {
					return
				}
			}
			if cursor = next; next == "" {
				return
			}
		}
	}
}

// collect returns all that is yielded, or the error.
func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	out := []T{}
	for x, err := range seq {
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// verdicts reads the names of verdicts.
func verdicts(names []string) ([]penumbra.Verdict, error) {
	var out []penumbra.Verdict
	for _, name := range names {
		var v penumbra.Verdict
		if err := v.UnmarshalText([]byte(name)); err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: err.Error()}
		}
		out = append(out, v)
	}
	return out, nil
}

func verdictNames(verdicts []penumbra.Verdict) []string {
	var out []string
	for _, v := range verdicts {
		out = append(out, v.String())
	}
	return out
}

// FindResources implements [Watcher]: it asks for one page, of as many as the daemon
// gives if the query has no limit.
func (c *Client) FindResources(ctx context.Context, q penumbra.ResourceQuery) (penumbra.ResourcePage, error) {
	p := params{}.text("stack", q.Stack).text("type", q.Type).list("verdicts", verdictNames(q.Verdicts)).text("q", q.Text).text("order", string(q.Order)).page(q.Limit, q.After)
	var list resourceList
	err := c.get(ctx, "/v1/resources", p, &list)
	return penumbra.ResourcePage{Resources: list.Resources, Found: list.Found, Next: list.Next}, err
}

// EachResource yields the selected resources, page by page.
func (c *Client) EachResource(ctx context.Context, q penumbra.ResourceQuery) iter.Seq2[penumbra.ResourceStatus, error] {
	return each(q.Limit, func(size int, cursor string) ([]penumbra.ResourceStatus, string, error) {
		q.Limit = size
		if cursor != "" {
			q.After = cursor
		}
		page, err := c.FindResources(ctx, q)
		return page.Resources, page.Next, err
	})
}

// Resources implements [Watcher].
func (c *Client) Resources(ctx context.Context, stack string) ([]penumbra.ResourceStatus, error) {
	return collect(c.EachResource(ctx, penumbra.ResourceQuery{Stack: stack}))
}

// FindDrifts implements [Watcher]: it asks for one page, of as many as the daemon
// gives if the query has no limit.
func (c *Client) FindDrifts(ctx context.Context, q penumbra.DriftQuery) (penumbra.DriftPage, error) {
	p := params{}.text("id", q.ID).text("resource", string(q.Resource)).text("stack", q.Stack).flag("active", q.Active).flag("resolved", q.Resolved).
		flag("critical", q.Critical).text("type", q.Type).list("verdicts", verdictNames(q.Verdicts)).text("q", q.Text).page(q.Limit, q.After)
	if q.Snoozed != nil {
		p = p.text("snoozed", strconv.FormatBool(*q.Snoozed))
	}
	var list driftList
	err := c.get(ctx, "/v1/drifts", p, &list)
	restoreEach(list.Drifts, restoreDrift)
	page := penumbra.DriftPage{Drifts: list.Drifts, Found: -1, Next: list.Next}
	if list.Found != nil {
		page.Found = *list.Found
	}
	return page, err
}

// EachDrift yields the selected drifts, page by page.
func (c *Client) EachDrift(ctx context.Context, q penumbra.DriftQuery) iter.Seq2[penumbra.Drift, error] {
	return each(q.Limit, func(size int, cursor string) ([]penumbra.Drift, string, error) {
		q.Limit = size
		if cursor != "" {
			q.After = cursor
		}
		page, err := c.FindDrifts(ctx, q)
		return page.Drifts, page.Next, err
	})
}

// Drifts implements [Watcher].
func (c *Client) Drifts(ctx context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error) {
	return collect(c.EachDrift(ctx, q))
}

// EachRun yields the selected runs, page by page, the last started first.
func (c *Client) EachRun(ctx context.Context, q penumbra.RunQuery) iter.Seq2[penumbra.Run, error] {
	return each(q.Limit, func(size int, cursor string) ([]penumbra.Run, string, error) {
		p := params{}.text("id", q.ID).text("proposal", q.Proposal).text("stack", q.Stack).flag("unended", q.Unended).page(size, cursor)
		var list runList
		err := c.get(ctx, "/v1/runs", p, &list)
		return list.Runs, list.Next, err
	})
}

// Runs implements [Resolver].
func (c *Client) Runs(ctx context.Context, q penumbra.RunQuery) ([]penumbra.Run, error) {
	return collect(c.EachRun(ctx, q))
}

// EachDecision yields the selected decisions, page by page, oldest first.
func (c *Client) EachDecision(ctx context.Context, q penumbra.DecisionQuery) iter.Seq2[penumbra.Decision, error] {
	return each(q.Limit, func(size int, cursor string) ([]penumbra.Decision, string, error) {
		p := params{}.text("proposal", q.Proposal).text("drift", q.Drift).page(size, cursor)
		var list decisionList
		err := c.get(ctx, "/v1/decisions", p, &list)
		return list.Decisions, list.Next, err
	})
}

// Decisions implements [Resolver].
func (c *Client) Decisions(ctx context.Context, q penumbra.DecisionQuery) ([]penumbra.Decision, error) {
	return collect(c.EachDecision(ctx, q))
}

// EachAnomaly yields the selected anomalies, page by page, the last noticed first.
func (c *Client) EachAnomaly(ctx context.Context, q penumbra.AnomalyQuery) iter.Seq2[penumbra.Anomaly, error] {
	return each(q.Limit, func(size int, cursor string) ([]penumbra.Anomaly, string, error) {
		p := params{}.text("id", q.ID).text("resource", string(q.Resource)).text("stack", q.Stack).flag("active", q.Active).time("from", q.From).page(size, cursor)
		var list anomalyList
		err := c.get(ctx, "/v1/anomalies", p, &list)
		restoreEach(list.Anomalies, restoreAnomaly)
		return list.Anomalies, list.Next, err
	})
}

// Anomalies implements [Listener].
func (c *Client) Anomalies(ctx context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error) {
	return collect(c.EachAnomaly(ctx, q))
}
