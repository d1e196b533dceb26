package wire

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/notify"
	"github.com/penumbra-iac/penumbra/remediation"
)

// messenger sends the messages of runs through the channels of notifications. The
// teller comes after the engine that it watches.
type messenger struct{ teller atomic.Pointer[notify.Teller] }

var _ remediation.Messenger = (*messenger)(nil)

// Send gives a message to each channel that people read: Alertmanager has nobody who
// would answer. The channels send it, again if need be; a run is told of once.
func (m *messenger) Send(ctx context.Context, run, drift string, x penumbra.Message) (string, error) {
	if m == nil || m.teller.Load() == nil {
		return "", nil
	}
	t := m.teller.Load()
	channels, err := t.Channels(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	for _, c := range channels {
		if c.Kind == alertmanagerChannel {
			continue
		}
		n := penumbra.Notice{
			ID: "owner-" + run + "-" + c.Name, Key: "owner/" + drift, About: penumbra.AboutOwner, Severity: penumbra.LowSeverity, Title: x.Subject,
			Lines: strings.Split(strings.TrimSpace(x.Text), "\n"),
			Facts: []penumbra.NoticeFact{{Name: "for", Value: strings.Join(x.To, ", ")}, {Name: "drift", Value: drift}, {Name: "run", Value: run}},
		}
		if _, err := t.Say(ctx, c.Name, n); err != nil {
			return "", err
		}
		names = append(names, c.Name)
	}
	if len(names) == 0 {
		return "", nil
	}
	return "goes out through " + strings.Join(names, ", "), nil
}
