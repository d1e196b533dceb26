//go:build unix

package e2e

// This file covers the pages of a real daemon on a real stack in a real browser:
// a person who has never seen them finds the critical drift and its cause from the
// overview, approves, customises and takes back. With -screenshots, the pictures of
// the README are taken again.

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/chrometest"
)

var screenshots = flag.Bool("screenshots", false, "take the pictures of docs/images again")

// looking is a browser at a daemon.
type looking struct {
	t          *testing.T
	ctx        context.Context
	base       string
	complained func() []string
}

// look opens the page that a daemon named at its start.
func (d *daemon) look() *looking {
	d.t.Helper()
	l := d.open(d.url)
	chrometest.Arrive(d.t, l.ctx, "/")
	return l
}

// open opens a page in a browser of its own.
func (d *daemon) open(address string) *looking {
	d.t.Helper()
	ctx := chrometest.Start(d.t)
	l := &looking{t: d.t, complained: chrometest.Complaints(d.t, ctx)}
	var end context.CancelFunc
	l.ctx, end = context.WithTimeout(ctx, 5*time.Minute)
	d.t.Cleanup(end)
	l.base, _, _ = strings.Cut(d.url, "/?")
	l.do(chromedp.EmulateViewport(1200, 780), chromedp.Navigate(address))
	return l
}

func (l *looking) do(actions ...chromedp.Action[chromedp.Void]) {
	l.t.Helper()
	if err := chromedp.Do(l.ctx, actions...); err != nil {
		l.t.Fatalf("%v; at %s; the browser says %q", err, l.at(), l.complained())
	}
}

// at is the page's path and query.
func (l *looking) at() string {
	where, _ := chromedp.Run(l.ctx, chromedp.Location())
	return strings.TrimPrefix(where, l.base)
}

func (l *looking) text(selector string) string {
	l.t.Helper()
	text, err := chromedp.Run(l.ctx, chromedp.Evaluate[string](fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector)))
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

// shows waits until a part of the page has a text.
func (l *looking) shows(selector, text string) {
	l.t.Helper()
	poll := chromedp.Poll[bool](fmt.Sprintf(`(document.querySelector(%q)?.innerText ?? "").includes(%q)`, selector, text), chromedp.WithPollingTimeout(patience/2))
	for began := time.Now(); ; {
		if _, err := chromedp.Run(l.ctx, poll); err == nil {
			return
		}
		// Any error before is of a page that was left meanwhile.
		if time.Since(began) > patience/2 || l.ctx.Err() != nil {
			l.t.Fatalf("%s at %s does not show %q but %s", selector, l.at(), text, l.text("main"))
		}
	}
}

func (l *looking) click(selector string) {
	l.t.Helper()
	l.do(chromedp.Click(chromedp.CSS(selector)))
}

// picture takes one for the README, if they are asked for.
func (l *looking) picture(name string) {
	l.t.Helper()
	if !*screenshots {
		return
	}
	data, err := chromedp.Run(l.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		l.t.Fatal(err)
	}
	file := filepath.Join("..", "docs", "images", name+".png")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		l.t.Fatal(err)
	}
}

// quiet fails if the browser has complained: of a script, or of what the content
// security policy refused.
func (l *looking) quiet() {
	l.t.Helper()
	if all := l.complained(); len(all) > 0 {
		l.t.Errorf("the browser complains: %q", all)
	}
}

// measured writes values of the queue's latency, a value every ten seconds.
func (s *site) measured(name string, from time.Time, span time.Duration, level float64) {
	s.t.Helper()
	var b strings.Builder
	for at, i := from, 0; at.Before(from.Add(span)); at, i = at.Add(10*time.Second), i+1 {
		fmt.Fprintf(&b, "{\"kind\":\"metric\",\"time\":%q,\"resource\":%q,\"type\":\"conffile_service\",\"source\":\"live\",\"metrics\":{\"latency_seconds\":%.6f},\"worse\":{\"latency_seconds\":\"up\"}}\n",
			at.UTC().Format(time.RFC3339Nano), queue, level*(1+.06*math.Sin(float64(i)/7)+.03*math.Sin(2.3*float64(i))))
	}
	s.write(name, b.String())
	s.penumbra("ingest", name).ends(0)
}

// past has a tuner raise the queue's memory and take it back, hours ago.
func (s *site) past() {
	s.t.Helper()
	var b strings.Builder
	line := func(ago time.Duration, kind string, value int, more string) {
		fmt.Fprintf(&b, "{\"kind\":%q,\"time\":%q,\"resource\":%q,\"type\":\"conffile_service\",\"source\":\"audit\",\"settings\":{\"memory_mb\":%d}%s}\n", kind, time.Now().Add(-ago).UTC().Format(time.RFC3339Nano), queue, value, more)
	}
	const tuner = `,"actor":"tuner","actor_kind":"automation","action":"resize"`
	line(330*time.Minute, "snapshot", 768, "")
	line(250*time.Minute, "event", 832, tuner)
	line(249*time.Minute, "snapshot", 832, "")
	line(180*time.Minute, "event", 768, tuner)
	line(179*time.Minute, "snapshot", 768, "")
	s.write("past.jsonl", b.String())
	s.penumbra("ingest", "past.jsonl").ends(0)
}

// criticalDrift has dana change the queue's memory by hand, and its latency rise.
func (s *site) criticalDrift() penumbra.Drift {
	s.t.Helper()
	now := time.Now()
	s.measured("before.jsonl", now.Add(-3*time.Hour), 3*time.Hour, .012)
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 96")
	s.write("event.jsonl", fmt.Sprintf("{\"kind\":\"event\",\"time\":%q,\"resource\":%q,\"type\":\"conffile_service\",\"source\":\"audit\",\"actor\":\"dana\",\"actor_kind\":\"user\",\"action\":\"edit\",\"settings\":{\"memory_mb\":96}}\n", time.Now().UTC().Format(time.RFC3339Nano), queue))
	s.penumbra("ingest", "event.jsonl").ends(0)
	found := s.drift(queue, "memory_mb")
	s.write("ahead", "6m")
	s.measured("after.jsonl", now.Add(20*time.Second), 5*time.Minute, 1.2)
	s.until("the drift is critical", func() bool { found = s.show(found.ID); return found.Critical })
	return found
}

// invited returns the address that makes the first admin, as the daemon said at its
// start.
func (d *daemon) invited() string {
	d.t.Helper()
	var address string
	d.until("the link that makes the first admin", func() bool {
		_, address, _ = strings.Cut(d.said.String(), "(once, within an hour): ")
		address, _, _ = strings.Cut(address, "\n")
		return address != ""
	})
	return address
}

// signsIn fills in the form for people.
func (l *looking) signsIn(name, password string) {
	l.t.Helper()
	l.do(chromedp.Navigate(l.base+"/signin"), chromedp.SetValue(chromedp.CSS(`input[name="name"]`), name), chromedp.SetValue(chromedp.CSS(`form:has(input[name="name"]) input[name="password"]`), password),
		chromedp.Click(chromedp.CSS(`form:has(input[name="name"]) button.main`)))
	l.shows(".rail-foot", name)
}

// offers lists where the forms of the page lead, but for those of one's own session.
func (l *looking) offers() string {
	l.t.Helper()
	forms, err := chromedp.Run(l.ctx, chromedp.Evaluate[string](`[...new Set([...document.querySelectorAll('form[method="post"]')].map(f => f.getAttribute("action")))].filter(a => !["/theme", "/signout"].includes(a)).sort().join(" ")`))
	if err != nil {
		l.t.Fatal(err)
	}
	return forms
}

// The first admin comes in by the link that the daemon prints, lets in somebody who
// only looks, and that one sees the drift, is offered no decision, and takes none.
func TestBrowserFirstSignIn(t *testing.T) {
	s := newSite(t)
	d := s.watching()
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896")
	found := s.drift(queue, "memory_mb")
	p := s.proposal(found.ID, penumbra.Revert)
	address := d.invited()
	l := d.open(address)
	const secret, other = "correct horse battery", "staple for the viewer"
	l.do(chromedp.SetValue(chromedp.CSS(`input[name="name"]`), "alice"), chromedp.SetValue(chromedp.CSS(`input[name="password"]`), secret), chromedp.SetValue(chromedp.CSS(`input[name="again"]`), secret), chromedp.Click(chromedp.CSS("button.main")))
	l.shows(".rail-foot", "alice")
	l.shows("h1", "1 drift open")
	l.do(chromedp.Navigate(l.base + "/people"))
	l.shows("table", "alice")
	l.click(`details:has(form[action="/people"]) > summary`)
	l.do(chromedp.SetValue(chromedp.CSS(`form[action="/people"] input[name="name"]`), "victor"), chromedp.SetValue(chromedp.CSS(`form[action="/people"] input[name="password"]`), other),
		chromedp.Click(chromedp.CSS(`form[action="/people"] input[name="values"]`)), chromedp.Click(chromedp.CSS(`form[action="/people"] button`)))
	l.shows("table", "victor")
	pages := map[string]string{
		"/drift?id=" + found.ID: "/accept /acknowledge /approve /customize /reject /snooze", "/proposal?id=" + p.ID: "/approve /customize /reject",
		"/freezes": "/freeze", "/people": "/people /people/change /tokens", "/audit": "/audit", "/notifications": "",
	}
	shows := func(page string) {
		t.Helper()
		l.do(chromedp.Navigate(l.base+page), chromedp.WaitReady(chromedp.CSS("footer"))) // which comes behind the proposals
	}
	for page, want := range pages {
		if shows(page); l.offers() != want {
			t.Errorf("the admin is offered %q on %s, want %q", l.offers(), page, want)
		}
	}
	l.quiet()
	l.click(`form[action="/signout"] button`)
	l.do(chromedp.WaitVisible(chromedp.CSS(".signin")))

	// The link has made one admin and makes no second; victor sees the drift, and each
	// decision of his is refused.
	l.do(chromedp.Navigate(address))
	if l.text(`input[name="again"]`) != "" || strings.Contains(l.text("main"), "Make the first admin") {
		t.Errorf("the link makes another admin: %s", l.text("main"))
	}
	l.signsIn("victor", other)
	l.do(chromedp.Navigate(l.base + "/drift?id=" + found.ID))
	l.shows("#findings ~ .scroll", "memory_mb")
	l.do(chromedp.WaitVisible(chromedp.CSS(".ways")))
	for page := range pages {
		want := ""
		if page == "/people" {
			want = "/tokens" // of his own
		}
		if shows(page); l.offers() != want {
			t.Errorf("victor is offered %q on %s", l.offers(), page)
		}
	}
	if nav := l.text("nav"); strings.Contains(nav, "Audit log") || strings.Contains(nav, "Notifications") || !strings.Contains(nav, "Drifts") {
		t.Errorf("victor's list of pages: %s", nav)
	}
	shows("/proposal?id=" + p.ID)
	l.shows(".proposal-body", "it takes the role approver, and victor has viewer there")
	form, err := chromedp.Run(l.ctx, chromedp.Evaluate[string](`document.querySelector('#theme input[name="form"]').value`))
	if err != nil {
		t.Fatal(err)
	}
	for path, fields := range map[string]string{
		"/approve": "proposal=" + p.ID + "&hash=" + p.Hash, "/reject": "proposal=" + p.ID + "&reason=no", "/customize": "proposal=" + p.ID + "&values=memory_mb%3D512",
		"/accept": "drift=" + found.ID + "&reason=no&for=1d", "/acknowledge": "drift=" + found.ID, "/snooze": "drift=" + found.ID + "&for=1h", "/freeze": "reason=no&for=1h",
		"/adopt": "drift=" + found.ID + "&only=memory_mb", "/notifications/test": "channel=ops",
		"/people": "name=mallory&password=another+long+one&role=admin", "/tokens": "name=x&kind=service&role=admin&for=1d",
	} {
		status, err := chromedp.Run(l.ctx, chromedp.Evaluate[int](fmt.Sprintf(`fetch(%q, {method: "POST", headers: {"Content-Type": "application/x-www-form-urlencoded"}, body: %q}).then(r => r.status)`, path, "form="+form+"&"+fields), chromedp.EvalAwaitPromise))
		if err != nil || status != 403 {
			t.Errorf("victor's %s answers %d %v", path, status, err)
		}
	}
	s.holds("shop/etc/queue.conf", "memory_mb = 896")
	if open := s.show(found.ID); open.Status != penumbra.Open || len(s.runs()) != 0 {
		t.Errorf("what victor did had an effect: %+v", open)
	}
}

func TestBrowserJourney(t *testing.T) {
	s := newSite(t)
	s.write("ahead", "0s")
	d := s.watching("--clock", "ahead")
	s.past()
	found := s.criticalDrift()
	l := d.look()

	// The critical drift is what the overview begins with: who, what it did, and one
	// click to why.
	l.shows(".pressing", "Critical")
	l.shows(".pressing", "dana")
	l.shows(".pressing", "latency_seconds")
	l.picture("overview")
	l.click(".pressing .button")
	chrometest.Arrive(t, l.ctx, "/drift?id="+found.ID)
	l.shows(".facts", "dana")
	l.shows("#findings ~ .scroll", "memory_mb")
	l.shows(".suspects", "memory_mb")
	l.do(chromedp.WaitVisible(chromedp.CSS(".ways")))
	l.picture("drift")

	// The resource has all of it on one axis.
	l.do(chromedp.Navigate(l.base+"/resource?path=memory_mb&window=6h&address="+queue), chromedp.WaitVisible(chromedp.CSS(`#plot[data-state="drawn"] canvas`)))
	l.picture("resource")

	// Approve the revert.
	l.do(chromedp.Navigate(l.base + "/drift?id=" + found.ID))
	p := s.proposal(found.ID, penumbra.Revert)
	l.do(chromedp.Navigate(l.base + "/proposal?id=" + p.ID))
	l.click(`form[action="/approve"] button`)
	l.shows("h1", "done")
	s.holds("shop/etc/queue.conf", "memory_mb = 768")
	run := strings.TrimPrefix(l.at(), "/run?id=")

	// Take it back, by the way that the page of the run offers.
	l.click(`form[action="/rollback"] button`)
	l.shows("main", "Plan")
	l.click(`form[action="/approve"] button`)
	l.shows("h1", "done")
	s.holds("shop/etc/queue.conf", "memory_mb = 96")
	if undone := s.runOf(run); undone.State != penumbra.RolledBack {
		t.Errorf("the run that was taken back is %s", undone.State)
	}
	l.do(chromedp.Navigate(l.base + "/runs"))
	l.shows("table", "rolled back")

	// Have another value.
	again := s.drift(queue, "memory_mb")
	p = s.proposal(again.ID, penumbra.Revert)
	l.do(chromedp.Navigate(l.base + "/proposal?id=" + p.ID))
	l.click(`details.fold:has(form[action="/customize"] textarea[name="values"]) > summary`)
	l.do(chromedp.SetValue(chromedp.CSS(`textarea[name="values"]`), "memory_mb=512"), chromedp.Click(chromedp.CSS(`form[action="/customize"] button`)))
	l.shows(".proposal-body", "512")
	l.click(`form[action="/approve"] button`)
	l.shows("h1", "done")
	s.holds("shop/etc/queue.conf", "memory_mb = 512")

	for _, page := range []string{"/", "/drifts", "/drifts?state=resolved", "/resources", "/anomalies", "/runs", "/freezes", "/knowledge", "/model", "/sources", "/settings"} {
		l.do(chromedp.Navigate(l.base + page))
		if l.text("h1") == "" || strings.Contains(l.text("h1"), "Not done") {
			t.Errorf("%s shows %s", page, l.text("main"))
		}
	}
	l.quiet()
}
