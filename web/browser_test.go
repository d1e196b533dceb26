package web

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser starts a real browser, or skips where there is none.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal("no Chromium in PATH")
		}
		t.Skip("no Chromium in PATH: the pages are not tested in a browser")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.WSURLReadTimeout(time.Minute))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	ctx, leave := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // closes the browser and waits for it
		leave()
		stop()
	})
	return ctx
}

// complaints collects what the browser writes to its console and its log:
// errors of scripts and refusals of the content security policy.
func complaints(t *testing.T, ctx context.Context) func() []string {
	t.Helper()
	var mu sync.Mutex
	var all []string
	add := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, text)
	}
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *cdpruntime.EventExceptionThrown:
			add(fmt.Sprintf("%+v", e.ExceptionDetails))
		case *cdpruntime.EventConsoleAPICalled:
			add(fmt.Sprint("console: ", e.Type))
		case *log.EventEntryAdded:
			add(fmt.Sprint(e.Entry.Level, ": ", e.Entry.Text))
		case *cdppage.EventJavascriptDialogOpening:
			add("a dialog: " + e.Message)
		}
	})
	if err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// TestBrowser signs in, draws the plots and approves a proposal, and holds that
// the browser has nothing to complain of. With SCREENSHOTS set to a folder, it
// leaves pictures of every page there.
func TestBrowser(t *testing.T) {
	s := newShop(t)
	server := httptest.NewServer(Handler(s, testToken, clock))
	t.Cleanup(server.Close)
	ctx := browser(t)
	complained := complaints(t, ctx)
	// The first call starts the browser, and its context ends it: the limit is
	// only for what follows.
	ctx, end := context.WithTimeout(ctx, 2*time.Minute)
	defer end()

	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/?token="+testToken)); err != nil {
		t.Fatal(err)
	}
	url, title := must(chromedp.Run(ctx, chromedp.Location())), must(chromedp.Run(ctx, chromedp.Title()))
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
		chromedp.SetValue(chromedp.CSS(`[data-proposal="p-adopt"] form[action="/approve"] [name="by"]`), "carol"),
		chromedp.Click(chromedp.CSS(`[data-proposal="p-adopt"] form[action="/approve"] button`)),
		chromedp.WaitVisible(chromedp.CSS(`.steps`)))
	if err != nil {
		t.Fatalf("approve: %v", err)
	}
	url = must(chromedp.Run(ctx, chromedp.Location()))
	if !strings.HasSuffix(url, "/run?id=r-2") || len(s.calls) != 1 || s.calls[0][2] != s.proposals[0].Hash || s.calls[0][3] != "carol" {
		t.Errorf("approving leads to %s with %v", url, s.calls)
	}
	if all := complained(); len(all) > 0 {
		t.Errorf("the browser complains: %q", all)
	}
}

// must is for what cannot fail while the browser lives.
func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}

func takePictures(t *testing.T, ctx context.Context, base, folder string) {
	pages := map[string]string{
		"overview": "/", "class": "/resource?address=" + string(mainDB), "iops": "/resource?path=iops&address=" + string(mainDB),
		"drift": "/drift?id=d-db", "proposal": "/proposal?id=p-revert", "run": "/run?id=r-1",
	}
	for _, scheme := range []string{"light", "dark"} {
		for device, width := range map[string]int64{"desktop": 1280, "phone": 390} {
			for name, path := range pages {
				_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				})
				if err != nil {
					t.Fatal(err)
				}
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
