package daemon

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

func TestWithoutDerived(t *testing.T) {
	t.Parallel()
	hour := penumbra.Observation{Kind: penumbra.MetricKind, Source: "metrics"}
	value := penumbra.Observation{Kind: penumbra.MetricKind, Source: penumbra.LiveSource}
	own := penumbra.Observation{Kind: penumbra.EventKind, Action: penumbra.ActionAnomaly}
	over := penumbra.Observation{Kind: penumbra.EventKind, Action: penumbra.ActionAnomalyEnd}
	accepted := penumbra.Observation{Kind: penumbra.EventKind, Action: penumbra.ActionAccept}
	for name, tc := range map[string]struct{ in, want []penumbra.Observation }{
		"hours beside values": {[]penumbra.Observation{hour, value, own, over, accepted}, []penumbra.Observation{value, accepted}},
		"hours alone":         {[]penumbra.Observation{hour, own, accepted}, []penumbra.Observation{hour, accepted}},
	} {
		if d := cmp.Diff(tc.want, withoutDerived(tc.in)); d != "" {
			t.Errorf("%s (-want +got)\n%s", name, d)
		}
	}
}

func TestReplayPassesOverPauses(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	r := &replay{speed: 3600}
	for next, want := range map[time.Duration]time.Duration{
		3 * time.Hour:   3 * time.Hour,    // longer than two seconds of it: at once
		time.Hour:       12 * time.Minute, // a step of it
		time.Nanosecond: time.Nanosecond,
	} {
		got, err := r.until(t.Context(), at, at.Add(next))
		if err != nil || got.Sub(at) != want {
			t.Errorf("%v ahead: it goes to %v, %v; want %v", next, got.Sub(at), err, want)
		}
	}
}
