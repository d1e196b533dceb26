package prometheus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/intake"
)

// Query is one metric that is asked for.
type Query struct {
	Name string // Penumbra's name of the metric: "cpu", "memory", "network_io", any other
	Expr string // PromQL that gives an instant vector
	// Counter says that the values only grow until they are reset. An expression
	// that takes a rate gives no counter.
	Counter bool
}

// DefaultQueries returns CPU and memory in use (shares of 1) and network I/O
// (bytes a second over the physical devices, both directions) from the metrics of
// node_exporter 1.0 and later. The rates are over 2 minutes, so a target must be
// scraped every minute or more often.
func DefaultQueries() []Query {
	const devices = `{device!~"lo|veth.*|docker.*|br-.*|cali.*|cni.*|flannel.*|virbr.*"}[2m]`
	return []Query{
		{Name: "cpu", Expr: `1 - avg without (cpu) (sum without (mode) (rate(node_cpu_seconds_total{mode=~"idle|iowait"}[2m])))`},
		{Name: "memory", Expr: `1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes`},
		{Name: "network_io", Expr: `sum without (device) (rate(node_network_receive_bytes_total` + devices + `) + rate(node_network_transmit_bytes_total` + devices + `))`},
	}
}

// Config is what a [Poller] needs.
type Config struct {
	Input   string        // the configured name, the Input of every series
	URL     string        // "http://prometheus:9090", without credentials
	Every   time.Duration // between two looks, and between two points; 30 s
	Queries []Query
	Timeout time.Duration // of one request; 30 s
	// LookBack is how far back a gap is filled; 24 hours.
	LookBack time.Duration
	// MaxSeries is how many series one query may give; 2,000. One that gives more
	// is an error: its expression should sum over what does not matter.
	MaxSeries int

	// A bearer token, or a user with a password, each from a file, which is read
	// again for every request, or from a variable of the environment.
	TokenFile, TokenEnv             string
	User, PasswordFile, PasswordEnv string

	// Report, if set, is told the outcome of each look of each query: nil, or an
	// error of kind Invalid (correct the query) or Unavailable (it will be tried
	// again, from the same time).
	Report func(Query, error)

	Transport http.RoundTripper // nil: the default one
	Now       func() time.Time  // nil: time.Now
}

// What one answer may hold. Prometheus refuses more than 11,000 points a series.
const (
	maxPointsPerSeries = 11_000
	maxPoints          = 400_000
	maxAnswer          = 64 << 20 // bytes
)

// Poller asks Prometheus for the values of expressions, again and again.
type Poller struct {
	config Config
	api    v1.API
	now    func() time.Time
}

// NewPoller returns a poller. The error is of kind Invalid and names what is
// wrong in the configuration.
func NewPoller(c Config) (*Poller, error) {
	c.Every = cmp.Or(c.Every, 30*time.Second)
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.LookBack = cmp.Or(c.LookBack, 24*time.Hour)
	c.MaxSeries = cmp.Or(c.MaxSeries, 2000)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Report == nil {
		c.Report = func(Query, error) {}
	}
	if why := c.check(); why != "" {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("input %q: %s", c.Input, why)}
	}
	client, err := api.NewClient(api.Config{Address: c.URL, Client: c.client()})
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("input %q: the address of Prometheus", c.Input), Err: err}
	}
	return &Poller{c, v1.NewAPI(client), c.Now}, nil
}

func (c *Config) check() string {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "its url is not http:// or https:// with a host"
	case u.User != nil:
		return "its url holds credentials: name a file or a variable instead"
	case c.Every < time.Second || c.Every%time.Millisecond != 0:
		return fmt.Sprintf("every %v: not whole milliseconds from 1 s", c.Every)
	case c.LookBack < c.Every || c.Timeout < 0 || c.MaxSeries < 1 || c.MaxSeries > maxPoints:
		return fmt.Sprintf("look-back, timeout or the number of series (1 to %d) is out of range", maxPoints)
	case len(c.Queries) == 0:
		return "it has no queries"
	case c.User == "" && (c.PasswordFile != "" || c.PasswordEnv != ""):
		return "a password without a user"
	case c.User != "" && (c.TokenFile != "" || c.TokenEnv != ""):
		return "a user and a token: only one can be sent"
	}
	for i, q := range c.Queries {
		if q.Name == "" || q.Expr == "" {
			return fmt.Sprintf("query %d has no name or no expression", i+1)
		}
	}
	return ""
}

// Run asks for every value since from, then every [Config.Every] for the new ones,
// and hands them to sink, until ctx ends; then it returns nil. A query's values are
// asked for from where sink last took them, so an outage of either side leaves no
// gap as long as it is shorter than the look-back. Times are multiples of Every
// since 1970: after a restart the same points come at the same times.
//
// One query is asked at a time. One that fails stops no other. If sink fails with
// Unavailable, Locked or Full it is given the same series again at the next look;
// any other error of sink ends Run with it.
func (p *Poller) Run(ctx context.Context, from time.Time, sink func(context.Context, []penumbra.Series) error) error {
	turns := make([]turn, len(p.config.Queries))
	for i, q := range p.config.Queries {
		turns[i] = turn{query: q, next: after(from, p.config.Every)}
	}
	for {
		if err := p.look(ctx, turns, sink); err != nil {
			return err
		}
		now := p.now()
		timer := time.NewTimer(after(now, p.config.Every).Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// after returns the first multiple of step after t.
func after(t time.Time, step time.Duration) time.Time {
	millis, s := t.UnixMilli(), step.Milliseconds()
	return time.UnixMilli(millis - ((millis%s)+s)%s + s).UTC()
}

// turn is how far one query is.
type turn struct {
	query   Query
	next    time.Time // the first time to ask for
	failing bool      // the last look failed
}

// look brings every query up to now. It waits for Prometheus, with growing pauses,
// only once: not again for a query that failed at the last look already, nor for
// those after one that failed at this.
func (p *Poller) look(ctx context.Context, turns []turn, sink func(context.Context, []penumbra.Series) error) error {
	patient := true
	for i := range turns {
		t := &turns[i]
		err := p.catchUp(ctx, t, patient && !t.failing, sink)
		if ctx.Err() != nil {
			return nil
		}
		var lost *sinkError
		if errors.As(err, &lost) {
			return lost.err
		}
		p.config.Report(t.query, err)
		t.failing = err != nil
		patient = patient && (err == nil || !penumbra.KindOf(err).Retry())
	}
	return nil
}

// sinkError is an error of the sink that trying again does not mend.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return e.err.Error() }

// catchUp asks for a query's values up to now, in answers of bounded size.
func (p *Poller) catchUp(ctx context.Context, t *turn, patient bool, sink func(context.Context, []penumbra.Series) error) error {
	step := p.config.Every
	perAnswer := min(maxPointsPerSeries, max(1, maxPoints/p.config.MaxSeries))
	for {
		now := p.now()
		if oldest := after(now.Add(-p.config.LookBack), step); t.next.Before(oldest) {
			t.next = oldest
		}
		last := after(now, step).Add(-step)
		if t.next.After(last) {
			return nil
		}
		end := t.next.Add(time.Duration(perAnswer-1) * step)
		if end.After(last) {
			end = last
		}
		series, err := p.ask(ctx, t.query, v1.Range{Start: t.next, End: end, Step: step}, patient)
		if err != nil {
			return err
		}
		if len(series) > 0 {
			if err := sink(ctx, series); err != nil {
				if kind := penumbra.KindOf(err); kind.Retry() || kind == penumbra.Full {
					return err
				}
				return &sinkError{err}
			}
		}
		t.next = end.Add(step)
	}
}

// ask asks for one range, again with growing pauses while Prometheus is not
// available, for a span of Every; once if it is not patient.
func (p *Poller) ask(ctx context.Context, q Query, r v1.Range, patient bool) ([]penumbra.Series, error) {
	tries := uint(1)
	if patient {
		tries = 0 // as many as fit
	}
	pauses := backoff.NewExponentialBackOff()
	series, err := backoff.Retry(ctx, func() ([]penumbra.Series, error) {
		s, err := p.once(ctx, q, r)
		if err != nil && !penumbra.KindOf(err).Retry() {
			return nil, backoff.Permanent(err)
		}
		return s, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(p.config.Every), backoff.WithMaxTries(tries))
	if permanent := (*backoff.PermanentError)(nil); errors.As(err, &permanent) {
		err = permanent.Unwrap()
	}
	return series, err
}

func (p *Poller) once(ctx context.Context, q Query, r v1.Range) ([]penumbra.Series, error) {
	limited, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	value, _, _, err := p.api.QueryRange(limited, q.Expr, r, v1.WithTimeout(p.config.Timeout), v1.WithLimit(uint64(p.config.MaxSeries)+1))
	if err != nil {
		return nil, p.explain(q, err)
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, p.invalid(q, "gives no series", "write an expression that gives an instant vector", nil)
	}
	if len(matrix) > p.config.MaxSeries {
		return nil, p.invalid(q, fmt.Sprintf("gives more than %d series", p.config.MaxSeries), "sum over the labels that do not matter, or raise max_series", nil)
	}
	series := make([]penumbra.Series, 0, len(matrix))
	for _, stream := range matrix {
		s := penumbra.Series{Input: p.config.Input, Metric: q.Name, Counter: q.Counter, Labels: make(map[string]string, len(stream.Metric)), Points: make([]penumbra.Point, 0, len(stream.Values))}
		for name, v := range stream.Metric {
			if name != model.MetricNameLabel {
				s.Labels[string(name)] = intake.LabelValue(string(name), string(v))
			}
		}
		for _, pair := range stream.Values {
			if v := float64(pair.Value); !math.IsNaN(v) && !math.IsInf(v, 0) {
				s.Points = append(s.Points, penumbra.Point{Time: pair.Timestamp.Time().UTC(), Value: v})
			}
		}
		if len(s.Points) > 0 {
			series = append(series, s)
		}
	}
	return series, nil
}

// explain says by kind what follows from an error of the client.
func (p *Poller) explain(q Query, err error) error {
	var known *penumbra.Error
	if errors.As(err, &known) { // of our own transport
		return p.failed(q, known.Kind, known.What, known.Remedy, known.Err)
	}
	var answer *v1.Error
	if errors.As(err, &answer) {
		cause := errors.New(penumbra.Redact(answer.Msg))
		switch answer.Type {
		case v1.ErrBadData, v1.ErrExec:
			return p.invalid(q, "Prometheus refuses it", "correct the expression", cause)
		case v1.ErrClient, v1.ErrBadResponse:
			return p.invalid(q, "no answer of Prometheus", "check the url", cause)
		}
		return p.failed(q, penumbra.Unavailable, "Prometheus failed", "", cause)
	}
	return p.failed(q, penumbra.Unavailable, "Prometheus cannot be reached", "", errors.New(penumbra.Redact(err.Error())))
}

func (p *Poller) invalid(q Query, what, remedy string, cause error) error {
	return p.failed(q, penumbra.Invalid, what, remedy, cause)
}

func (p *Poller) failed(q Query, kind penumbra.ErrorKind, what, remedy string, cause error) error {
	return &penumbra.Error{Kind: kind, What: fmt.Sprintf("input %q, query %q: %s", p.config.Input, q.Name, what), Remedy: remedy, Err: cause}
}
