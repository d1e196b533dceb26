package engine

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine/catalogue"
	"github.com/penumbra-iac/penumbra/engine/inputs"
)

// newsKept bounds the news that are remembered for who reads on after a number. A
// batch of ingested observations may open a drift on each of its resources.
const newsKept = 4 * inputs.BatchSize

// feed remembers the last news and wakes who waits for some. Nobody has a queue of
// their own: a listener is a number to read on after, so that one that is slow
// costs nothing and keeps nobody waiting; what it did not read in time is gone, as
// the gap in the numbers tells it.
type feed struct {
	now func() time.Time

	mu    sync.Mutex
	last  uint64
	kept  []penumbra.News // oldest first, the last one numbered last
	woken chan struct{}   // closed when something is added
	// open are the drifts and anomalies that were announced and go on, with their
	// stacks: their next news is a change.
	open map[string]string
}

func newFeed(now func() time.Time) *feed {
	return &feed{now: now, woken: make(chan struct{}), open: map[string]string{}}
}

// publish numbers and dates news and tells them. It never waits for a listener.
func (f *feed) publish(news ...penumbra.News) {
	if len(news) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.now().UTC()
	for _, n := range news {
		f.last++
		n.Seq, n.Time = f.last, at
		f.kept = append(f.kept, n)
	}
	if len(f.kept) > 2*newsKept { // now and then, rather than for each
		f.kept = slices.Clone(f.kept[len(f.kept)-newsKept:])
	}
	close(f.woken)
	f.woken = make(chan struct{})
}

// goesOn notes that something was found before this process began.
func (f *feed) goesOn(id, stack string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open[id] = stack
}

// stackOf returns the stack of something that goes on, "" of anything else.
func (f *feed) stackOf(id string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open[id]
}

// lifeVerb says what became of something that is opened, changes and is resolved.
func (f *feed) lifeVerb(id, stack string, active, unchanged bool) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !active {
		delete(f.open, id)
		return "resolved"
	}
	_, known := f.open[id]
	f.open[id] = stack
	if known || !unchanged {
		return "changed"
	}
	return "opened"
}

// after returns at most limit news behind a number and the channel that is closed
// when there are more.
func (f *feed) after(seq uint64, limit int) ([]penumbra.News, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	behind := min(f.last-min(seq, f.last), uint64(len(f.kept)), newsKept)
	news := f.kept[len(f.kept)-int(behind):]
	return slices.Clone(news[:min(len(news), limit)]), f.woken
}

func (f *feed) number() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// LastNews returns the number of the last piece of news, 0 before the first.
func (e *Engine) LastNews() uint64 { return e.news.number() }

// newsPage bounds what News returns at once.
const newsPage = 256

// News returns what became news behind a number, the oldest first and a few hundred
// at most, and waits until there is some or ctx ends, whose error it then returns.
// What is told can be asked for. If the first number is not the next one, those
// between are forgotten: look at the whole again.
func (e *Engine) News(ctx context.Context, after uint64) ([]penumbra.News, error) {
	for {
		news, more := e.news.after(after, newsPage)
		if len(news) > 0 {
			return news, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-more:
		}
	}
}

// Subscribe yields what becomes news after it was called, until ctx ends, each with
// how many before it were missed because the listener was too slow: 0 but for then.
func (e *Engine) Subscribe(ctx context.Context) iter.Seq2[penumbra.News, uint64] {
	after := e.LastNews()
	return func(yield func(penumbra.News, uint64) bool) {
		for {
			news, err := e.News(ctx, after)
			if err != nil {
				return
			}
			for _, n := range news {
				missed := n.Seq - after - 1
				after = n.Seq
				if !yield(n, missed) {
					return
				}
			}
		}
	}
}

// tellingStore is a store that tells what it has stored, those who wait for news and
// the catalogue: the one place where that comes from, so that none is forgotten and
// none comes too early.
type tellingStore struct {
	Store
	news      *feed
	catalogue *catalogue.Catalogue
}

// SaveDrifts implements [Drifts].
func (s tellingStore) SaveDrifts(ctx context.Context, drifts []penumbra.Drift) error {
	if err := s.Store.SaveDrifts(ctx, drifts); err != nil {
		return err
	}
	s.catalogue.Found(drifts)
	news := make([]penumbra.News, len(drifts))
	for i := range drifts {
		d := &drifts[i]
		news[i] = penumbra.News{
			Topic: penumbra.DriftNews, ID: d.ID, Stack: d.Resource.Stack(), Drift: d.ID,
			Verb: s.news.lifeVerb(d.ID, d.Resource.Stack(), d.Active(), d.Status == penumbra.Open && d.Changed.Equal(d.Opened)),
		}
	}
	s.news.publish(news...)
	return nil
}

// SaveAnomalies implements [Anomalies].
func (s tellingStore) SaveAnomalies(ctx context.Context, anomalies []penumbra.Anomaly) error {
	if err := s.Store.SaveAnomalies(ctx, anomalies); err != nil {
		return err
	}
	s.catalogue.Noticed(anomalies)
	news := make([]penumbra.News, len(anomalies))
	for i := range anomalies {
		a := &anomalies[i]
		news[i] = penumbra.News{
			Topic: penumbra.AnomalyNews, ID: a.ID, Stack: a.Resource.Stack(), Drift: a.Drift,
			Verb: s.news.lifeVerb(a.ID, a.Resource.Stack(), a.Active(), true),
		}
	}
	s.news.publish(news...)
	return nil
}

// SaveProposals implements [decisions.Proposals].
func (s tellingStore) SaveProposals(ctx context.Context, proposals []penumbra.Proposal) error {
	if err := s.Store.SaveProposals(ctx, proposals); err != nil {
		return err
	}
	news := make([]penumbra.News, len(proposals))
	for i := range proposals {
		news[i] = s.ofProposal(ctx, &proposals[i])
	}
	s.news.publish(news...)
	return nil
}

// Decide implements [decisions.Proposals].
func (s tellingStore) Decide(ctx context.Context, d penumbra.Decision, p penumbra.Proposal, run *penumbra.Run) error {
	if err := s.Store.Decide(ctx, d, p, run); err != nil {
		return err
	}
	n := s.ofProposal(ctx, &p)
	if p.State == penumbra.Proposed {
		n.Verb = string(d.Verb) // by one of several people
	}
	s.news.publish(n)
	if run != nil {
		s.news.publish(runNews(run))
	}
	return nil
}

// Start implements [decisions.Proposals].
func (s tellingStore) Start(ctx context.Context, p penumbra.Proposal, run penumbra.Run) error {
	if err := s.Store.Start(ctx, p, run); err != nil {
		return err
	}
	s.news.publish(s.ofProposal(ctx, &p), runNews(&run))
	return nil
}

// SaveRun implements [decisions.Runs].
func (s tellingStore) SaveRun(ctx context.Context, run penumbra.Run) error {
	if err := s.Store.SaveRun(ctx, run); err != nil {
		return err
	}
	s.news.publish(runNews(&run))
	return nil
}

// SaveFreeze implements [decisions.Freezes].
func (s tellingStore) SaveFreeze(ctx context.Context, f penumbra.Freeze) error {
	if err := s.Store.SaveFreeze(ctx, f); err != nil {
		return err
	}
	n := penumbra.News{Topic: penumbra.FreezeNews, ID: f.ID, Verb: "set"}
	if !f.Lifted.IsZero() {
		n.Verb = "lifted"
	}
	if len(f.Stacks) == 1 {
		n.Stack = f.Stacks[0]
	}
	s.news.publish(n)
	return nil
}

// AddVersion implements [Versions].
func (s tellingStore) AddVersion(ctx context.Context, v penumbra.ModelVersion, body []byte) (int, error) {
	number, err := s.Store.AddVersion(ctx, v, body)
	if err == nil {
		v.Number = number
		s.news.publish(versionNews(&v))
	}
	return number, err
}

// SaveVersions implements [Versions].
func (s tellingStore) SaveVersions(ctx context.Context, versions []penumbra.ModelVersion) error {
	if err := s.Store.SaveVersions(ctx, versions); err != nil {
		return err
	}
	news := make([]penumbra.News, len(versions))
	for i := range versions {
		news[i] = versionNews(&versions[i])
	}
	s.news.publish(news...)
	return nil
}

// ofProposal tells what became of a proposal. A proposal does not name its stack, its
// drift does, which may be resolved by now.
func (s tellingStore) ofProposal(ctx context.Context, p *penumbra.Proposal) penumbra.News {
	n := penumbra.News{Topic: penumbra.ProposalNews, ID: p.ID, Stack: s.news.stackOf(p.Drift), Verb: string(p.State), Drift: p.Drift}
	if n.Stack == "" {
		if drifts, err := s.Drifts(ctx, penumbra.DriftQuery{ID: p.Drift}); err == nil && len(drifts) > 0 {
			n.Stack = drifts[0].Resource.Stack()
		}
	}
	return n
}

func runNews(r *penumbra.Run) penumbra.News {
	return penumbra.News{Topic: penumbra.RunNews, ID: r.ID, Stack: r.Stack, Verb: r.State.String(), Drift: r.Drift}
}

func versionNews(v *penumbra.ModelVersion) penumbra.News {
	return penumbra.News{Topic: penumbra.ModelNews, ID: strconv.Itoa(v.Number), Verb: v.State.String()}
}

// sourceNews tells what came of a read of a source. Nothing of it is stored: a
// source's state is that of this process.
func sourceNews(stack, source string, err error) penumbra.News {
	n := penumbra.News{Topic: penumbra.SourceNews, ID: source, Stack: stack, Verb: "read"}
	if err != nil {
		n.Verb = "failed"
	}
	return n
}

// inputNews tells that an input stopped, with the reason, or goes on.
func inputNews(input, reason string) penumbra.News {
	n := penumbra.News{Topic: penumbra.SourceNews, ID: input, Verb: "goes on"}
	if reason != "" {
		n.Verb = "failed"
	}
	return n
}
