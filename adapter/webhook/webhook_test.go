package webhook_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/webhook"
)

func secret(b byte) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(b), 32)))
}

// request is what a receiver got.
type request struct {
	header http.Header
	body   []byte
}

func receiving(t *testing.T, answer func(w http.ResponseWriter)) (url string, got *[]request) {
	t.Helper()
	got = &[]request{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*got = append(*got, request{r.Header, body})
		answer(w)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/hook/s3cr3tpath", got
}

func noFollow() *http.Client {
	return &http.Client{Timeout: 5 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

var notice = penumbra.Notice{
	ID: "m-1", Channel: "ops", Key: "k-1", About: penumbra.AboutDrift, Verb: penumbra.NoticeOpened, Severity: penumbra.CriticalSeverity,
	Title: "Drift on shop/db.a", Lines: []string{"size 1 → 2"}, Stacks: []string{"shop"}, Created: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC),
}

func TestWhatIsSentVerifies(t *testing.T) {
	t.Parallel()
	url, got := receiving(t, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) })
	h, err := webhook.New(webhook.Config{URL: url, Secrets: []string{secret('n'), secret('o')}, Client: noFollow()})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := h.Send(context.Background(), &notice); err != nil {
			t.Fatal(err)
		}
	}
	first, second := (*got)[0], (*got)[1]
	if string(first.body) != string(second.body) || first.header.Get("webhook-id") != "m-1" || second.header.Get("webhook-id") != "m-1" {
		t.Error("sent again it is not the same")
	}
	// The scheme's own library takes it, with the new secret and with the old one.
	for _, s := range []string{secret('n'), secret('o')} {
		lib, err := standardwebhooks.NewWebhook(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := lib.Verify(first.body, first.header); err != nil {
			t.Errorf("the library: %v", err)
		}
	}
	r, err := webhook.NewReceiver(secret('o'))
	if err != nil {
		t.Fatal(err)
	}
	m, repeated, err := r.Take(first.header, first.body)
	if err != nil || repeated || m.Type != "drift.opened" || m.Data.Severity != penumbra.CriticalSeverity || m.Data.Title != notice.Title {
		t.Errorf("taken: %+v, %v, %v", m, repeated, err)
	}
	if _, repeated, err = r.Take(second.header, second.body); err != nil || !repeated {
		t.Errorf("a replay: repeated %v, %v", repeated, err)
	}
	r.Forget("m-1")
	if _, repeated, err = r.Take(second.header, second.body); err != nil || repeated {
		t.Errorf("forgotten: repeated %v, %v", repeated, err)
	}
}

// A secret is changed without a message that is refused on the way: both sides have both
// for a time. What was signed with the old one alone is worth nothing once that is gone.
func TestSecretsAreRotatedWithoutAGap(t *testing.T) {
	t.Parallel()
	url, got := receiving(t, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) })
	sent := func(id string, secrets ...string) request {
		t.Helper()
		h, err := webhook.New(webhook.Config{URL: url, Secrets: secrets, Client: noFollow()})
		if err != nil {
			t.Fatal(err)
		}
		n := notice
		n.ID = id
		if _, err := h.Send(t.Context(), &n); err != nil {
			t.Fatal(err)
		}
		return (*got)[len(*got)-1]
	}
	old, fresh := secret('o'), secret('n')
	before, during, after := sent("m-1", old), sent("m-2", fresh, old), sent("m-3", fresh)
	for name, x := range map[string]struct {
		keeps []string
		takes []bool // before, during, after
	}{
		"not told yet": {[]string{old}, []bool{true, true, false}}, "has both": {[]string{fresh, old}, []bool{true, true, true}}, "has the new one": {[]string{fresh}, []bool{false, true, true}},
	} {
		r, err := webhook.NewReceiver(x.keeps...)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range []request{before, during, after} {
			if _, _, err := r.Take(m.header, m.body); (err == nil) != x.takes[i] {
				t.Errorf("a receiver that %s, message %d: %v", name, i+1, err)
			}
		}
	}
}

func TestForgeriesAreRefused(t *testing.T) {
	t.Parallel()
	url, got := receiving(t, func(http.ResponseWriter) {})
	at := time.Now()
	send := func(at time.Time, s string) request {
		t.Helper()
		h, err := webhook.New(webhook.Config{URL: url, Secrets: []string{s}, Client: noFollow(), Now: func() time.Time { return at }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Send(context.Background(), &notice); err != nil {
			t.Fatal(err)
		}
		return (*got)[len(*got)-1]
	}
	good := send(at, secret('n'))
	edited := func(f func(h http.Header)) request {
		h := good.header.Clone()
		f(h)
		return request{h, good.body}
	}
	for name, x := range map[string]request{
		"another secret": send(at, secret('x')),
		"an hour old":    send(at.Add(-time.Hour), secret('n')),
		"of the future":  send(at.Add(time.Hour), secret('n')),
		"another body":   {good.header, []byte(`{"type":"run.said"}`)},
		"another id":     edited(func(h http.Header) { h.Set("webhook-id", "m-2") }),
		"another time":   edited(func(h http.Header) { h.Set("webhook-timestamp", fmt.Sprint(at.Unix()+1)) }),
		"no signature":   edited(func(h http.Header) { h.Del("webhook-signature") }),
		"an empty one":   edited(func(h http.Header) { h.Set("webhook-signature", "v1,") }),
		"another algorithm": edited(func(h http.Header) {
			h.Set("webhook-signature", strings.Replace(h.Get("webhook-signature"), "v1,", "v0,", 1))
		}),
	} {
		r, err := webhook.NewReceiver(secret('n'))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Take(x.header, x.body); penumbra.KindOf(err) != penumbra.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   penumbra.ErrorKind
		after  time.Duration
	}{
		"down": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }, penumbra.Unavailable, 0},
		"too many": {func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(http.StatusTooManyRequests)
		}, penumbra.Unavailable, 90 * time.Second},
		"gone": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusGone) }, penumbra.Refused, 0},
		"elsewhere": {func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(http.StatusFound)
		}, penumbra.Refused, 0},
		"not allowed": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) }, penumbra.Refused, 0},
	} {
		url, _ := receiving(t, tt.answer)
		h, err := webhook.New(webhook.Config{URL: url, Secrets: []string{secret('n')}, Client: noFollow()})
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Send(context.Background(), &notice)
		if err == nil || penumbra.KindOf(err) != tt.want || strings.Contains(err.Error(), "s3cr3tpath") {
			t.Errorf("%s: %v of kind %v", name, err, penumbra.KindOf(err))
		}
		var x interface{ RetryAfter() time.Duration }
		if errors.As(err, &x) && x.RetryAfter() != tt.after || tt.after > 0 && !errors.As(err, &x) {
			t.Errorf("%s: no pause of %s", name, tt.after)
		}
	}
	h, err := webhook.New(webhook.Config{URL: "http://127.0.0.1:1/s3cr3tpath", Secrets: []string{secret('n')}, Client: noFollow()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Send(context.Background(), &notice); penumbra.KindOf(err) != penumbra.Unavailable || strings.Contains(err.Error(), "s3cr3tpath") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestSecretsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "whsec_", "whsec_short", "whsec_" + base64.StdEncoding.EncodeToString([]byte("too short"))} {
		if _, err := webhook.New(webhook.Config{URL: "http://127.0.0.1:1", Secrets: []string{s}}); penumbra.KindOf(err) != penumbra.Invalid || s != "" && s != "whsec_" && strings.Contains(err.Error(), strings.TrimPrefix(s, "whsec_")) {
			t.Errorf("secret %q: %v", s, err)
		}
	}
}
