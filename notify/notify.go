package notify

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/penumbra-iac/penumbra"
)

// A Sender sends notices through one channel. It is called by one goroutine at a time
// for each channel.
type Sender interface {
	// Send returns what the channel calls the message, so that later ones of the same
	// key join it, "" if it has no such thing. An error of kind Unavailable or Locked
	// is tried again, after its RetryAfter if it has that method; any other makes the
	// notice dead. The error has no secret of the channel in it.
	Send(ctx context.Context, n *penumbra.Notice) (thread string, err error)
}

// A Keeper is a sender whose receiver forgets what is not repeated. It is told all
// that goes on, again and again; it has no quiet hours, no rate and no digest, since
// its receiver has those.
type Keeper interface {
	Sender
	// Keep says that these go on. Every is how often it is called.
	Keep(ctx context.Context, firing []penumbra.Notice, every time.Duration) error
}

// A World is what notices tell of.
type World interface {
	Drifts(ctx context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error)
	Anomalies(ctx context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error)
	Runs(ctx context.Context, q penumbra.RunQuery) ([]penumbra.Run, error)
	Proposals(ctx context.Context, q penumbra.ProposalQuery) ([]penumbra.Proposal, error)
}

// A Watch says how the watching itself goes.
type Watch interface {
	Status(ctx context.Context) (penumbra.Status, error)
	Versions(ctx context.Context) ([]penumbra.ModelVersion, error)
	// Freezes returns those of the configuration too.
	Freezes(ctx context.Context) ([]penumbra.Freeze, error)
}

// An Outbox keeps notices; contract.Notices says what each method promises.
type Outbox interface {
	Tell(ctx context.Context, told []penumbra.Told, notices []penumbra.Notice) error
	Told(ctx context.Context, channel string) ([]penumbra.Told, error)
	Notices(ctx context.Context, q penumbra.NoticeQuery) ([]penumbra.Notice, error)
	PruneNotices(ctx context.Context, before time.Time) error
}

// Channel is a way to people.
type Channel struct {
	Name   string
	Kind   string
	Sender Sender
	Quiet  []Quiet
	// LoudCritical lets critical notices through in quiet hours.
	LoudCritical bool
	// Rate is how many notices an hour may go, 0 for any number; Burst how many at
	// once. What is above it is told in a digest, and critical ones wait.
	Rate  float64
	Burst int
}

// Route says which channels are told of what. An empty list is no bound.
type Route struct {
	Channels     []string
	Stacks       []string // patterns with *
	Environments []string // patterns with *
	Least        penumbra.Severity
	Verdicts     []penumbra.Verdict // of drifts; what has no verdict passes
	About        []penumbra.NoticeAbout
}

// Config is what a teller is made of.
type Config struct {
	World    World
	Watch    Watch
	Outbox   Outbox
	Channels []Channel
	// Routes are those of which any may lead to a channel; none means all to all.
	Routes []Route
	// Environment returns that of a stack, "" if it has none; nil if none has.
	Environment func(stack string) string
	// URL is where people see the pages, "" if notices have no links.
	URL string
	// Gather is for how long something new is waited with, so that what belongs to it
	// is told with it; 15 s if zero. Critical drifts wait too: their cause is one.
	Gather time.Duration
	// Stale is how long a source may go unread before it is told, 30 minutes if zero.
	Stale time.Duration
	// Retries is how often a notice is tried before it is dead, 12 if zero: about a
	// day with the pauses between.
	Retries int
	// Keep is for how long notices that were sent are listed, 30 days if zero.
	Keep time.Duration
	// Observe is told of each attempt to send: "sent", "failed" or "dead". Nil if nobody
	// counts.
	Observe func(channel, outcome string, took time.Duration)
	Now     func() time.Time // time.Now if nil
	Log     *slog.Logger     // discarded if nil
}

// Teller tells.
type Teller struct {
	cfg     Config
	log     *slog.Logger
	wake    chan struct{}
	started time.Time
	looking sync.Mutex // guards seen, and one look at a time
	// seen is when what has yet to be told was seen first, by channel, subject and
	// what is to be said of it.
	seen     map[string]time.Time
	channels []*channel
}

// channel is one with what is remembered of it.
type channel struct {
	Channel
	limit *rate.Limiter
	wake  chan struct{}
	// mu guards the states of its stored notices; sending is the one under way.
	mu      sync.Mutex
	sending string
}

// New returns a teller. It returns an error of kind Invalid if two channels have one
// name or a route leads nowhere.
func New(cfg Config) (*Teller, error) {
	if cfg.Gather == 0 {
		cfg.Gather = 15 * time.Second
	}
	if cfg.Stale == 0 {
		cfg.Stale = 30 * time.Minute
	}
	if cfg.Retries == 0 {
		cfg.Retries = 12
	}
	if cfg.Keep == 0 {
		cfg.Keep = 30 * 24 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, string, time.Duration) {}
	}
	if cfg.Environment == nil {
		cfg.Environment = func(string) string { return "" }
	}
	t := &Teller{cfg: cfg, log: cfg.Log, wake: make(chan struct{}, 1), seen: map[string]time.Time{}}
	t.started = t.now()
	for _, c := range cfg.Channels {
		if t.channel(c.Name) != nil || c.Name == "" {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("two channels are named %q, or one has no name", c.Name), Remedy: "give each a name of its own"}
		}
		limit := rate.NewLimiter(rate.Inf, 0)
		if c.Rate > 0 {
			limit = rate.NewLimiter(rate.Limit(c.Rate/time.Hour.Seconds()), max(1, c.Burst))
		}
		t.channels = append(t.channels, &channel{Channel: c, limit: limit, wake: make(chan struct{}, 1)})
	}
	for i, r := range cfg.Routes {
		for _, name := range r.Channels {
			if t.channel(name) == nil {
				return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("routes[%d] leads to channel %q, which is not configured", i, name), Remedy: "name one of `notify.channels`"}
			}
		}
		for _, p := range slices.Concat(r.Stacks, r.Environments) {
			if _, err := path.Match(p, ""); err != nil {
				return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("routes[%d] has the pattern %q", i, p), Remedy: "use * for any run of characters", Err: err}
			}
		}
	}
	return t, nil
}

func (t *Teller) now() time.Time { return t.cfg.Now().UTC().Round(0) }

// channel returns the channel of a name, nil if there is none.
func (t *Teller) channel(name string) *channel {
	for _, c := range t.channels {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// keeps reports whether the channel's receiver has to be told again and again.
func (c *channel) keeps() bool {
	_, ok := c.Sender.(Keeper)
	return ok
}

// poke wakes whoever waits on a channel of one, and never waits itself.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Wake hints that something has changed.
func (t *Teller) Wake() { poke(t.wake) }

// How often is looked without a hint, at most and at least; how often keepers are
// told what goes on; how often old notices are deleted.
const (
	idle      = time.Minute
	breath    = time.Second
	keepEvery = time.Minute
	pruneEach = 6 * time.Hour
)

// Run looks and sends until ctx ends. A notice that is being sent then is sent again
// by the next run, with the same identifier.
func (t *Teller) Run(ctx context.Context) error {
	if len(t.channels) == 0 {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { t.look(ctx); return nil })
	for _, c := range t.channels {
		g.Go(func() error { t.carry(ctx, c); return nil })
		if c.keeps() {
			g.Go(func() error { t.keep(ctx, c); return nil })
		}
	}
	return g.Wait()
}

// look compares again and again.
func (t *Teller) look(ctx context.Context) {
	var pruned time.Time
	for {
		next, err := t.Look(ctx)
		if err != nil && ctx.Err() == nil {
			t.log.Error("what is to be told could not be found out; it is tried again", "error", err)
		}
		if now := t.now(); now.Sub(pruned) > pruneEach {
			pruned = now
			if err := t.cfg.Outbox.PruneNotices(ctx, now.Add(-t.cfg.Keep)); err != nil && ctx.Err() == nil {
				t.log.Error("old notices were not deleted; they are tried again", "error", err)
			}
		}
		if !pause(ctx, breath, nil) || !pause(ctx, min(max(next.Sub(t.now()), 0), idle), t.wake) {
			return
		}
	}
}

// pause waits for a time, or until woken, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-wake:
	}
	return ctx.Err() == nil
}

// keep tells a keeper what goes on.
func (t *Teller) keep(ctx context.Context, c *channel) {
	for {
		if err := t.Keep(ctx, c.Name); err != nil && ctx.Err() == nil {
			t.log.Warn("a channel was not told what goes on; it is told again", "channel", c.Name, "error", err)
		}
		if !pause(ctx, keepEvery, nil) {
			return
		}
	}
}

// Keep tells a channel's keeper, once, of all keys that were told of and are not over,
// as the last notice of each says.
func (t *Teller) Keep(ctx context.Context, name string) error {
	c := t.channel(name)
	if c == nil || !c.keeps() {
		return noChannel(name)
	}
	told, err := t.cfg.Outbox.Told(ctx, c.Name)
	if err != nil {
		return err
	}
	var firing []penumbra.Notice
	done := map[string]bool{}
	for _, x := range told {
		if done[x.Key] || x.Said == over || x.Subject == "" || once(x.About) {
			continue
		}
		done[x.Key] = true
		notices, err := t.cfg.Outbox.Notices(ctx, penumbra.NoticeQuery{Channel: c.Name, Key: x.Key, Limit: 1})
		if err != nil {
			return err
		}
		if len(notices) > 0 && notices[0].Firing() && notices[0].State == penumbra.NoticeSent {
			firing = append(firing, notices[0])
		}
	}
	if len(firing) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return c.Sender.(Keeper).Keep(ctx, firing, keepEvery)
}
