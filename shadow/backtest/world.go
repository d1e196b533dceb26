package backtest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// world is what is really there, as the replay has it so far.
type world struct {
	options *Options
	known   map[penumbra.Address]*resource
	order   []*resource // as they came, ended ones among them until the next sweep
	ended   int
	live    int // scored settings

	classes map[classKey]int32
	class   []int32 // of each setting that ever was, by its number
	changes []change
	commits []int64 // Unix seconds of each
	away    float64 // changes of all settings so far
	days    float64 // settings times days so far
	all     int     // settings now
	at      int64
}

// classKey is a type and a path with list indices masked.
type classKey struct{ kind, path string }

// change is a setting's leaving.
type change struct{ setting, commit int32 }

// resource is one thing that is there.
type resource struct {
	noun     penumbra.Resource
	template penumbra.Settings // what the code declares
	settings []setting         // sorted by path, those of noun.Actual
	observed bool              // a snapshot was taken; until then the code is taken for what is there
	scored   bool
	held     bool
	over     bool
}

// setting is one that has a value.
type setting struct {
	path    string
	value   penumbra.Value
	earlier penumbra.Value // before the last change
	number  int32
	class   int32
	born    int64
	last    int64 // change, or birth
	changes float64
	decayed float64 // with a half-life of 90 days, as of last
	sets    *pendingSets
}

func newWorld(o *Options) *world {
	return &world{options: o, known: map[penumbra.Address]*resource{}, classes: map[classKey]int32{}}
}

// move is what an observation does to one setting: from is null if it appears,
// to if it ends.
type move struct {
	path     string
	from, to penumbra.Value
	// left marks a move that the forecast is about.
	left bool
}

// moves returns what the observation does to the settings of r, which may be
// nil, sorted by path; over reports that the resource ends.
func (w *world) moves(r *resource, o *penumbra.Observation) (moves []move, over bool) {
	code := o.IsCodeChange()
	if o.Kind == penumbra.EventKind && o.Action == penumbra.ActionDelete {
		return nil, true
	}
	observed := r != nil && r.observed
	full := false
	switch {
	case code && !observed && (o.Action == "create" || o.Action == "update"):
		full = o.Action == "create"
	case o.Kind == penumbra.TemplateKind && !observed:
		full = true
	case o.Kind == penumbra.SnapshotKind && o.NotChecked == "":
		full = o.Full
		if !observed { // what was taken for the world was only the code
			return r.settle(o), false
		}
	default:
		return nil, false
	}
	var known []setting
	var template penumbra.Settings
	if r != nil {
		known, template = r.settings, r.noun.Template
	}
	step(known, o.Settings, func(s *setting, x *penumbra.Setting) {
		switch {
		case s == nil:
			if !x.Value.IsNull() {
				moves = append(moves, move{path: x.Path, to: x.Value})
			}
		case x == nil:
			if full {
				moves = append(moves, move{path: s.path, from: s.value})
			}
		case x.Value.IsNull():
			moves = append(moves, move{path: s.path, from: s.value})
		case x.Value != s.value:
			t, declared := declares(template, s.path)
			moves = append(moves, move{path: s.path, from: s.value, to: x.Value, left: !declared || !t.Agrees(x.Value)})
		}
	})
	return moves, false
}

// settle returns the moves that take a resource from its code to what the
// first look at it found. Nothing of it is a change.
func (r *resource) settle(o *penumbra.Observation) (moves []move) {
	var known []setting
	if r != nil {
		known = r.settings
	}
	step(known, o.Settings, func(s *setting, x *penumbra.Setting) {
		switch {
		case x == nil:
			moves = append(moves, move{path: s.path, from: s.value})
		case s == nil:
			if !x.Value.IsNull() {
				moves = append(moves, move{path: x.Path, to: x.Value})
			}
		case s.value != x.Value:
			moves = append(moves, move{path: s.path, from: s.value, to: x.Value})
		}
	})
	return moves
}

// step walks two lists sorted by path together; one of the arguments is nil
// where only the other list has the path.
func step(known []setting, found penumbra.Settings, f func(s *setting, x *penumbra.Setting)) {
	i, j := 0, 0
	for i < len(known) || j < len(found) {
		switch {
		case j == len(found) || i < len(known) && known[i].path < found[j].Path:
			f(&known[i], nil)
			i++
		case i == len(known) || known[i].path > found[j].Path:
			f(nil, &found[j])
			j++
		default:
			f(&known[i], &found[j])
			i++
			j++
		}
	}
}

// declares returns the value that the template gives, if it gives one.
func declares(template penumbra.Settings, path string) (penumbra.Value, bool) {
	x, ok := template.Find(path)
	return x.Value, ok && !x.Value.IsNull() && x.Value.Kind() != penumbra.UnknownKind
}

// asked reports whether is asked about the setting: it is not off its template.
func (r *resource) asked(s *setting) bool {
	t, declared := declares(r.noun.Template, s.path)
	return !declared || t.Agrees(s.value)
}

func (r *resource) find(path string) *setting {
	i, ok := slices.BinarySearchFunc(r.settings, path, func(s setting, p string) int { return cmp.Compare(s.path, p) })
	if !ok {
		return nil
	}
	return &r.settings[i]
}

// fold takes an observation of the commit in.
func (w *world) fold(o *penumbra.Observation, commit int32) {
	w.advance(o.Time.Unix())
	r := w.known[o.Resource]
	moves, over := w.moves(r, o)
	if over {
		w.end(r)
		return
	}
	if o.Kind == penumbra.EventKind && len(moves) == 0 && r == nil || o.Kind == penumbra.MetricKind {
		return
	}
	if r == nil {
		r = &resource{
			noun:   penumbra.Resource{Address: o.Resource, Type: o.Type},
			scored: w.options.scored(o.Resource), held: w.options.held(o.Resource),
		}
		w.known[o.Resource] = r
		w.order = append(w.order, r)
	}
	switch {
	case o.Kind == penumbra.TemplateKind:
		r.template = o.Settings
		r.noun.TemplateTime = o.Time
		if r.observed {
			r.noun.Template = r.template
			return
		}
	case o.Kind == penumbra.SnapshotKind && o.NotChecked == "":
		r.observed = true
		r.noun.Template = r.template
		r.noun.PriorSnapshot, r.noun.SnapshotTime = r.noun.SnapshotTime, o.Time
	}
	if len(moves) > 0 {
		w.apply(r, moves, o.Time.Unix(), commit)
	}
}

// advance counts the days that settings live.
func (w *world) advance(t int64) {
	if w.at != 0 && t > w.at {
		w.days += float64(w.all) * float64(t-w.at) / 86400
	}
	w.at = max(w.at, t)
}

func (w *world) end(r *resource) {
	if r == nil {
		return
	}
	r.over = true
	delete(w.known, r.noun.Address)
	w.count(r, -len(r.settings))
	if w.ended++; w.ended > 64 && w.ended > len(w.order)/2 {
		w.order = slices.DeleteFunc(w.order, func(r *resource) bool { return r.over })
		w.ended = 0
	}
}

func (w *world) count(r *resource, n int) {
	w.all += n
	if r.scored {
		w.live += n
	}
}

func (w *world) apply(r *resource, moves []move, t int64, commit int32) {
	before := len(r.settings)
	patch := make(penumbra.Settings, 0, len(moves))
	var added []setting
	removed := false
	for _, m := range moves {
		patch = append(patch, penumbra.Setting{Path: m.path, Value: m.to})
		switch s := r.find(m.path); {
		case s == nil:
			added = append(added, w.newSetting(r, m, t))
		case m.to.IsNull():
			s.number, removed = -1, true
		case m.left:
			w.changes = append(w.changes, change{s.number, commit})
			w.away++
			s.decayed = s.decayed*halved(t-s.last) + 1
			s.changes++
			s.earlier, s.value, s.last = s.value, m.to, t
		default:
			s.value = m.to
		}
	}
	if removed {
		r.settings = slices.DeleteFunc(r.settings, func(s setting) bool { return s.number < 0 })
	}
	if len(added) > 0 {
		r.settings = append(r.settings, added...)
		slices.SortFunc(r.settings, func(a, b setting) int { return cmp.Compare(a.path, b.path) })
	}
	r.noun.Actual = r.noun.Actual.Merge(patch)
	w.count(r, len(r.settings)-before)
}

func (w *world) newSetting(r *resource, m move, t int64) setting {
	key := classKey{r.noun.Type, shadow.Mask(m.path)}
	class, ok := w.classes[key]
	if !ok {
		class = int32(len(w.classes))
		w.classes[key] = class
	}
	w.class = append(w.class, class)
	return setting{path: m.path, value: m.to, number: int32(len(w.class) - 1), class: class, born: t, last: t}
}

// rate returns how many changes of a setting there were in a day.
func (w *world) rate() float64 { return (w.away + 0.5) / (w.days + 1) }

func halved(seconds int64) float64 { return math.Exp2(-float64(seconds) / 86400 / 90) }

// quarter numbers the quarters of years.
func quarter(t time.Time) int { return t.UTC().Year()*4 + int(t.UTC().Month()-1)/3 }

func quarterName(q int) string { return fmt.Sprintf("%d-Q%d", q/4, q%4+1) }
