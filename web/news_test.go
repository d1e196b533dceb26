package web

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/chrometest"
)

// TestNewsStream holds that a stream tells of topics and of nothing else, and ends
// with the server.
func TestNewsStream(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.happened = make(chan struct{})
	server := httptest.NewServer(Handler(s, entrance(testToken), about, clock))
	defer server.Close()
	v := signIn(t, s)
	v.handler = server.Config.Handler
	request, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/news", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.AddCookie(v.send("GET", "/?token="+testToken, nil).Result().Cookies()[0])
	response, err := server.Client().Do(request)
	if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v %v", err, response)
	}
	defer response.Body.Close()
	close(s.happened)
	lines := bufio.NewScanner(response.Body)
	var got []string
	for lines.Scan() {
		if lines.Text() != "" {
			got = append(got, lines.Text())
		}
		if len(got) == 3 {
			break
		}
	}
	if want := "retry: 3000|event: drift|data: 1"; strings.Join(got, "|") != want {
		t.Errorf("the stream tells %q", got)
	}
	stopping, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := server.Config.Shutdown(stopping); err != nil {
		t.Errorf("the server waits for the stream: %v", err)
	}
	if w := (&visitor{t: t, handler: server.Config.Handler}).send("GET", "/news", nil); w.Code != http.StatusUnauthorized {
		t.Errorf("without a session it answers %d", w.Code)
	}
}

// TestPagesFollowTheNews holds that the overview shows a drift that opened after it
// was loaded.
func TestPagesFollowTheNews(t *testing.T) {
	s := newShop(t)
	s.happened = make(chan struct{})
	kept := s.drifts
	s.drifts = nil
	server := httptest.NewServer(Handler(s, entrance(testToken), about, clock))
	t.Cleanup(server.Close)
	ctx := chrometest.Start(t)
	complained := chrometest.Complaints(t, ctx)
	ctx, end := context.WithTimeout(ctx, time.Minute)
	defer end()
	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/?token="+testToken), chromedp.WaitReady(chromedp.CSS("html.scripted"))); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.drifts = []penumbra.Drift{kept[3]}
	s.mu.Unlock()
	close(s.happened)
	if err := chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS(`.pressing a[href="/drift?id=d-db"]`))); err != nil {
		t.Errorf("the overview does not follow: %v", err)
	}
	if all := complained(); len(all) > 0 {
		t.Errorf("the browser complains: %q", all)
	}
}

// discreet is a shop whose news are for admins.
type discreet struct{ *shop }

func (d discreet) News(ctx context.Context, after uint64) ([]penumbra.News, error) {
	news, err := d.shop.News(ctx, after)
	for i := range news {
		if !penumbra.PrincipalOf(ctx).IsAdmin() {
			news[i] = penumbra.News{Seq: news[i].Seq}
		}
	}
	return news, err
}

// TestNewsEndWithTheSession holds that a stream tells nothing any more of what was taken
// from who looks since it began, and ends with their session.
func TestNewsEndWithTheSession(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*house)
		told   bool
		ends   bool
	}{
		"nothing happens":  {func(*house) {}, true, false},
		"grants are taken": {func(h *house) { h.grants = []penumbra.Grant{{Role: penumbra.Viewer}} }, false, false},
		"signed out":       {func(h *house) { h.sessions = map[string]penumbra.Session{} }, false, true},
		"disabled":         {func(h *house) { h.out = true }, false, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(testToken)
			s := newShop(t)
			s.happened = make(chan struct{})
			v := &visitor{t: t, handler: Handler(discreet{s}, h.entrance(), about, clock)}
			v.keep(v.send("GET", "/?token="+testToken, nil))
			ctx, cancel := context.WithCancel(t.Context())
			r := httptest.NewRequestWithContext(ctx, "GET", "/news", nil)
			r.AddCookie(v.cookie)
			w := httptest.NewRecorder()
			over := make(chan struct{})
			go func() {
				defer close(over)
				v.handler.ServeHTTP(w, r)
			}()
			synctest.Wait()
			h.mu.Lock()
			tc.change(h)
			h.mu.Unlock()
			close(s.happened)
			synctest.Wait()
			select {
			case <-over:
				if !tc.ends {
					t.Errorf("%s: the stream ended", name)
				}
			default:
				if tc.ends {
					t.Errorf("%s: the stream goes on", name)
				}
			}
			cancel()
			<-over
			if got := strings.Contains(w.Body.String(), "event: drift"); got != tc.told {
				t.Errorf("%s: it told %q", name, w.Body)
			}
		})
	}
}

// TestNewsEndWhileNothingHappens holds that a stream of a session that is over ends by
// the next heartbeat.
func TestNewsEndWhileNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(testToken)
		v := &visitor{t: t, handler: Handler(newShop(t), h.entrance(), about, clock)}
		v.keep(v.send("GET", "/?token="+testToken, nil))
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/news", nil)
		r.AddCookie(v.cookie)
		began := time.Now()
		go func() {
			time.Sleep(heartbeat / 2)
			h.mu.Lock()
			defer h.mu.Unlock()
			h.out = true
		}()
		v.handler.ServeHTTP(httptest.NewRecorder(), r)
		if got := time.Since(began); got != heartbeat {
			t.Errorf("the stream ended after %v", got)
		}
	})
}
