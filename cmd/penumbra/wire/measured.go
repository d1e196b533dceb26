package wire

import (
	"context"
	"fmt"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/store/contract"
	"github.com/penumbra-iac/penumbra/telemetry"
)

// measured is the loop as it is measured.
type measured struct {
	*engine.Engine
	store contract.Store
}

// Tally counts what the store holds.
func (m measured) Tally(ctx context.Context) (penumbra.Tally, error) { return m.store.Tally(ctx) }

// Measure has a loop measured at each scrape.
func (l *Loop) Measure(t *telemetry.Telemetry, c *Config, now func() time.Time) {
	t.Collect(measured{l.Engine, l.store}, c.Confidence, now)
	t.Expect(c.ChannelNames())
}

// Ready says whether the loop can do its work.
func (l *Loop) Ready(ctx context.Context) []telemetry.Check {
	store := telemetry.Check{Name: "store", Needed: true, OK: true}
	if _, _, err := l.store.Counts(ctx); err != nil {
		store.OK, store.Reason = false, "the store does not answer; the daemon's log says why"
	}
	out := []telemetry.Check{store}
	if !store.OK {
		return out
	}
	st, err := l.Engine.Status(ctx)
	if err != nil {
		return append(out, telemetry.Check{Name: "loop", Needed: true, Reason: "the loop does not answer; the daemon's log says why"})
	}
	out = append(out, telemetry.Check{Name: "loop", Needed: true, OK: true})
	unread, failing, sources := 0, 0, 0
	count := func(last time.Time, problem string) {
		sources++
		if problem != "" {
			failing++
		} else if last.IsZero() {
			unread++
		}
	}
	for i := range st.Stacks {
		s := &st.Stacks[i]
		if len(s.Sources) == 0 && s.Source != "timeline" {
			count(s.LastRead, s.Error)
		}
		for j := range s.Sources {
			count(s.Sources[j].LastRead, s.Sources[j].Error)
		}
	}
	reads := telemetry.Check{Name: "sources", OK: failing+unread == 0}
	if failing > 0 {
		reads.Reason = fmt.Sprintf("%d of %d sources could not be read; see penumbra status", failing, sources)
	} else if unread > 0 {
		reads.Reason = fmt.Sprintf("%d of %d sources have not been read yet", unread, sources)
	}
	inputs := telemetry.Check{Name: "inputs", OK: true}
	bad := 0
	for i := range st.Inputs {
		if st.Inputs[i].Error != "" {
			bad++
		}
	}
	if bad > 0 {
		inputs.OK, inputs.Reason = false, fmt.Sprintf("%d of %d inputs do not run; see penumbra inputs", bad, len(st.Inputs))
	}
	notices := telemetry.Check{Name: "notifications", OK: true}
	if channels, err := l.Teller.Channels(ctx); err == nil {
		dead := 0
		for _, c := range channels {
			dead += c.Dead
		}
		if dead > 0 {
			notices.OK, notices.Reason = false, fmt.Sprintf("%d notices were not delivered; see penumbra notify dead", dead)
		}
	}
	return append(out, reads, inputs, notices)
}
