package notify_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/notify"
)

// night is quiet from 22:00 to 07:00 in Berlin.
func night(t *testing.T) notify.Quiet {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return notify.Quiet{From: 22 * time.Hour, To: 7 * time.Hour, Zone: zone}
}

func TestQuietHoursEndInADigest(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *notify.Config) {
		c.Channels[0].Quiet, c.Channels[0].LoudCritical = []notify.Quiet{night(t)}, true
	})
	b.at = time.Date(2026, 3, 2, 21, 30, 0, 0, time.UTC) // 22:30 in Berlin
	b.save(drift("d-1", "db.a", "alice"), drift("d-2", "db.b", "bob"))
	equal(t, "in the night", b.pass())
	b.save(drift("d-3", "db.c", "carol", critical))
	equal(t, "critical breaks through", b.pass(), "critical opened Drift on shop/db.c: size of d-3 1 → 2")
	b.save(drift("d-2", "db.b", "bob", resolved))
	equal(t, "an end in the night", b.pass())
	b.save(drift("d-3", "db.c", "carol", critical, resolved))
	equal(t, "what was told at night ends at night", b.pass(), "critical resolved Resolved: drift on shop/db.c: returned")
	b.restart()
	b.at = time.Date(2026, 3, 3, 5, 59, 0, 0, time.UTC)
	equal(t, "a minute before seven", b.pass())
	b.at = time.Date(2026, 3, 3, 6, 0, 0, 0, time.UTC)
	b.pass2()
	if len(b.to.got) != 1 {
		t.Fatalf("in the morning: %q", b.to.take())
	}
	n := b.to.got[0]
	equal(t, "the digest's lines", n.Lines,
		"medium, opened: Drift on shop/db.a: size of d-1 1 → 2",
		"medium, resolved: Resolved: drift on shop/db.b: returned (opened and resolved meanwhile)")
	if n.About != penumbra.AboutDigest || n.Title != "Digest of 2 notices since 2026-03-02T21:30:02Z: 1 opened, 0 changed, 1 resolved" {
		t.Errorf("the digest is %q about %s", n.Title, n.About)
	}
	b.to.got = nil
	equal(t, "once", b.pass())
	b.save(drift("d-1", "db.a", "alice", resolved))
	equal(t, "what the digest opened ends", b.pass(), "medium resolved Resolved: drift on shop/db.a: returned")
}

func TestCriticalIsQuietUnlessItMayBeLoud(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *notify.Config) { c.Channels[0].Quiet = []notify.Quiet{night(t)} })
	b.at = time.Date(2026, 3, 2, 23, 0, 0, 0, time.UTC)
	b.save(drift("d-1", "db.a", "alice", critical))
	equal(t, "in the night", b.pass())
	b.at = time.Date(2026, 3, 3, 7, 0, 0, 0, time.UTC)
	equal(t, "one alone needs no digest", b.pass(), "critical opened Drift on shop/db.a: size of d-1 1 → 2")
}

func TestTheRateBoundsAFlood(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *notify.Config) { c.Channels[0].Rate, c.Channels[0].Burst = 4, 3 })
	for i := range 30 {
		id := fmt.Sprint("d-", i)
		b.save(drift(id, "db."+id, id, func(d *penumbra.Drift) {
			if i == 29 {
				critical(d)
			}
		}))
	}
	got := b.pass()
	if len(got) != 3 || !strings.HasPrefix(got[0], "critical opened") {
		t.Fatalf("at once: %q", got)
	}
	b.save(drift("d-x", "db.x", "x", critical))
	equal(t, "above the rate", b.pass())
	b.at = b.at.Add(15 * time.Minute)
	b.deliver()
	equal(t, "a critical one goes before the digest", b.to.take(), "critical opened Drift on shop/db.x: size of d-x 1 → 2")
	b.at = b.at.Add(15 * time.Minute)
	b.deliver()
	got = b.to.take()
	if len(got) != 1 || !strings.HasPrefix(got[0], "medium said Digest of 27 notices") {
		t.Errorf("later: %q", got)
	}
	b.at = b.at.Add(15 * time.Minute)
	equal(t, "nothing is left", b.pass())
}

type wait struct {
	error
	after time.Duration
}

func (w wait) RetryAfter() time.Duration { return w.after }
func (w wait) Unwrap() error             { return w.error }

func TestRetriesAndDeadLetters(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *notify.Config) { c.Retries = 3 })
	down := &penumbra.Error{Kind: penumbra.Unavailable, What: "post to the hook: 503, token=abcdefgh12345678 in it"}
	b.to.fail = []error{down, wait{down, time.Hour}, down}
	b.save(drift("d-1", "db.a", "alice"))
	equal(t, "down", b.pass())
	one := func() penumbra.Notice {
		t.Helper()
		all, err := b.Notices(bg, penumbra.NoticeQuery{})
		if err != nil || len(all) != 1 {
			t.Fatalf("%d notices, %v", len(all), err)
		}
		return all[0]
	}
	n := one()
	if d := n.Next.Sub(b.at); n.State != penumbra.NoticeWaiting || n.Attempts != 1 || d < 3*time.Second || d > 7*time.Second {
		t.Errorf("after the first: %+v, next in %s", n, d)
	}
	if strings.Contains(n.Error, "abcdefgh") {
		t.Errorf("the error has a secret: %s", n.Error)
	}
	b.deliver()
	if one().Attempts != 1 {
		t.Error("tried before its time")
	}
	b.at = n.Next
	b.deliver()
	if n = one(); n.Next.Sub(b.at) != time.Hour {
		t.Errorf("the receiver asked to wait an hour: %s", n.Next.Sub(b.at))
	}
	b.restart()
	b.at = n.Next
	b.deliver()
	if n = one(); n.State != penumbra.NoticeDead || n.Attempts != 3 {
		t.Fatalf("after the last: %+v", n)
	}
	equal(t, "nothing came", b.to.take())
	b.at = b.at.Add(48 * time.Hour)
	equal(t, "dead is dead", b.pass())
	id := n.ID
	if _, err := b.ResendNotice(bg, id); err != nil {
		t.Fatal(err)
	}
	b.deliver()
	if len(b.to.got) != 1 || b.to.got[0].ID != id || one().State != penumbra.NoticeSent {
		t.Errorf("sent again: %+v", b.to.got)
	}
	if _, err := b.ResendNotice(bg, id); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("a sent one again: %v", err)
	}
	if _, err := b.ResendNotice(bg, "m-none"); penumbra.KindOf(err) != penumbra.NotFound {
		t.Errorf("none: %v", err)
	}

	b.to.got, b.to.fail = nil, []error{&penumbra.Error{Kind: penumbra.Refused, What: "401"}}
	b.save(drift("d-2", "db.b", "bob"))
	b.pass()
	st, err := b.Channels(bg)
	if err != nil || len(st) != 1 || st[0].Dead != 1 || st[0].Error != "401" {
		t.Errorf("what can't be delivered is dead at once: %+v, %v", st, err)
	}
}

func TestADownChannelIsNotHammered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	down := &penumbra.Error{Kind: penumbra.Unavailable, What: "down"}
	for i := range 9 {
		b.to.fail = append(b.to.fail, down)
		id := fmt.Sprint("d-", i)
		b.save(drift(id, "db."+id, id))
	}
	b.pass()
	if tried := 9 - len(b.to.fail); tried != 2 {
		t.Errorf("%d attempts in a row", tried)
	}
}

func TestRunsApprovalsFreezesSourcesAndTheModel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	saveRun := func(id string, state penumbra.RunState, change ...func(*penumbra.Run)) {
		t.Helper()
		r := penumbra.Run{ID: id, Proposal: "p-" + id, Stack: "shop", State: state, Drift: "d-1", Kind: penumbra.Revert, Started: b.at, Outcome: "as it went"}
		if state.Ended() {
			r.Ended = b.at
		}
		for _, f := range change {
			f(&r)
		}
		if err := b.store.SaveRun(bg, r); err != nil {
			t.Fatal(err)
		}
	}
	saveRun("r-old", penumbra.Done)
	b.at = b.at.Add(time.Second)
	equal(t, "what ended before anybody listened", b.pass())

	saveRun("r-1", penumbra.Applying)
	equal(t, "at work", b.pass())
	saveRun("r-1", penumbra.Done)
	saveRun("r-2", penumbra.Failed)
	saveRun("r-3", penumbra.Halted)
	equal(t, "ended", b.pass(), "critical said Run r-3 on shop is halted", "high said Run r-2 on shop is failed", "low said Run r-1 on shop is done")
	b.restart()
	equal(t, "once", b.pass())
	saveRun("r-4", penumbra.Done, func(r *penumbra.Run) { r.Watch = &penumbra.Watch{Until: b.at.Add(time.Hour)} })
	equal(t, "done", b.pass(), "low said Run r-4 on shop is done")
	runs, err := b.store.Runs(bg, penumbra.RunQuery{ID: "r-4"})
	if err != nil {
		t.Fatal(err)
	}
	runs[0].Watch.WayBack, runs[0].Watch.Harm = "p-back", []penumbra.Harm{{Resource: "shop/db.a", Impact: penumbra.Impact{Metric: "latency", Before: 1, After: 9, Worse: true, Time: b.at}}}
	if err := b.store.SaveRun(bg, runs[0]); err != nil {
		t.Fatal(err)
	}
	b.pass2()
	if len(b.to.got) != 1 || b.to.got[0].Title != "Run r-4 on shop hurt shop/db.a: latency" || !slices.Contains(b.to.got[0].Lines, "The way back is planned: penumbra approve p-back") {
		t.Errorf("it hurt: %+v", b.to.got)
	}
	b.to.got = nil
	runs[0].Watch.Harm[0].Impact.After = 20
	if err := b.store.SaveRun(bg, runs[0]); err != nil {
		t.Fatal(err)
	}
	equal(t, "it hurts more", b.pass())

	p := penumbra.Proposal{ID: "p-9", Drift: "d-1", Kind: penumbra.Revert, Title: "Revert size", State: penumbra.Proposed, ApprovedBy: []string{"olga"}, Needs: 2, Created: b.at, Plan: &penumbra.Plan{Stack: "shop"}}
	if err := b.store.SaveProposals(bg, []penumbra.Proposal{p, {ID: "p-8", Drift: "d-1", State: penumbra.Proposed}}); err != nil {
		t.Fatal(err)
	}
	equal(t, "waits for approval", b.pass(), "high opened p-9 waits for approval: 1 of 2")
	p.State = penumbra.Approved
	if err := b.store.SaveProposals(bg, []penumbra.Proposal{p}); err != nil {
		t.Fatal(err)
	}
	equal(t, "approved", b.pass(), "high resolved p-9 waits no more")

	b.watch.freezes = []penumbra.Freeze{{ID: "f-1", Reason: "the spring sale", Until: b.at.Add(time.Hour), Stacks: []string{"shop"}, By: "olga"}, {ID: "f-2", From: b.at.Add(time.Hour)}}
	equal(t, "frozen", b.pass(), "low opened Runs on shop are frozen until "+b.watch.freezes[0].Until.Format(time.RFC3339))
	b.watch.freezes[0].Lifted = b.at
	b.watch.freezes[0].LiftedBy = "olga"
	equal(t, "lifted", b.pass(), "low resolved The freeze f-1 is over")

	b.watch.status.Stacks = []penumbra.StackStatus{{Name: "shop", Source: "tofu", LastRead: b.at, Error: "state: 403"}}
	equal(t, "not read just now", b.pass())
	b.at = b.at.Add(40 * time.Minute)
	got := b.pass()
	if len(got) != 1 || !strings.HasPrefix(got[0], "high opened shop (tofu) has not been checked since 2026-") {
		t.Errorf("not checked: %q", got)
	}
	b.watch.status.Stacks[0].LastRead, b.watch.status.Stacks[0].Error = time.Time{}, ""
	b.restart()
	equal(t, "after a restart nobody knows", b.pass())
	b.watch.status.Stacks[0].LastRead = b.at
	equal(t, "read", b.pass(), "high resolved Resolved: shop/tofu is checked again")

	b.watch.versions = []penumbra.ModelVersion{{Number: 2, State: penumbra.TakenBackVersion, Promoted: b.at, By: "olga"}, {Number: 1, State: penumbra.ActiveVersion, Promoted: b.at.Add(-24 * time.Hour)}}
	equal(t, "the model", b.pass(), "high said Version 2 of the model was taken back by olga")
}

func TestAnomaliesThatNoDriftExplains(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := penumbra.Anomaly{ID: "a-1", Resource: "shop/db.a", Metric: "latency", Kind: penumbra.LevelShift, Onset: b.at, Time: b.at, Value: 9, Expected: 1, Worse: true}
	other, better, explained := a, a, a
	other.ID, other.Metric = "a-2", "errors"
	better.ID, better.Worse = "a-3", false
	explained.ID, explained.Drift = "a-4", "d-1"
	if err := b.store.SaveAnomalies(bg, []penumbra.Anomaly{a, other, better, explained}); err != nil {
		t.Fatal(err)
	}
	equal(t, "one for the resource", b.pass(), "medium opened latency of shop/db.a: 9.0x worse, and no drift is known for it (and 1 more)")
	a.Value = 20
	if err := b.store.SaveAnomalies(bg, []penumbra.Anomaly{a}); err != nil {
		t.Fatal(err)
	}
	equal(t, "further out", b.pass())
	a.Ended, other.Ended = b.at, b.at
	if err := b.store.SaveAnomalies(bg, []penumbra.Anomaly{a, other}); err != nil {
		t.Fatal(err)
	}
	equal(t, "over", b.pass(), "medium resolved Resolved: metrics of shop/db.a are as usual again")
}

func TestTestAndSay(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *notify.Config) { c.Channels[0].Quiet = []notify.Quiet{night(t)} })
	b.at = time.Date(2026, 3, 2, 23, 0, 0, 0, time.UTC)
	n, err := b.TestChannel(bg, "ops", "olga")
	if err != nil || n.State != penumbra.NoticeSent {
		t.Errorf("a test at night: %+v, %v", n, err)
	}
	b.to.got, b.to.fail = nil, []error{errors.New("refused")}
	if n, err = b.TestChannel(bg, "ops", ""); err == nil || n.Error != "refused" {
		t.Errorf("a test that fails: %+v, %v", n, err)
	}
	if _, err = b.TestChannel(bg, "oops", ""); penumbra.KindOf(err) != penumbra.NotFound {
		t.Errorf("no channel: %v", err)
	}
	equal(t, "it is not tried again", b.pass())

	b.at = time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	ask := penumbra.Notice{ID: "run-7", Title: "Is size 2 still needed?", Lines: []string{"evidence"}, Severity: penumbra.MediumSeverity}
	for range 2 {
		if _, err := b.Say(bg, "ops", ask); err != nil {
			t.Fatal(err)
		}
		b.restart()
	}
	equal(t, "said once", b.pass(), "medium said Is size 2 still needed?")
	if _, err := b.Say(bg, "ops", ask); err != nil {
		t.Fatal(err)
	}
	equal(t, "and not again", b.pass())
}

// keeper is a receiver that forgets.
type keeper struct {
	receiver
	kept []penumbra.Notice
}

func (k *keeper) Keep(_ context.Context, firing []penumbra.Notice, _ time.Duration) error {
	k.kept = firing
	return nil
}

func TestAKeeperIsToldWhatGoesOn(t *testing.T) {
	t.Parallel()
	k := &keeper{}
	b := newBench(t, func(c *notify.Config) {
		c.Channels[0].Sender, c.Channels[0].Quiet = k, []notify.Quiet{{From: 0, To: 24 * time.Hour}}
	})
	b.to = &k.receiver
	b.save(drift("d-1", "db.a", "alice"), drift("d-2", "db.b", "bob"))
	if got := b.pass(); len(got) != 2 {
		t.Fatalf("quiet hours are its receiver's: %q", got)
	}
	b.save(drift("d-2", "db.b", "bob", resolved))
	b.pass()
	if err := b.Keep(bg, "ops"); err != nil {
		t.Fatal(err)
	}
	if len(k.kept) != 1 || k.kept[0].Subjects[0] != "d-1" {
		t.Errorf("kept %+v", k.kept)
	}
}

func TestQuietHours(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	week := []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	for name, tt := range map[string]struct {
		quiet notify.Quiet
		at    string
		until string // "" if it is not quiet
	}{
		"in the night":             {night(t), "2026-03-02T23:00:00Z", "2026-03-03T06:00:00Z"},
		"before it":                {night(t), "2026-03-02T20:59:59Z", ""},
		"as it begins":             {night(t), "2026-03-02T21:00:00Z", "2026-03-03T06:00:00Z"},
		"as it ends":               {night(t), "2026-03-03T06:00:00Z", ""},
		"summer time begins":       {night(t), "2026-03-28T23:00:00Z", "2026-03-29T05:00:00Z"},
		"summer time ends":         {night(t), "2026-10-24T21:00:00Z", "2026-10-25T06:00:00Z"},
		"Friday night lasts":       {notify.Quiet{From: 22 * time.Hour, To: 7 * time.Hour, Zone: zone, Days: week}, "2026-03-07T01:00:00Z", "2026-03-07T06:00:00Z"},
		"Saturday night does not":  {notify.Quiet{From: 22 * time.Hour, To: 7 * time.Hour, Zone: zone, Days: week}, "2026-03-07T23:00:00Z", ""},
		"a whole weekend's day":    {notify.Quiet{From: 0, To: 24 * time.Hour, Days: []time.Weekday{time.Saturday}}, "2026-03-07T12:00:00Z", "2026-03-08T00:00:00Z"},
		"lunch, and no zone's UTC": {notify.Quiet{From: 12 * time.Hour, To: 13 * time.Hour}, "2026-03-02T12:30:00Z", "2026-03-02T13:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if until := tt.quiet.Until(at); !until.IsZero() {
			got = until.Format(time.RFC3339)
		}
		if got != tt.until {
			t.Errorf("%s: quiet until %q, want %q", name, got, tt.until)
		}
	}
}
