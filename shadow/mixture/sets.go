package mixture

import (
	"fmt"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/daily"
	"github.com/penumbra-iac/penumbra/internal/envelope"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/choice"
)

// The prediction sets are calibrated by what came of them: each day the model
// says what some settings will be at the last horizon, and looks when it is over.

// saysADay bounds how many settings that is a day.
const saysADay = 40

// mostWaiting bounds how many wait: those of the last horizon's days and of the
// day that resolves them.
const mostWaiting = saysADay * 32

// waiting is what was said of one setting.
type waiting struct {
	due      int64 // Unix seconds
	resource penumbra.Address
	path     string
	said     choice.Said
}

// sets draws one day's settings, each that is looked at as likely as another
// (Vitter, "Random sampling with a reservoir", ACM TOMS 11 (1985), 37-57).
type sets struct {
	m       *Model
	d       daily.Dice
	offered int
	drawn   []drawn
}

type drawn struct {
	resource   penumbra.Address
	kind, path string
	moved      float64 // probability of a change within the last horizon
}

// openSets learns from what is over at the time, and begins to draw.
func (m *Model) openSets(at time.Time) *sets {
	var batch []choice.Resolved
	n := 0
	for ; n < len(m.waiting) && m.waiting[n].due <= at.Unix(); n++ {
		w := &m.waiting[n]
		// What is away by now, declared or no more teaches nothing.
		if v, ok := m.counts.Undeclared(w.resource, w.path); ok {
			batch = append(batch, choice.Resolved{Said: w.said, Came: v})
		}
	}
	m.waiting = m.waiting[n:]
	m.values.Resolve(batch)
	return &sets{m: m, d: daily.Dice{Seed: ^m.options.Seed, Day: uint64(m.day)}} // others than those of the survey
}

// offer offers a setting that the survey looks at.
func (s *sets) offer(l *shadow.Look, a *answer) {
	if _, ok := s.m.counts.Undeclared(l.Resource, l.Path); !ok || !l.Changes {
		return
	}
	s.offered++
	i := len(s.drawn)
	if i < saysADay {
		s.drawn = append(s.drawn, drawn{})
	} else if i = int(s.d.Roll() * float64(s.offered)); i >= saysADay {
		return
	}
	s.drawn[i] = drawn{l.Resource, l.Type, l.Path, probability(a.pool[last])}
}

// say says what those that were drawn will be.
func (s *sets) say(at time.Time) {
	due := at.Add(penumbra.Horizons[last])
	for i := range s.drawn {
		x := &s.drawn[i]
		if said, ok := s.m.values.Say(&penumbra.Resource{Address: x.resource, Type: x.kind}, x.path, due, x.moved); ok {
			s.m.waiting = append(s.m.waiting, waiting{due.Unix(), x.resource, x.path, said})
		}
	}
}

// setsPart is what was said and is not known yet, and when the last observation
// was.
type setsPart struct{ m *Model }

type setsForm struct {
	_       struct{} `cbor:",toarray"`
	Now     int64    // Unix seconds, 0 before the first observation
	Nano    int64
	Waiting []waitingForm
}

type waitingForm struct {
	_        struct{} `cbor:",toarray"`
	Due      int64
	Resource penumbra.Address
	Path     string
	Said     choice.Said
}

func (p setsPart) MarshalBinary() ([]byte, error) {
	var f setsForm
	if !p.m.now.IsZero() {
		f.Now, f.Nano = p.m.now.Unix(), int64(p.m.now.Nanosecond())
	}
	for _, w := range p.m.waiting {
		f.Waiting = append(f.Waiting, waitingForm{Due: w.due, Resource: w.resource, Path: w.path, Said: w.said})
	}
	return envelope.Encode(f)
}

func (p setsPart) UnmarshalBinary(data []byte) error {
	var f setsForm
	if err := decMode.Unmarshal(data, &f); err != nil {
		return err
	}
	if len(f.Waiting) > mostWaiting || f.Nano < 0 || f.Nano >= int64(time.Second) {
		return fmt.Errorf("%d wait at %d and %d ns", len(f.Waiting), f.Now, f.Nano)
	}
	if f.Now != 0 || f.Nano != 0 {
		p.m.now = time.Unix(f.Now, f.Nano).UTC()
	}
	for i, w := range f.Waiting {
		if i > 0 && w.Due < f.Waiting[i-1].Due {
			return fmt.Errorf("what waits is not in order")
		}
		p.m.waiting = append(p.m.waiting, waiting{w.Due, w.Resource, w.Path, w.Said})
	}
	return nil
}
