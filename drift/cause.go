package drift

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Keys of causes start with what they are. Equal keys on several resources are
// one cause: the same actor's same act, or the same span between reads.
const (
	eventKey    = "event "
	spanKey     = "span "
	forecastKey = "forecast "
)

// causeOf returns the cause of a finding that is new in this turn.
func (t *turn) causeOf(f *penumbra.Finding) penumbra.Cause {
	if f.Verdict == penumbra.Impending {
		return penumbra.Cause{Key: forecastKey + stamp(t.assessment.Time)}
	}
	return t.cause(f.Path)
}

// cause returns what a difference that the last snapshot showed for the first
// time is put down to: the latest event on its setting since the snapshot
// before, otherwise the span between the two.
func (t *turn) cause(path string) penumbra.Cause {
	after := t.lastWithout()
	if e := t.lastEvent(after, t.assessment.Time, path); e != nil {
		return eventCause(e, after)
	}
	seen := t.resource.SnapshotTime
	if seen.IsZero() {
		seen = t.assessment.Time
	}
	return penumbra.Cause{Key: spanKey + stamp(after) + "/" + stamp(seen), Time: seen, After: after}
}

// lateCause returns the event that explains a drift so far put down to a span:
// logs arrive later than snapshots.
func (t *turn) lateCause(s *state) (penumbra.Cause, bool) {
	if !strings.HasPrefix(s.Cause.Key, spanKey) {
		return penumbra.Cause{}, false
	}
	for _, f := range s.Findings {
		if e := t.lastEvent(s.Cause.After, s.Cause.Time, f.Path); e != nil {
			return eventCause(e, s.Cause.After), true
		}
	}
	return penumbra.Cause{}, false
}

// lastWithout returns when the resource was last seen without what the last
// snapshot shows, zero if that is not known.
func (t *turn) lastWithout() time.Time {
	r := t.resource
	if r.PriorSnapshot.IsZero() && r.Settled.Before(r.SnapshotTime) {
		return r.Settled
	}
	return r.PriorSnapshot
}

// lastEvent returns the latest event on a setting that happened between after
// and until, nil if there is none. An event of the same time as the snapshot
// before counts: that snapshot did not show it yet.
func (t *turn) lastEvent(after, until time.Time, path string) *penumbra.Touch {
	for i := range slices.Backward(t.resource.Recent) {
		e := &t.resource.Recent[i]
		if e.Action == penumbra.ActionAccept || e.Action == penumbra.ActionReject {
			continue // words about a drift, not causes of one
		}
		if !e.Time.Before(after) && !e.Time.After(until) && touches(e, path) {
			return e
		}
	}
	return nil
}

// touches reports whether an event is about the setting at path, "" for the
// whole resource. An event that lists nothing may be about anything.
func touches(e *penumbra.Touch, path string) bool {
	return path == "" || len(e.Paths) == 0 || slices.ContainsFunc(e.Paths, func(p string) bool {
		return p == path || strings.HasPrefix(path, p+".")
	})
}

func eventCause(e *penumbra.Touch, after time.Time) penumbra.Cause {
	return penumbra.Cause{
		Key:   eventKey + strings.Join([]string{stamp(e.Time), e.Source, e.Action, e.Actor}, " "),
		Actor: e.Actor, ActorKind: e.ActorKind, Action: e.Action, Source: e.Source,
		Time: e.Time, After: after,
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "?"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// identify returns a drift's identifier: the same for the same sight, in the
// daemon and in a batch worker. 48 bits keep a store of 100,000 drifts free of
// two with one name but for a chance of 2 in 100,000.
func identify(resource penumbra.Address, cause string, opened time.Time, path string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{string(resource), cause, stamp(opened), path}, "\x00")))
	return "d-" + hex.EncodeToString(sum[:6])
}
