package web

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/penumbra-iac/penumbra/internal/chrometest"
)

// TestBrowser signs in, draws the plots and approves a proposal, and holds that
// the browser has nothing to complain of. With SCREENSHOTS set to a folder, it
// leaves pictures of every page there.
func TestBrowser(t *testing.T) {
	s := newShop(t)
	server := httptest.NewServer(Handler(s, entrance(testToken), about, clock))
	t.Cleanup(server.Close)
	ctx := chrometest.Start(t)
	complained := chrometest.Complaints(t, ctx)
	// The first call starts the browser, and its context ends it: the limit is
	// only for what follows.
	ctx, end := context.WithTimeout(ctx, 2*time.Minute)
	defer end()

	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/?token="+testToken)); err != nil {
		t.Fatal(err)
	}
	url, title := chrometest.Must(chromedp.Run(ctx, chromedp.Location())), chrometest.Must(chromedp.Run(ctx, chromedp.Title()))
	if strings.Contains(url, "token") || title != "Overview · Penumbra" {
		t.Fatalf("signing in leads to %q, %q", url, title)
	}
	for _, path := range []string{"instance_class", "iops", "tags.note", "master_password"} {
		err := chromedp.Do(ctx,
			chromedp.Navigate(server.URL+"/resource?address="+string(mainDB)+"&path="+path),
			chromedp.WaitVisible(chromedp.CSS(`#plot[data-state="drawn"] canvas`)))
		if err != nil {
			t.Fatalf("%s: %v; the browser says %q", path, err, complained())
		}
		inked, err := chromedp.Run(ctx, chromedp.Evaluate[int](`(() => {
				const c = document.querySelector("#plot canvas"), d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
				let n = 0;
				for (let i = 3; i < d.length; i += 4) if (d[i] > 0) n++;
				return n;
			})()`))
		if err != nil {
			t.Fatalf("%s: %v; the browser says %q", path, err, complained())
		}
		if inked < 500 {
			t.Errorf("%s: the plot has %d pixels drawn", path, inked)
		}
	}
	if folder := os.Getenv("SCREENSHOTS"); folder != "" {
		takePictures(t, ctx, server.URL, folder)
	}
	err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/drift?id=d-db"),
		chromedp.Click(chromedp.CSS(`[data-proposal="p-adopt"] form[action="/approve"] button`)),
		chromedp.WaitVisible(chromedp.CSS(`.steps`)))
	if err != nil {
		t.Fatalf("approve: %v", err)
	}
	url = chrometest.Must(chromedp.Run(ctx, chromedp.Location()))
	if !strings.HasSuffix(url, "/run?id=r-2") || len(s.calls) != 1 || s.calls[0][2] != s.proposals[0].Hash || s.calls[0][3] != "carol" {
		t.Errorf("approving leads to %s with %v", url, s.calls)
	}
	if all := complained(); len(all) > 0 {
		t.Errorf("the browser complains: %q", all)
	}
}

// TestPhone holds that no page is wider than a phone, in light and dark, and that
// the browser has nothing to complain of.
func TestPhone(t *testing.T) {
	server := httptest.NewServer(Handler(newShop(t), entrance(testToken), about, clock))
	t.Cleanup(server.Close)
	ctx := chrometest.Start(t)
	complained := chrometest.Complaints(t, ctx)
	ctx, end := context.WithTimeout(ctx, 3*time.Minute)
	defer end()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(360, 740), chromedp.Navigate(server.URL+"/?token="+testToken)); err != nil {
		t.Fatal(err)
	}
	for _, scheme := range []string{"light", "dark"} {
		chrometest.Scheme(t, ctx, scheme)
		for _, page := range pages {
			if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+page)); err != nil {
				t.Fatalf("%s: %v", page, err)
			}
			wide, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(() => {
				const room = document.documentElement.clientWidth;
				if (document.documentElement.scrollWidth <= room) return "";
				const scrolled = x => x.parentElement && (["auto", "scroll", "hidden"].includes(getComputedStyle(x.parentElement).overflowX) || scrolled(x.parentElement));
				return [...document.querySelectorAll("main *")].filter(x => x.getBoundingClientRect().right > room + 1 && !scrolled(x)).slice(0, 3).map(x => x.outerHTML.slice(0, 160)).join(" | ") || "scrolls";
			})()`))
			if err != nil {
				t.Fatalf("%s: %v", page, err)
			}
			if wide != "" {
				t.Errorf("%s is wider than a phone: %s", page, wide)
			}
			if dark := chrometest.Must(chromedp.Run(ctx, chromedp.Evaluate[bool](`getComputedStyle(document.body).backgroundColor === "rgb(19, 18, 25)"`))); dark != (scheme == "dark") {
				t.Errorf("%s does not follow the system's %s colours", page, scheme)
			}
		}
	}
	// The menu is folded, and opens.
	open := func() bool {
		return chrometest.Must(chromedp.Run(ctx, chromedp.Evaluate[bool](`document.querySelector(".rail nav").offsetParent !== null`)))
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/")); err != nil || open() {
		t.Errorf("the menu is open: %v", err)
	}
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(".menu-button"))); err != nil || !open() {
		t.Errorf("the menu does not open: %v", err)
	}
	if all := complained(); len(all) > 0 {
		t.Errorf("the browser complains: %q", all)
	}
}

// TestKeys goes from the first page to a drift and back by keys alone, and chooses
// colours against the system's.
func TestKeys(t *testing.T) {
	server := httptest.NewServer(Handler(newShop(t), entrance(testToken), about, clock))
	t.Cleanup(server.Close)
	ctx := chrometest.Start(t)
	complained := chrometest.Complaints(t, ctx)
	ctx, end := context.WithTimeout(ctx, 2*time.Minute)
	defer end()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(server.URL+"/?token="+testToken)); err != nil {
		t.Fatal(err)
	}
	focused := func() string {
		return chrometest.Must(chromedp.Run(ctx, chromedp.Evaluate[string](`(x => x.id || x.className || x.getAttribute("href") || x.tagName)(document.activeElement)`)))
	}
	press := func(keys string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.KeyEvent(keys)); err != nil {
			t.Fatalf("press %q: %v", keys, err)
		}
	}
	arrives := func(path string) {
		t.Helper()
		chrometest.Arrive(t, ctx, path)
	}
	press(kb.Tab)
	if got := focused(); got != "skip" {
		t.Errorf("the first stop is %s", got)
	}
	press(kb.Enter)
	if got := chrometest.Must(chromedp.Run(ctx, chromedp.Location())); !strings.HasSuffix(got, "#main") {
		t.Errorf("skipping leads to %s", got)
	}
	press("gd")
	arrives("/drifts")
	press("j")
	if got := chrometest.Must(chromedp.Run(ctx, chromedp.Evaluate[string](`document.activeElement.getAttribute("href")`))); got != "/drift?id=d-db" {
		t.Errorf("j stops at %s", got)
	}
	press("jk")
	press(kb.Enter)
	arrives("/drift?id=d-db")
	press("/")
	if got := focused(); got != "find" {
		t.Errorf("/ leads to %s", got)
	}
	// A driven browser types the letter too, whatever the page made of its key.
	_ = chrometest.Must(chromedp.Run(ctx, chromedp.Evaluate[string](`document.activeElement.value = ""`)))
	press("gd lambda" + kb.Enter) // in a field, keys are letters
	arrives("/resources?q=gd+lambda")
	press("?")
	if !chrometest.Must(chromedp.Run(ctx, chromedp.Evaluate[bool](`document.getElementById("keys").open`))) {
		t.Error("? shows no list of keys")
	}
	press(kb.Escape)
	press("go")
	arrives("/")
	chrometest.Scheme(t, ctx, "light")
	ground := func() string {
		return chrometest.Must(chromedp.Run(ctx, chromedp.Evaluate[string](`getComputedStyle(document.body).backgroundColor`)))
	}
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`#theme button[value="dark"]`)), chromedp.WaitReady(chromedp.CSS(`html[data-theme="dark"]`))); err != nil || ground() != "rgb(19, 18, 25)" {
		t.Errorf("dark colours: %v, %s", err, ground())
	}
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`#theme button[value=""]`)), chromedp.WaitReady(chromedp.CSS(`html:not([data-theme])`))); err != nil || ground() == "rgb(19, 18, 25)" {
		t.Errorf("the system's colours: %v, %s", err, ground())
	}
	if all := complained(); len(all) > 0 {
		t.Errorf("the browser complains: %q", all)
	}
}

// TestFilterFollowsTyping holds that the list of resources follows what is typed,
// and its address too.
func TestFilterFollowsTyping(t *testing.T) {
	server := httptest.NewServer(Handler(newShop(t), entrance(testToken), about, clock))
	t.Cleanup(server.Close)
	ctx := chrometest.Start(t)
	complained := chrometest.Complaints(t, ctx)
	ctx, end := context.WithTimeout(ctx, time.Minute)
	defer end()
	err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/?token="+testToken), chromedp.Navigate(server.URL+"/resources"),
		chromedp.SendKeys(chromedp.CSS(`main input[name="q"]`), "lambda"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](`document.getElementById("found").textContent.includes("36 of 184 resources") && location.search.includes("q=lambda")`)); err != nil {
		t.Errorf("the list does not follow: %v", err)
	}
	if all := complained(); len(all) > 0 {
		t.Errorf("the browser complains: %q", all)
	}
}

func takePictures(t *testing.T, ctx context.Context, base, folder string) {
	pages := map[string]string{
		"overview": "/", "class": "/resource?address=" + string(mainDB), "iops": "/resource?path=iops&address=" + string(mainDB),
		"drift": "/drift?id=d-db", "proposal": "/proposal?id=p-revert", "run": "/run?id=r-1", "anomaly": "/anomaly?id=a-lat",
		"drifts": "/drifts", "resources": "/resources", "metrics": "/anomalies", "runs": "/runs", "model": "/model", "sources": "/sources",
		"freezes": "/freezes", "notifications": "/notifications", "people": "/people", "knowledge": "/knowledge", "settings": "/settings",
	}
	for _, scheme := range []string{"light", "dark"} {
		for device, width := range map[string]int64{"desktop": 1280, "phone": 390} {
			for name, path := range pages {
				chrometest.Scheme(t, ctx, scheme)
				if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 800), chromedp.Navigate(base+path)); err != nil {
					t.Fatal(err)
				}
				picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatalf("picture of %s: %v", name, err)
				}
				file := filepath.Join(folder, fmt.Sprintf("%s-%s-%s.png", name, device, scheme))
				if err := os.WriteFile(file, picture, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
