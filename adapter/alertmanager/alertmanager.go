// Package alertmanager answers: how does Prometheus' Alertmanager hear of what goes
// on? It posts alerts of its API version 2 and says again and again that they go on,
// as that expects; what is over is closed with its end. Grouping, silences and who is
// called stay Alertmanager's.
//
// It guarantees that an alert has the same labels from its beginning to its end, but
// for its severity: when that changes, the alert of the former one is closed.
package alertmanager

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/jsonpost"
)

// Config says where Alertmanager is.
type Config struct {
	URL string // such as http://127.0.0.1:9093
	// Authorization is the header of that name, "" for none.
	Authorization string
	Client        *http.Client
	Now           func() time.Time // time.Now if nil
}

// Manager posts alerts.
type Manager struct{ cfg Config }

// New returns what posts to an Alertmanager.
func New(cfg Config) *Manager {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Manager{cfg}
}

// lasting is how long an alert goes on that nobody repeats: five times as long as
// they are repeated after, so that a restart closes none.
const lasting = 5 * time.Minute

// noEnd is how long something is shown that has no end, such as a run that failed.
const noEnd = time.Hour

type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// name returns the alert's name: PenumbraDrift, PenumbraRun.
func name(about penumbra.NoticeAbout) string {
	return "Penumbra" + strings.ToUpper(string(about[:1])) + string(about[1:])
}

func labels(n *penumbra.Notice, severity penumbra.Severity) map[string]string {
	out := map[string]string{"alertname": name(n.About), "severity": severity.String(), "penumbra_key": n.Key}
	for label, values := range map[string][]string{"stack": n.Stacks, "environment": n.Environments} {
		switch len(values) {
		case 0:
		case 1:
			out[label] = values[0]
		default:
			out[label] = "several"
		}
	}
	return out
}

// severities are those that an alert of a key may have had.
var severities = []penumbra.Severity{penumbra.LowSeverity, penumbra.MediumSeverity, penumbra.HighSeverity, penumbra.CriticalSeverity}

func (m *Manager) alert(n *penumbra.Notice) alert {
	a := alert{
		Labels: labels(n, n.Severity), StartsAt: n.Began.UTC(), GeneratorURL: n.URL,
		Annotations: map[string]string{"summary": n.Title, "description": strings.Join(n.Lines, "\n")},
	}
	for _, f := range n.Facts {
		a.Annotations[strings.ReplaceAll(f.Name, " ", "_")] = f.Value
	}
	now := m.cfg.Now().UTC()
	switch {
	case n.Firing():
		a.EndsAt = now.Add(lasting)
	case n.Verb == penumbra.NoticeResolved:
		a.EndsAt = now
	default:
		a.EndsAt = now.Add(noEnd)
	}
	return a
}

// Send posts the alert of a notice, see [jsonpost.Post] for its errors.
func (m *Manager) Send(ctx context.Context, n *penumbra.Notice) (string, error) {
	a := m.alert(n)
	post := []alert{a}
	if n.Verb == penumbra.NoticeChanged || n.Verb == penumbra.NoticeResolved {
		for _, s := range severities { // Alertmanager says nothing of those that never fired
			if s != n.Severity {
				post = append(post, alert{Labels: labels(n, s), StartsAt: a.StartsAt, EndsAt: m.cfg.Now().UTC(), Annotations: a.Annotations})
			}
		}
	}
	return "", m.post(ctx, post)
}

// Keep says that alerts go on.
func (m *Manager) Keep(ctx context.Context, firing []penumbra.Notice, _ time.Duration) error {
	post := make([]alert, len(firing))
	for i := range firing {
		post[i] = m.alert(&firing[i])
	}
	return m.post(ctx, post)
}

func (m *Manager) post(ctx context.Context, alerts []alert) error {
	header := http.Header{}
	if m.cfg.Authorization != "" {
		header.Set("Authorization", m.cfg.Authorization)
	}
	_, err := jsonpost.Post(ctx, m.cfg.Client, "Alertmanager", strings.TrimRight(m.cfg.URL, "/")+"/api/v2/alerts", header, alerts)
	return err
}
