package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penumbra-iac/penumbra"
)

type inputList struct {
	Inputs []penumbra.InputStatus `json:"inputs"`
}

type unmappedQuery struct{ Paging }

// unmappedPage is a page of [penumbra.Unmapped]: the counts are of all pages.
type unmappedPage struct {
	Records int64                      `json:"records" doc:"Of all kinds, on all pages."`
	Kinds   []penumbra.UnmappedKind    `json:"kinds" doc:"The most frequent first."`
	Dropped []penumbra.UnmappedDropped `json:"dropped,omitempty" doc:"Records that had to go for newer ones, by input."`
	Next    string                     `json:"next,omitempty" doc:"The cursor of the next page, absent on the last."`
}

func (p unmappedPage) next() string { return p.Next }

type anomalyList struct {
	Anomalies []penumbra.Anomaly `json:"anomalies"`
	Next      string             `json:"next,omitempty" doc:"The cursor of the next page, absent on the last."`
}

func (l anomalyList) next() string { return l.Next }

type anomalyQuery struct {
	ID       string    `query:"id" doc:"Only the anomaly of this id."`
	Resource string    `query:"resource" doc:"Only anomalies of this resource, percent-encoded."`
	Stack    string    `query:"stack" doc:"Only anomalies of this stack." example:"shop"`
	Active   bool      `query:"active" doc:"Only those whose metric is still out of its band."`
	From     time.Time `query:"from" doc:"Only what was noticed then or later." example:"2026-03-01T00:00:00Z"`
	Paging
}

type anomalyPath struct {
	ID string `path:"id" doc:"The anomaly's id." example:"a-52c0"`
}

type rollupList struct {
	Rollups []penumbra.Rollup `json:"rollups"`
}

type rollupQuery struct {
	Resource string    `query:"resource" doc:"Only metrics of this resource, percent-encoded."`
	Metric   string    `query:"metric" doc:"Only this metric." example:"latency_seconds"`
	Span     string    `query:"span" doc:"Only what is summed up over this span, as a number and a unit; without it, over all spans that are kept." example:"1m"`
	From     time.Time `query:"from" doc:"Only spans that start then or later." example:"2026-03-01T08:00:00Z"`
	To       time.Time `query:"to" doc:"Only spans that start before."`
}

func (in *rollupQuery) query() (penumbra.RollupQuery, error) {
	q := penumbra.RollupQuery{Resource: penumbra.Address(in.Resource), Metric: in.Metric, From: in.From, To: in.To}
	if in.Span == "" {
		return q, nil
	}
	var err error
	if q.Span, err = time.ParseDuration(in.Span); err != nil || q.Span <= 0 {
		return q, &penumbra.Error{Kind: penumbra.Invalid, What: "span is not a length of time above 0", Remedy: "write a number and a unit, such as 1m or 1h"}
	}
	return q, nil
}

func addListening(a huma.API, s Listener) {
	answer(a, route{http.MethodGet, "/v1/inputs", "list-inputs", "watch",
		"Inputs of logs and metrics", "Each input with what it read, what became of that, how far it lags behind and why it does not run if it does not.",
		inputList{exampleInputs()},
	}, func(ctx context.Context, _ *none) (inputList, error) {
		inputs, err := s.Inputs(ctx)
		return inputList{orEmpty(inputs)}, err
	})
	pages(a, route{http.MethodGet, "/v1/unmapped", "list-unmapped", "watch",
		"Log records without a resource", "Records that are kept aside because nobody knows which resource they are about, summed up by kind, the most frequent first. They are summed up anew for each page: a kind whose place changes meanwhile may be missed or come twice. A rule maps them; see docs/events.md.",
		unmappedPage{Records: exampleUnmapped().Records, Kinds: exampleUnmapped().Kinds},
	}, func(in *unmappedQuery) *Paging { return &in.Paging }, func(ctx context.Context, in *unmappedQuery) (unmappedPage, error) {
		var from int
		if err := penumbra.ReadCursor(in.Cursor, &from); err != nil {
			return unmappedPage{}, err
		}
		u, err := s.Unmapped(ctx, max(0, from)+in.Limit+1)
		if err != nil {
			return unmappedPage{}, err
		}
		page := unmappedPage{Records: u.Records, Dropped: u.Dropped, Kinds: orEmpty(u.Kinds[min(max(0, from), len(u.Kinds)):])}
		if len(page.Kinds) > in.Limit {
			page.Kinds, page.Next = page.Kinds[:in.Limit], penumbra.WriteCursor(max(0, from)+in.Limit)
		}
		return page, nil
	})
	answer(a, route{http.MethodPost, "/v1/unmapped/retry", "retry-unmapped", "timeline",
		"Try the unmapped records again", "Maps the records that are kept aside with the rules and resources of now. What fits becomes events of its resource, at the time at which it happened.",
		penumbra.RemapReport{Tried: 1210, Mapped: 1187},
	}, func(ctx context.Context, _ *none) (penumbra.RemapReport, error) {
		return s.Remap(ctx)
	})
	addAnomalies(a, s)
	answer(a, route{http.MethodGet, "/v1/metrics", "list-rollups", "watch",
		"Metrics over time", "What is kept of performance metrics: count, sum, least, greatest and last value over each span, the oldest first.",
		rollupList{[]penumbra.Rollup{exampleRollup()}},
	}, func(ctx context.Context, in *rollupQuery) (rollupList, error) {
		q, err := in.query()
		if err != nil {
			return rollupList{}, err
		}
		rollups, err := s.Rollups(ctx, q)
		return rollupList{orEmpty(rollups)}, err
	})
}

func addAnomalies(a huma.API, s Listener) {
	pages(a, route{http.MethodGet, "/v1/anomalies", "list-anomalies", "watch",
		"Anomalies of metrics", "Metrics that left their own expected band, the last noticed first.",
		anomalyList{Anomalies: []penumbra.Anomaly{exampleAnomaly()}},
	}, func(in *anomalyQuery) *Paging { return &in.Paging }, func(ctx context.Context, in *anomalyQuery) (anomalyList, error) {
		var from placed
		if err := penumbra.ReadCursor(in.Cursor, &from); err != nil {
			return anomalyList{}, err
		}
		anomalies, err := s.Anomalies(ctx, penumbra.AnomalyQuery{
			ID: in.ID, Resource: penumbra.Address(in.Resource), Stack: in.Stack, Active: in.Active, From: in.From,
			Limit: in.Limit + 1, Before: from.Time, BeforeID: from.ID,
		})
		// The service has those that go on first; pages need one order.
		slices.SortFunc(anomalies, func(a, b penumbra.Anomaly) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.ID, b.ID)) })
		list, next := cutPage(anomalies, in.Limit, func(a *penumbra.Anomaly) placed { return placed{a.Time, a.ID} })
		return anomalyList{list, next}, err
	})
	answer(a, route{http.MethodGet, "/v1/anomalies/{id}", "get-anomaly", "watch",
		"One anomaly", "How far out the metric is and since when, whether that is worse or better, and what may have caused it, the likeliest first. The probabilities leave room for a cause that nobody saw.",
		exampleAnomaly(),
	}, func(ctx context.Context, in *anomalyPath) (penumbra.Anomaly, error) {
		anomalies, err := s.Anomalies(ctx, penumbra.AnomalyQuery{ID: in.ID})
		return only(anomalies, err, "anomaly", in.ID)
	})
}
