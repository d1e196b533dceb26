// Package chrometest answers one question: what does a real browser make of a page?
// It starts the Chromium of the machine for tests, which are skipped where there is
// none, and fail where REQUIRE_TOOLS=1.
package chrometest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Start starts a real browser, or skips where there is none.
func Start(t *testing.T) context.Context {
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
		t.Skip("no Chromium in PATH: nothing is tested in a browser")
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

// Complaints collects what the browser writes to its console and its log:
// errors of scripts and refusals of the content security policy.
func Complaints(t *testing.T, ctx context.Context) func() []string {
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

// Must is for what cannot fail while the browser lives.
func Must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}

// Scheme has the system want light or dark colours.
func Scheme(t *testing.T, ctx context.Context, scheme string) {
	t.Helper()
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Arrive waits until a page is there whose path and query are as given, ended by
// the context: whatever fails before is of a page that was left meanwhile.
func Arrive(t *testing.T, ctx context.Context, path string) {
	t.Helper()
	there := chromedp.Poll[bool](fmt.Sprintf(`location.pathname + location.search === %q && document.readyState === "complete"`, path))
	for {
		if _, err := chromedp.Run(ctx, there); err == nil {
			return
		}
		if err := ctx.Err(); err != nil {
			t.Fatalf("%s is not reached: %v", path, err)
		}
	}
}
