package shadow

import (
	"math"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// resource is what the model keeps of one resource.
type resource struct {
	number   uint32
	address  penumbra.Address
	kind     string
	settings []setting // sorted by path
	last     int64     // Unix seconds of the last observation in order
	snapshot int64     // of the last snapshot that was read, 0 if none
	full     bool      // a full snapshot was seen: what is absent is absent
	code     bool      // known from changes of the code only
	template bool      // a template was seen
	settling bool      // code moved or was applied since the last snapshot
	settled  int64     // until when an apply that was seen still has consequences
	burst    float64   // own changes, decayed with the wave's half-life
	burstAt  int64
	own      activity // all its changes
	born     int64
	family   uint32 // of the address without the environment's name
	folder   *group
	touches  []touch // by others than git, oldest first
}

// settleTime is how long after a snapshot that shows an apply, in seconds, what
// the code does not declare may still move because of it: providers fill in and
// rewrite in their own time. It is a judgement, not a fit.
const settleTime = 30 * 60

// touch is what is remembered of an event to attribute an excursion to.
type touch struct {
	time  int64
	actor penumbra.ActorKind
	name  uint32   // number of the actor's name
	paths []string // none: the log does not say
}

// setting is what the model keeps of one setting. One that never changes has
// no history, so that it stays small.
type setting struct {
	class    *class
	history  *history
	path     string
	template penumbra.Value // null: undeclared
	actual   penumbra.Value
	since    second // of the first sight
	seen     second // of the last snapshot, or change of the code, that had it; 0 if none
	mark     uint32 // of the class's turns at its last change, or its first sight
	pending  bool   // the template moved and the actual value has not followed
}

// declared reports whether the template asks for one definite value.
func (s *setting) declared() bool {
	return !s.template.IsNull() && s.template.Kind() != penumbra.UnknownKind
}

// second is a time in Unix seconds that takes half the room, until 2106; 0 is
// none.
type second uint32

func secondOf(t int64) second { return second(max(0, min(math.MaxUint32, t))) }

func (s second) unix() int64 { return int64(s) }

// history is what is kept of a setting that has changed. Sums are decayed, as
// of the time at.
type history struct {
	at       int64
	changes  float64
	leaves   float64
	surge    float64
	flight   float64
	changed  int64            // Unix seconds of the last change, 0 if none
	earlier  []penumbra.Value // normal values before the present one, latest first
	accepted []penumbra.Value // by a person
	left     []int64          // the last departures, oldest first
	recent   activity
	actor    penumbra.ActorKind // of the last change
	moves    []moving           // the last changes and departures, oldest first
	open     *excursion
	habit    *habit
	clock    *clock // departures by time of day
}

// excursion is a stay away from the template, or from what was expected.
type excursion struct {
	from   penumbra.Value // the value it left
	value  penumbra.Value // the present one
	visits []visit        // the values it has had
	start  int64          // the event that began it if there was one, else the first snapshot with it
	after  int64          // the last snapshot without it, 0 if there was none
	found  int64          // the first snapshot with it
}

// visit is the span in which an excursion had one value.
type visit struct {
	value penumbra.Value
	start int64
}

const (
	maxEarlier  = 6
	maxAccepted = 8
	maxLeft     = 16
	maxVisits   = 64
	maxTouches  = 16
	maxMoves    = 4
)

// past returns the setting's history, made if there is none.
func (s *setting) past() *history {
	if s.history == nil {
		s.history = &history{}
	}
	return s.history
}

// away returns the open excursion, nil if there is none.
func (s *setting) away() *excursion {
	if s.history == nil {
		return nil
	}
	return s.history.open
}

func (h *history) advance(t int64) {
	if t <= h.at {
		return
	}
	if h.at != 0 {
		d := days(t - h.at)
		own, wave := decay(d, ownLife), decay(d, waveLife)
		h.changes *= own
		h.leaves *= own
		h.surge *= wave
		h.flight *= wave
	}
	h.at = t
}

// sums returns the history's sums as of t and leaves the history as it is.
func (s *setting) sums(t int64) history {
	if s.history == nil {
		return history{}
	}
	h := *s.history
	h.advance(t)
	return h
}

func (h *history) accept(v penumbra.Value) {
	if slices.Contains(h.accepted, v) {
		return
	}
	if len(h.accepted) == maxAccepted {
		h.accepted = slices.Delete(h.accepted, 0, 1)
	}
	h.accepted = append(h.accepted, v)
}

// retire keeps v as an earlier value.
func (h *history) retire(v penumbra.Value) {
	if i := slices.Index(h.earlier, v); i >= 0 {
		h.earlier = slices.Delete(h.earlier, i, i+1)
	}
	if len(h.earlier) == maxEarlier {
		h.earlier = h.earlier[:maxEarlier-1]
	}
	h.earlier = slices.Insert(h.earlier, 0, v)
}

func byPath(s setting, path string) int { return strings.Compare(s.path, path) }

// find returns the setting at path, nil if there is none.
func (r *resource) find(path string) *setting {
	if r == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(r.settings, path, byPath)
	if !found {
		return nil
	}
	return &r.settings[i]
}

// insert puts settings in their place by path; none of them may be there yet.
func (r *resource) insert(added []setting) {
	if len(added) == 0 {
		return
	}
	merged := make([]setting, 0, len(r.settings)+len(added))
	i := 0
	for _, s := range added {
		for i < len(r.settings) && r.settings[i].path < s.path {
			merged = append(merged, r.settings[i])
			i++
		}
		merged = append(merged, s)
	}
	r.settings = append(merged, r.settings[i:]...)
}

// touched says who touched the setting in [after, until]: Automation if an
// event by automation did and none by anybody else, else the other's kind.
// What names the path counts before what names none.
func (r *resource) touched(path string, after, until int64) (actor penumbra.ActorKind, when int64) {
	x := r.toucher(path, after, until)
	return x.actor, x.time
}

// toucher returns the touch that touched goes by, the zero one if there is none.
func (r *resource) toucher(path string, after, until int64) touch {
	var named, unnamed touch
	for _, x := range r.touches {
		if x.time < after || x.time > until {
			continue
		}
		switch {
		case len(x.paths) == 0:
			unnamed = blame(unnamed, x)
		case slices.Contains(x.paths, path):
			named = blame(named, x)
		}
	}
	if named.time != 0 {
		return named
	}
	return unnamed
}

// blame keeps the later of two touches, but never lets automation cover up
// for anybody else.
func blame(a, b touch) touch {
	if a.time != 0 && a.actor != penumbra.Automation {
		return a
	}
	return b
}
