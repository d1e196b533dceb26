package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// TestNothingDifferentIsNotSentAgain polls as a program does that has seen the answer.
func TestNothingDifferentIsNotSentAgain(t *testing.T) {
	t.Parallel()
	r := &recorder{status: penumbra.Status{Resources: 2, Time: exampleTime}, resources: exampleResources(), drifts: []penumbra.Drift{exampleDrift()}}
	h := Handler(r, opens(testToken), "0")
	for path, change := range map[string]func(){
		"/v1/status": func() { r.status.Resources++ }, "/v1/resources": func() { r.resources[0].Settings++ }, "/v1/drifts?active=true": func() { r.drifts[0].AcknowledgedBy = "bo" },
	} {
		first := request(h, "GET", path, "", nil)
		tag := first.Header().Get("ETag")
		if first.Code != http.StatusOK || tag == "" || first.Body.Len() == 0 {
			t.Fatalf("%s: %d, %q", path, first.Code, tag)
		}
		r.status.Time = r.status.Time.Add(time.Second) // when it was asked is no difference
		for _, given := range []string{tag, `"other", ` + tag, tag[2:], "*"} {
			again := request(h, "GET", path, "", func(req *http.Request) { req.Header.Set("If-None-Match", given) })
			if again.Code != http.StatusNotModified || again.Body.Len() != 0 || again.Header().Get("ETag") != tag || again.Header().Get("Content-Type") != "" {
				t.Errorf("%s with %s: %d %s %v", path, given, again.Code, again.Body, again.Header())
			}
		}
		change()
		again := request(h, "GET", path, "", func(req *http.Request) { req.Header.Set("If-None-Match", tag) })
		if again.Code != http.StatusOK || again.Body.Len() == 0 || again.Header().Get("ETag") == tag {
			t.Errorf("%s that is different: %d, %s", path, again.Code, again.Header().Get("ETag"))
		}
	}
	// Whose token opens nothing learns nothing by a tag, and what failed has none.
	w := request(h, "GET", "/v1/status", "", func(req *http.Request) {
		req.Header.Set("Authorization", "Bearer wrong")
		req.Header.Set("If-None-Match", "*")
	})
	if w.Code != http.StatusUnauthorized {
		t.Errorf("with a wrong token: %d", w.Code)
	}
	r.err = &penumbra.Error{Kind: penumbra.Unavailable, What: "no"}
	if w := request(h, "GET", "/v1/status", "", func(req *http.Request) { req.Header.Set("If-None-Match", "*") }); w.Code != http.StatusServiceUnavailable || w.Header().Get("ETag") != "" || readProblem(t, w).Kind != "unavailable" {
		t.Errorf("what failed: %d %s", w.Code, w.Body)
	}
	if w := request(h, "GET", "/v1/freezes", "", nil); w.Header().Get("ETag") != "" {
		t.Error("what is not polled has a tag")
	}
}
