package telemetry

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Check is one thing that readiness depends on, or that is told beside it.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Reason says in general words why not: whoever asks has shown no credential.
	Reason string `json:"reason,omitempty"`
	// Needed checks have to hold for the daemon to be ready; others are told.
	Needed bool `json:"needed"`
}

// Readiness is whether the daemon can do its work, and why not.
type Readiness struct {
	Ready  bool    `json:"ready"`
	Checks []Check `json:"checks"`
}

// Healthy answers that the process lives: nothing more, so that who restarts what does
// not answer does not restart for what a restart does not mend.
func Healthy() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte("ok\n"))
	})
}

// readyTimeout bounds the checks.
const readyTimeout = 5 * time.Second

// Ready answers 200 if all needed checks hold and 503 otherwise, with each of them.
func Ready(checks func(context.Context) []Check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		out := Readiness{Ready: true, Checks: checks(ctx)}
		for _, c := range out.Checks {
			out.Ready = out.Ready && (c.OK || !c.Needed)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !out.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(out)
	})
}
