package notify_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/notify"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

var bg = context.Background()

// receiver is a channel's other end.
type receiver struct {
	got []penumbra.Notice
	// fail, if set, is what the next attempts end with, in order; nil lets one through.
	fail []error
	// after runs once the receiver has a notice, before the sender knows.
	after func()
}

func (r *receiver) Send(_ context.Context, n *penumbra.Notice) (string, error) {
	if len(r.fail) > 0 {
		err := r.fail[0]
		r.fail = r.fail[1:]
		if err != nil {
			return "", err
		}
	}
	r.got = append(r.got, *n)
	if r.after != nil {
		r.after()
	}
	return "thread of " + n.Key, nil
}

// take returns what has come since it was asked last, a line each.
func (r *receiver) take() []string {
	var out []string
	for _, n := range r.got {
		out = append(out, fmt.Sprintf("%s %s %s", n.Severity, n.Verb, n.Title))
	}
	r.got = nil
	return out
}

// watch is what the engine says.
type watch struct {
	status   penumbra.Status
	versions []penumbra.ModelVersion
	freezes  []penumbra.Freeze
}

func (w *watch) Status(context.Context) (penumbra.Status, error) { return w.status, nil }
func (w *watch) Versions(context.Context) ([]penumbra.ModelVersion, error) {
	return w.versions, nil
}
func (w *watch) Freezes(context.Context) ([]penumbra.Freeze, error) { return w.freezes, nil }

// bench is a teller on a real store, with a clock that the test moves.
type bench struct {
	t     *testing.T
	store *sqlite.Store
	cfg   notify.Config
	to    *receiver
	watch *watch
	at    time.Time
	*notify.Teller
}

func newBench(t *testing.T, edit ...func(*notify.Config)) *bench {
	t.Helper()
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "penumbra.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	b := &bench{t: t, store: store, to: &receiver{}, watch: &watch{}, at: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	b.cfg = notify.Config{
		World: store, Watch: b.watch, Outbox: store, Gather: time.Second, Now: func() time.Time { return b.at },
		Channels: []notify.Channel{{Name: "ops", Kind: "test", Sender: b.to}},
	}
	for _, f := range edit {
		f(&b.cfg)
	}
	b.restart()
	return b
}

// restart does what a new process does.
func (b *bench) restart() {
	b.t.Helper()
	t, err := notify.New(b.cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Teller = t
}

// pass looks, waits for what belongs together, looks again and sends.
func (b *bench) pass() []string {
	b.t.Helper()
	for range 2 {
		if _, err := b.Look(bg); err != nil {
			b.t.Fatal(err)
		}
		b.at = b.at.Add(2 * time.Second)
	}
	b.deliver()
	return b.to.take()
}

func (b *bench) deliver() {
	b.t.Helper()
	if _, err := b.Deliver(bg, "ops"); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) save(drifts ...penumbra.Drift) {
	b.t.Helper()
	if err := b.store.SaveDrifts(bg, drifts); err != nil {
		b.t.Fatal(err)
	}
}

// drift is one on a resource of the stack shop.
func drift(id, resource, cause string, change ...func(*penumbra.Drift)) penumbra.Drift {
	opened := time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC)
	d := penumbra.Drift{
		ID: id, Resource: penumbra.Address("shop/" + resource), Type: "db", Verdict: penumbra.Drifted,
		Cause:    penumbra.Cause{Key: "event " + cause, Actor: cause, ActorKind: penumbra.User, Action: "ModifyDBInstance", Time: opened},
		Findings: []penumbra.Finding{{Path: "size of " + id, Verdict: penumbra.Drifted, Declared: true, Template: penumbra.Number(1), Actual: penumbra.Number(2)}},
		Opened:   opened, Changed: opened,
	}
	for _, f := range change {
		f(&d)
	}
	return d
}

func resolved(d *penumbra.Drift) {
	d.Status, d.Resolution, d.ResolvedAt = penumbra.Resolved, penumbra.Returned, d.Opened.Add(time.Hour)
}

func critical(d *penumbra.Drift) {
	d.Critical = true
	d.Impact = []penumbra.Impact{{Metric: "latency", Before: 1, After: 97, Worse: true, Coincidence: 0.002}}
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func TestOneNoticeForACause(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.save(drift("d-1", "db.a", "alice"), drift("d-2", "db.b", "alice"), drift("d-3", "db.c", "bob"))
	equal(t, "opened", b.pass(),
		"medium opened 2 resources with one cause, drift: size of d-1 1 → 2",
		"medium opened Drift on shop/db.c: size of d-3 1 → 2")
	equal(t, "nothing new", b.pass())

	b.save(drift("d-4", "db.d", "alice"))
	equal(t, "another of the cause", b.pass(), "medium changed 3 resources with one cause, drift: size of d-1 1 → 2")
	b.save(drift("d-1", "db.a", "alice", critical))
	equal(t, "it got worse", b.pass(), "critical changed 3 resources with one cause, drift: size of d-1 1 → 2")

	b.save(drift("d-1", "db.a", "alice", resolved), drift("d-2", "db.b", "alice", resolved))
	equal(t, "some are resolved", b.pass())
	b.save(drift("d-4", "db.d", "alice", resolved))
	equal(t, "the last is resolved", b.pass(), "critical resolved Resolved: drifts of one cause on 3 resources: returned")
	equal(t, "it stays so", b.pass())

	b.save(drift("d-1", "db.a", "alice"))
	equal(t, "open again", b.pass(), "medium opened Drift on shop/db.a: size of d-1 1 → 2")
}

func TestAlikeIsOneCause(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	same := func(d *penumbra.Drift) { d.Findings[0].Path = "size" }
	span := func(key string) func(*penumbra.Drift) {
		return func(d *penumbra.Drift) { d.Cause = penumbra.Cause{Key: "span " + key} }
	}
	b.save(drift("d-1", "db.a", "", same, span("1")), drift("d-2", "db.b", "", same, span("2")))
	equal(t, "alike", b.pass(), "medium opened 2 resources with one cause, drift: size 1 → 2")

	wave := func(d *penumbra.Drift) {
		d.Verdict, d.Findings[0].Verdict, d.Cause = penumbra.Impending, penumbra.Impending, penumbra.Cause{Key: "forecast 1"}
		d.Findings[0].Forecast = &penumbra.Forecast{Leave: [5]float64{0, 0, 0.9, 0.9, 0.9}, Reason: "a wave"}
		d.Findings[0].Horizon = 2
	}
	b.save(drift("d-3", "db.c", "", wave), drift("d-4", "db.d", "", wave))
	got := b.pass()
	if len(got) != 1 || !strings.HasPrefix(got[0], "low opened 2 resources with one cause, impending drift") {
		t.Errorf("a wave: %q", got)
	}
}

func TestTheKeyAndTheThreadStay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.save(drift("d-1", "db.a", "alice", critical))
	b.pass2()
	first := b.to.got[0]
	b.to.got = nil
	b.save(drift("d-1", "db.a", "alice", resolved))
	b.pass2()
	last := b.to.got[0]
	if last.Key != first.Key || last.Thread != "thread of "+first.Key || last.ID == first.ID || last.Ended.IsZero() || first.Firing() == last.Firing() {
		t.Errorf("opened %+v\nresolved %+v", first, last)
	}
	if !slices.Contains(first.Lines, "shop/db.a: latency 97x worse, chance of coincidence 0.2 %") {
		t.Errorf("the impact is missing: %q", first.Lines)
	}
	if !slices.ContainsFunc(first.Facts, func(f penumbra.NoticeFact) bool {
		return f.Name == "cause" && strings.HasPrefix(f.Value, "alice (user), ModifyDBInstance")
	}) {
		t.Errorf("who it was is missing: %q", first.Facts)
	}
}

// pass2 is pass that leaves what came.
func (b *bench) pass2() {
	b.t.Helper()
	for range 2 {
		if _, err := b.Look(bg); err != nil {
			b.t.Fatal(err)
		}
		b.at = b.at.Add(2 * time.Second)
	}
	b.deliver()
}

func TestARestartNeitherRepeatsNorLoses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.save(drift("d-1", "db.a", "alice"))
	for range 3 { // killed before anything is stored: found again
		if _, err := b.Look(bg); err != nil {
			t.Fatal(err)
		}
		b.restart()
		b.at = b.at.Add(time.Second / 2)
	}
	if _, err := b.Look(bg); err != nil {
		t.Fatal(err)
	}
	b.at = b.at.Add(2 * time.Second)
	if _, err := b.Look(bg); err != nil {
		t.Fatal(err)
	}
	b.restart() // killed after it was stored, before it was sent
	equal(t, "sent by the next", b.pass(), "medium opened Drift on shop/db.a: size of d-1 1 → 2")
	for range 3 {
		b.restart()
		equal(t, "not repeated", b.pass())
	}
	b.save(drift("d-1", "db.a", "alice", resolved)) // while nobody ran
	b.restart()
	equal(t, "resolved meanwhile", b.pass(), "medium resolved Resolved: drift on shop/db.a: returned")
}

// breaking is an outbox whose writes can fail.
type breaking struct {
	*sqlite.Store
	err error
}

func (o *breaking) Tell(ctx context.Context, told []penumbra.Told, notices []penumbra.Notice) error {
	if o.err != nil {
		return o.err
	}
	return o.Store.Tell(ctx, told, notices)
}

func TestSentButNotNotedIsSentAgainWithItsIdentifier(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	box := &breaking{Store: b.store}
	b.cfg.Outbox = box
	b.restart()
	b.save(drift("d-1", "db.a", "alice"))
	b.to.after = func() { box.err = errors.New("the disk is gone") }
	for range 2 {
		if _, err := b.Look(bg); err != nil {
			t.Fatal(err)
		}
		b.at = b.at.Add(2 * time.Second)
	}
	if _, err := b.Deliver(bg, "ops"); err == nil {
		t.Fatal("the failed write is not told")
	}
	box.err, b.to.after = nil, nil
	b.restart()
	b.deliver()
	if len(b.to.got) != 2 || b.to.got[0].ID != b.to.got[1].ID {
		t.Fatalf("got %+v", b.to.got)
	}
	b.restart()
	b.deliver()
	if len(b.to.got) != 2 {
		t.Error("sent a third time")
	}
}

func TestANoticeThatWasNotSentIsReplacedByTheNext(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.save(drift("d-1", "db.a", "alice"))
	look := func() {
		for range 2 {
			if _, err := b.Look(bg); err != nil {
				t.Fatal(err)
			}
			b.at = b.at.Add(2 * time.Second)
		}
	}
	look()
	b.save(drift("d-1", "db.a", "alice", critical))
	look()
	b.deliver()
	equal(t, "the newer one, as the first", b.to.take(), "critical opened Drift on shop/db.a: size of d-1 1 → 2")

	b.save(drift("d-2", "db.b", "bob"))
	look()
	b.save(drift("d-2", "db.b", "bob", resolved))
	look()
	b.deliver()
	equal(t, "nobody heard that it began", b.to.take())
}

func TestSnoozedAndAcknowledgedAreQuiet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	snoozed := func(d *penumbra.Drift) { d.SnoozedUntil = b.at.Add(time.Hour) }
	acknowledged := func(d *penumbra.Drift) { d.Status = penumbra.Acknowledged }
	b.save(drift("d-1", "db.a", "alice", snoozed), drift("d-2", "db.b", "bob", acknowledged))
	equal(t, "quiet", b.pass())
	b.at = b.at.Add(2 * time.Hour)
	equal(t, "awake", b.pass(), "medium opened Drift on shop/db.a: size of d-1 1 → 2")
	b.save(drift("d-1", "db.a", "alice", func(d *penumbra.Drift) { d.SnoozedUntil = b.at.Add(time.Hour) }))
	equal(t, "a snooze is no end", b.pass())
}

func TestVerdictsThatAreQuiet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i, v := range []penumbra.Verdict{penumbra.Tolerated, penumbra.Pending, penumbra.NotChecked} {
		b.save(drift(fmt.Sprint("d-", i), fmt.Sprint("db.", i), fmt.Sprint(i), func(d *penumbra.Drift) { d.Verdict = v }))
	}
	equal(t, "quiet", b.pass())
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *notify.Config) {
		c.Environment = func(stack string) string { return map[string]string{"shop": "prod", "lab": "dev"}[stack] }
		c.Routes = []notify.Route{
			{Channels: []string{"ops"}, Stacks: []string{"sh*"}, Environments: []string{"prod"}, Least: penumbra.CriticalSeverity},
			{Channels: []string{"ops"}, Verdicts: []penumbra.Verdict{penumbra.Tolerated}, About: []penumbra.NoticeAbout{penumbra.AboutDrift}},
		}
	})
	lab := func(d *penumbra.Drift) { d.Resource = "lab/db.x" }
	b.save(drift("d-1", "db.a", "1"), drift("d-2", "db.b", "2", critical), drift("d-3", "", "3", lab, critical),
		drift("d-4", "db.d", "4", func(d *penumbra.Drift) { d.Verdict = penumbra.Tolerated }))
	got := b.pass()
	equal(t, "routed", got, "critical opened Drift on shop/db.b: size of d-2 1 → 2", "low opened Tolerated drift on shop/db.d: size of d-4 1 → 2")
	b.save(drift("d-2", "db.b", "2"))
	got = b.pass()
	if len(got) != 1 || !strings.Contains(got[0], "resolved") || !strings.Contains(got[0], "no longer what this channel is told of") {
		t.Errorf("no longer critical: %q", got)
	}
	for name, r := range map[string]notify.Route{"an unknown channel": {Channels: []string{"opps"}}, "a bad pattern": {Stacks: []string{"["}}} {
		cfg := b.cfg
		cfg.Routes = []notify.Route{r}
		if _, err := notify.New(cfg); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNoSecretLeaves(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const secret = "hunter2-Zq81"
	key := penumbra.Key("0123456789abcdef")
	b.save(drift("d-1", "db.a", "alice", func(d *penumbra.Drift) {
		d.Findings[0] = penumbra.Finding{Path: "password", Verdict: penumbra.Drifted, Declared: true, Sensitive: true,
			Template: key.Seal(penumbra.String("old")), Actual: key.Seal(penumbra.String(secret))}
		d.Cause.Action = "set password=" + secret + " by hand"
	}))
	b.pass2()
	if len(b.to.got) != 1 {
		t.Fatalf("%d notices", len(b.to.got))
	}
	if text := fmt.Sprintf("%+v", b.to.got[0]); strings.Contains(text, secret) {
		t.Errorf("the secret is in %s", text)
	}
}
