package alertmanager_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/alertmanager"
)

var bg = context.Background()

// real starts Debian's Alertmanager, which posts what it notifies of to a webhook.
func real(t *testing.T, receiver string) (url string) {
	t.Helper()
	program, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		if program, err = exec.LookPath("alertmanager"); err != nil {
			if os.Getenv("REQUIRE_TOOLS") != "" {
				t.Fatal("Alertmanager is not installed")
			}
			t.Skip("Alertmanager is not installed")
		}
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "alertmanager.yml")
	text := fmt.Sprintf("route:\n  receiver: test\n  group_by: [penumbra_key]\n  group_wait: 100ms\n  group_interval: 200ms\nreceivers:\n  - name: test\n    webhook_configs:\n      - url: %s\n        send_resolved: true\n", receiver)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := free(t)
	cmd := exec.Command(program, "--config.file="+config, "--storage.path="+dir, "--web.listen-address="+address, "--cluster.listen-address=", "--log.level=error")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	url = "http://" + address
	if _, err := backoff.Retry(bg, func() (bool, error) {
		resp, err := http.Get(url + "/-/ready")
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return false, fmt.Errorf("%s", resp.Status)
		}
		return true, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)), backoff.WithMaxElapsedTime(20*time.Second)); err != nil {
		t.Fatal(err)
	}
	return url
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// told is what Alertmanager posts to its webhooks.
type told struct {
	Status string `json:"status"`
	Alerts []struct {
		Status      string            `json:"status"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"alerts"`
}

// active are the alerts that go on, by severity and key.
func active(t *testing.T, url string) []string {
	t.Helper()
	resp, err := http.Get(url + "/api/v2/alerts")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list []struct {
		Labels map[string]string `json:"labels"`
		EndsAt time.Time         `json:"endsAt"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, a := range list {
		if a.EndsAt.After(time.Now()) {
			out = append(out, a.Labels["severity"]+" "+a.Labels["penumbra_key"])
		}
	}
	slices.Sort(out)
	return out
}

func notice(key string, verb penumbra.NoticeVerb, severity penumbra.Severity) *penumbra.Notice {
	return &penumbra.Notice{
		ID: "m-1", Channel: "am", Key: key, About: penumbra.AboutDrift, Verb: verb, Severity: severity, Title: "Drift on shop/db.a", Lines: []string{"size 1 → 2"},
		Stacks: []string{"shop"}, Environments: []string{"prod"}, Facts: []penumbra.NoticeFact{{Name: "last read", Value: "never"}}, Began: time.Now().Add(-time.Minute), URL: "https://penumbra.example/drifts/d-1",
	}
}

func TestRealAlertmanager(t *testing.T) {
	t.Parallel()
	heard := make(chan told, 20)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var x told
		if json.NewDecoder(r.Body).Decode(&x) == nil {
			heard <- x
		}
	}))
	defer receiver.Close()
	url := real(t, receiver.URL)
	m := alertmanager.New(alertmanager.Config{URL: url + "/", Client: http.DefaultClient})
	send := func(n *penumbra.Notice) {
		t.Helper()
		if _, err := m.Send(bg, n); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, alerts ...string) {
		t.Helper()
		if got := active(t, url); !slices.Equal(got, alerts) {
			t.Errorf("%s: %q, want %q", what, got, alerts)
		}
	}
	hears := func(what, status, severity string) {
		t.Helper()
		limit := time.After(20 * time.Second)
		for {
			select {
			case x := <-heard:
				for _, a := range x.Alerts {
					if a.Status == status && a.Labels["severity"] == severity && a.Labels["alertname"] == "PenumbraDrift" && a.Labels["stack"] == "shop" && a.Annotations["summary"] != "" {
						return
					}
				}
			case <-limit:
				t.Fatalf("%s: Alertmanager told of no %s alert of severity %s", what, status, severity)
			}
		}
	}
	send(notice("k-1", penumbra.NoticeOpened, penumbra.MediumSeverity))
	want("opened", "medium k-1")
	hears("opened", "firing", "medium")
	send(notice("k-1", penumbra.NoticeChanged, penumbra.CriticalSeverity))
	want("it got worse", "critical k-1")
	hears("it got worse", "firing", "critical")
	if err := m.Keep(bg, []penumbra.Notice{*notice("k-1", penumbra.NoticeChanged, penumbra.CriticalSeverity), *notice("k-2", penumbra.NoticeOpened, penumbra.LowSeverity)}, time.Minute); err != nil {
		t.Fatal(err)
	}
	want("kept", "critical k-1", "low k-2")
	send(notice("k-1", penumbra.NoticeResolved, penumbra.CriticalSeverity))
	want("resolved", "low k-2")
	hears("resolved", "resolved", "critical")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	var authorization string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization = r.Header.Get("Authorization")
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer s.Close()
	m := alertmanager.New(alertmanager.Config{URL: s.URL, Authorization: "Bearer x", Client: s.Client()})
	if _, err := m.Send(bg, notice("k", penumbra.NoticeOpened, penumbra.LowSeverity)); penumbra.KindOf(err) != penumbra.Refused || authorization != "Bearer x" {
		t.Errorf("%v, %q", err, authorization)
	}
	m = alertmanager.New(alertmanager.Config{URL: "http://127.0.0.1:1", Client: http.DefaultClient})
	if err := m.Keep(bg, []penumbra.Notice{*notice("k", penumbra.NoticeOpened, penumbra.LowSeverity)}, time.Minute); penumbra.KindOf(err) != penumbra.Unavailable {
		t.Errorf("nobody there: %v", err)
	}
}
