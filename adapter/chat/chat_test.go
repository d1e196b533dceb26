package chat_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/chat"
)

var bg = context.Background()

// call is a request that came.
type call struct {
	path, token string
	body        map[string]any
	text        string
}

// serving answers each request as the function says, and keeps it.
func serving(t *testing.T, answer func(w http.ResponseWriter, c call)) (*httptest.Server, *[]call) {
	t.Helper()
	calls := &[]call{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		c := call{path: r.URL.Path, token: r.Header.Get("Authorization"), text: string(text)}
		if err := json.Unmarshal(text, &c.body); err != nil {
			t.Errorf("the body is no JSON: %v", err)
		}
		*calls = append(*calls, c)
		answer(w, c)
	}))
	t.Cleanup(s.Close)
	return s, calls
}

func notice(verb penumbra.NoticeVerb, thread string) *penumbra.Notice {
	return &penumbra.Notice{
		ID: "m-1", Channel: "ops", Key: "k-1", About: penumbra.AboutDrift, Verb: verb, Severity: penumbra.CriticalSeverity, Thread: thread,
		Title: "Drift on shop/db.a: owner <!channel> → *<https://evil.example|you>*", Lines: []string{"<@U1> & [link](https://evil.example)"},
		Facts: []penumbra.NoticeFact{{Name: "cause", Value: "alice <!here>"}}, URL: "https://penumbra.example/drifts/d-1",
		Created: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC),
	}
}

// texts calls f with each object that has a text, and its type.
func texts(x any, f func(kind, text string)) {
	switch x := x.(type) {
	case map[string]any:
		if text, ok := x["text"].(string); ok {
			kind, _ := x["type"].(string)
			f(kind, text)
		}
		for _, v := range x {
			texts(v, f)
		}
	case []any:
		for _, v := range x {
			texts(v, f)
		}
	}
}

func TestSlackByWebhook(t *testing.T) {
	t.Parallel()
	s, calls := serving(t, func(w http.ResponseWriter, _ call) { fmt.Fprint(w, "ok") })
	slack, err := chat.NewSlack(chat.SlackConfig{URL: s.URL + "/services/T0/B0/s3cr3t", Client: s.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slack.Send(bg, notice(penumbra.NoticeOpened, "")); err != nil {
		t.Fatal(err)
	}
	body := (*calls)[0].body
	if text := body["text"].(string); !strings.HasPrefix(text, "CRITICAL: Drift on shop/db.a") || strings.ContainsAny(text, "<>") {
		t.Errorf("the fallback can mention somebody: %q", text)
	}
	seen := 0
	texts(body["blocks"], func(kind, text string) {
		seen++
		if kind != "plain_text" {
			t.Errorf("%q is markup of type %q", text, kind)
		}
	})
	if seen < 4 {
		t.Errorf("%d texts", seen)
	}
}

func TestSlackByTokenThreads(t *testing.T) {
	t.Parallel()
	n := 0
	s, calls := serving(t, func(w http.ResponseWriter, _ call) {
		n++
		fmt.Fprintf(w, `{"ok":true,"channel":"C7","ts":"17.%d"}`, n)
	})
	slack, err := chat.NewSlack(chat.SlackConfig{Token: "xoxb-test", Room: "#ops", API: s.URL + "/api", Client: s.Client()})
	if err != nil {
		t.Fatal(err)
	}
	thread, err := slack.Send(bg, notice(penumbra.NoticeOpened, ""))
	if err != nil || thread != "C7 17.1" {
		t.Fatalf("thread %q, %v", thread, err)
	}
	done := notice(penumbra.NoticeResolved, thread)
	done.Title = "Resolved: drift on shop/db.a"
	if again, err := slack.Send(bg, done); err != nil || again != thread {
		t.Fatalf("thread %q, %v", again, err)
	}
	want := []struct{ path, channel, thread, ts string }{
		{"/api/chat.postMessage", "#ops", "", ""}, {"/api/chat.postMessage", "C7", "17.1", ""}, {"/api/chat.update", "C7", "", "17.1"},
	}
	for i, w := range want {
		c := (*calls)[i]
		text := func(name string) string { s, _ := c.body[name].(string); return s }
		if c.path != w.path || text("channel") != w.channel || text("thread_ts") != w.thread || text("ts") != w.ts || c.token != "Bearer xoxb-test" {
			t.Errorf("call %d: %+v", i, c)
		}
	}
	if text := (*calls)[2].body["text"].(string); text != "Resolved: drift on shop/db.a" {
		t.Errorf("the first message becomes %q", text)
	}
}

func TestSlackSaysWhatFollows(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]penumbra.ErrorKind{
		`{"ok":false,"error":"ratelimited"}`:       penumbra.Unavailable,
		`{"ok":false,"error":"channel_not_found"}`: penumbra.Refused,
		`<html>`: penumbra.Unavailable,
	} {
		s, _ := serving(t, func(w http.ResponseWriter, _ call) { fmt.Fprint(w, answer) })
		slack, err := chat.NewSlack(chat.SlackConfig{Token: "xoxb-test", Room: "#ops", API: s.URL, Client: s.Client()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := slack.Send(bg, notice(penumbra.NoticeOpened, "")); penumbra.KindOf(err) != want || strings.Contains(err.Error(), "xoxb") {
			t.Errorf("%s: %v", answer, err)
		}
	}
	// A message that can't be changed any more is told in its thread.
	s, _ := serving(t, func(w http.ResponseWriter, c call) {
		if strings.HasSuffix(c.path, "chat.update") {
			fmt.Fprint(w, `{"ok":false,"error":"cant_update_message"}`)
			return
		}
		fmt.Fprint(w, `{"ok":true,"channel":"C7","ts":"17.2"}`)
	})
	slack, err := chat.NewSlack(chat.SlackConfig{Token: "xoxb-test", Room: "#ops", API: s.URL, Client: s.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slack.Send(bg, notice(penumbra.NoticeResolved, "C7 17.1")); err != nil {
		t.Error(err)
	}
	for _, cfg := range []chat.SlackConfig{{}, {URL: "https://x", Token: "x", Room: "x"}, {Token: "x"}, {Room: "x", URL: "https://x"}} {
		if _, err := chat.NewSlack(cfg); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func TestTeams(t *testing.T) {
	t.Parallel()
	s, calls := serving(t, func(w http.ResponseWriter, _ call) { w.WriteHeader(http.StatusAccepted) })
	teams := &chat.Teams{URL: s.URL + "/workflows/s3cr3t", Client: s.Client()}
	if _, err := teams.Send(bg, notice(penumbra.NoticeOpened, "")); err != nil {
		t.Fatal(err)
	}
	c := (*calls)[0]
	attachment := c.body["attachments"].([]any)[0].(map[string]any)
	content := attachment["content"].(map[string]any)
	if c.body["type"] != "message" || attachment["contentType"] != "application/vnd.microsoft.card.adaptive" || content["type"] != "AdaptiveCard" || content["version"] != "1.4" {
		t.Errorf("no adaptive card: %s", c.text)
	}
	found := false
	texts(content["body"], func(kind, text string) {
		if kind != "TextRun" {
			t.Errorf("%q is of type %q, which has markup", text, kind)
		}
		found = found || strings.HasPrefix(text, "CRITICAL: Drift on shop/db.a")
	})
	if !found || !strings.Contains(c.text, "Action.OpenUrl") {
		t.Errorf("the card says %s", c.text)
	}
	down, _ := serving(t, func(w http.ResponseWriter, _ call) { w.WriteHeader(http.StatusBadGateway) })
	if _, err := (&chat.Teams{URL: down.URL + "/s3cr3t", Client: down.Client()}).Send(bg, notice(penumbra.NoticeOpened, "")); penumbra.KindOf(err) != penumbra.Unavailable || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("down: %v", err)
	}
}
