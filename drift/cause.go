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

// lateCause returns the event that explains a drift better than what it is put
// down to so far, a span or an event from before it: logs arrive later than
// snapshots. In the place of an event only one comes that names the setting.
func (t *turn) lateCause(s *state) (penumbra.Cause, bool) {
	seen, named := s.Cause.Time, false
	if !strings.HasPrefix(s.Cause.Key, spanKey) {
		if s.Cause.Actor == "" || s.Cause.After.IsZero() || s.Cause.Time.After(s.Cause.After) {
			return penumbra.Cause{}, false
		}
		seen, named = s.Changed, true
	}
	for _, f := range s.Findings {
		e := t.lastEvent(s.Cause.After, seen, f.Path)
		if e == nil || named && len(e.Paths) == 0 {
			continue
		}
		if cause := eventCause(e, s.Cause.After); cause.Key != s.Cause.Key {
			return cause, true
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

// effective is how long an act may take to show: a server re-reads its files in
// the background, and the event that tells of it has started a look by then.
const effective = 10 * time.Second

// lastEvent returns the latest event on a setting that happened between after
// and until, nil if there is none. An event of the same time as the snapshot
// before counts: that snapshot did not show it yet. So does one a little earlier
// that names the setting, if no later one does, and one of the same second in a
// log that has whole seconds.
func (t *turn) lastEvent(after, until time.Time, path string) *penumbra.Touch {
	var early *penumbra.Touch
	for i := range slices.Backward(t.resource.Recent) {
		e := &t.resource.Recent[i]
		if penumbra.IsRemark(e.Action) || e.Time.After(until) || !e.Touches(path) {
			continue
		}
		if !e.Time.Before(after) {
			return e
		}
		if early == nil && (len(e.Paths) > 0 && e.Time.After(after.Add(-effective)) || e.Time.Equal(after.Truncate(time.Second))) {
			early = e
		}
	}
	return early
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
