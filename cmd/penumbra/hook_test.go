package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/penumbra-iac/penumbra/adapter/webhook"
)

// hookSecret is what webhooks of the scripts are signed with.
const hookSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// hook FILE [STATUS] takes webhooks until the script ends: each that is signed is a
// line of the file. The address is $HOOK, the secret $HOOK_SECRET. With a status it
// answers that instead, for as long as the file "hook-up" is not there.
func hook(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: hook FILE [STATUS]")
	}
	path, up := ts.MkAbs(args[0]), ts.MkAbs("hook-up")
	receiver, err := webhook.NewReceiver(hookSecret)
	ts.Check(err)
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if _, err := os.Stat(up); len(args) > 1 && err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		m, repeated, err := receiver.Take(r.Header, body)
		if err != nil {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		line, _ := json.Marshal(map[string]any{"type": m.Type, "title": m.Data.Title, "severity": m.Data.Severity, "repeated": repeated, "key": m.Data.Key})
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, _ = f.Write(append(line, '\n'))
			_ = f.Close()
		}
	}))
	ts.Setenv("HOOK", server.URL+"/in")
	ts.Setenv("HOOK_SECRET", hookSecret)
	ts.Defer(server.Close)
}

// heard TEXT FILE waits until a file has the text.
func heard(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: heard TEXT FILE")
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for {
		data, _ := os.ReadFile(ts.MkAbs(args[1]))
		if bytes.Contains(data, []byte(args[0])) {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			ts.Fatalf("%s has no %q: %s", args[1], args[0], data)
		}
	}
}

// until TEXT PROGRAM ARGS... runs a program again and again until it prints the text.
func until(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: until TEXT PROGRAM [ARGS...]")
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for {
		if err := ts.Exec(args[1], args[2:]...); err == nil && strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			ts.Fatalf("%s never printed %q", args[1], args[0])
		}
	}
}
