package departure

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
	"github.com/penumbra-iac/penumbra/shadow/logistic"
)

const (
	checkpointMagic   = "penumbra depart\n"
	checkpointVersion = 1
)

// stored is all that a checkpoint holds, see format.md.
type stored struct {
	_       struct{} `cbor:",toarray"`
	Day     int64
	Who     [][]byte // a regression for each horizon
	Ways    ways
	Classes []storedClass
	Cohorts []storedCohort
}

type storedClass struct {
	_          struct{} `cbor:",toarray"`
	Kind, Path string
	Values     []storedValue
	Families   []storedFamily
	Last       []storedLast
	Roster     []uint32
	Scanned    uint32
	Members    float64
	Shift      [horizons]float64
	Questions  uint64
	Kept       []storedExample
	Cases      []storedExample
}

type storedValue struct {
	_       struct{} `cbor:",toarray"`
	Value   penumbra.Value
	First   int64
	Holders float64
	To      []arrival
}

type storedFamily struct {
	_     struct{} `cbor:",toarray"`
	Name  string
	Count decayed
}

type storedLast struct {
	_     struct{} `cbor:",toarray"`
	Line  string
	Value penumbra.Value
}

type storedExample struct {
	_            struct{} `cbor:",toarray"`
	At           int64
	Interval     int8
	Offset, Calm [horizons]float32
	Features     [numFeatures]float32
}

type storedCohort struct {
	_         struct{} `cbor:",toarray"`
	Class     int
	At        int64
	Stage     int
	Resources []uint32
	Paths     []string
	Examples  []storedExample
}

// MarshalBinary returns the whole state but the counts and the options, in an
// envelope of its own. The same state gives the same bytes.
func (m *Model) MarshalBinary() ([]byte, error) {
	s := stored{Day: m.day, Ways: m.ways}
	for _, r := range m.who {
		data, err := r.MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("write departures: %w", err)
		}
		s.Who = append(s.Who, data)
	}
	number := map[*class]int{}
	for i, c := range m.classes {
		number[c] = i
		s.Classes = append(s.Classes, c.store())
	}
	for i := range m.cohorts {
		c := &m.cohorts[i]
		x := storedCohort{Class: number[c.class], At: c.at, Stage: c.stage, Examples: storeExamples(c.examples)}
		for _, k := range c.keys {
			x.Resources, x.Paths = append(x.Resources, k.resource), append(x.Paths, k.path)
		}
		s.Cohorts = append(s.Cohorts, x)
	}
	payload, err := cbor.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write departures: %w", err)
	}
	return envelope.Seal(checkpointMagic, checkpointVersion, payload), nil
}

func (c *class) store() storedClass {
	out := storedClass{
		Kind: c.kind, Path: c.path, Roster: c.roster, Scanned: c.scanned, Members: c.members, Shift: c.shift,
		Questions: c.questions, Kept: storeExamples(c.kept), Cases: storeExamples(c.cases),
	}
	for i := range out.Kept {
		out.Kept[i].Interval = int8(horizons) // what became of them is nothing to the class
	}
	for _, x := range c.values {
		out.Values = append(out.Values, storedValue{Value: x.value, First: x.first, Holders: x.holders, To: x.to})
	}
	for _, name := range slices.Sorted(maps.Keys(c.families)) {
		out.Families = append(out.Families, storedFamily{Name: name, Count: *c.families[name]})
	}
	for _, line := range slices.Sorted(maps.Keys(c.last)) {
		out.Last = append(out.Last, storedLast{Line: line, Value: c.last[line]})
	}
	return out
}

func storeExamples(examples []*example) []storedExample {
	var out []storedExample
	for _, x := range examples {
		out = append(out, storedExample{At: x.at, Interval: x.interval, Offset: x.offset, Calm: x.calm, Features: x.features})
	}
	return out
}

// UnmarshalBinary replaces the state by one that MarshalBinary wrote; the counts
// have to be those of the same moment. It returns an error of kind Damaged, and
// leaves the state as it was, if the data is not a whole checkpoint of a version
// that this program knows.
func (m *Model) UnmarshalBinary(data []byte) error {
	fresh := New(m.counts, m.options)
	payload, err := envelope.Open(checkpointMagic, checkpointVersion, data)
	var s stored
	if err == nil {
		err = cbor.Unmarshal(payload, &s)
	}
	if err == nil {
		err = fresh.restore(&s)
	}
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Damaged, What: "read what was learnt of departures", Remedy: "remove it: it is learnt again from the timeline", Err: err}
	}
	*m = *fresh
	return nil
}

func (m *Model) restore(s *stored) error {
	if len(s.Who) != horizons {
		return fmt.Errorf("it has %d horizons, this program %d", len(s.Who), horizons)
	}
	for k, data := range s.Who {
		m.who[k] = logistic.New(numFeatures, deviation)
		if err := m.who[k].UnmarshalBinary(data); err != nil {
			return err
		}
	}
	var sum float64
	for _, w := range s.Ways.Weight {
		if !(w >= 0) {
			return fmt.Errorf("a weight is %v", w)
		}
		sum += w
	}
	if math.Abs(sum-1) > 1e-6 {
		return fmt.Errorf("the weights sum to %v", sum)
	}
	if s.Day < 0 || s.Day > math.MaxInt32 {
		return fmt.Errorf("its day is %d", s.Day)
	}
	m.day, m.ways = s.Day, s.Ways
	if len(s.Classes) > mostClasses {
		return fmt.Errorf("it has %d classes", len(s.Classes))
	}
	for i := range s.Classes {
		c, err := s.Classes[i].restore()
		if err != nil {
			return err
		}
		m.classes = append(m.classes, c)
		m.byKey[classKey{c.kind, c.path}] = c
	}
	if len(m.byKey) != len(m.classes) {
		return fmt.Errorf("a class is there twice")
	}
	for i := range s.Cohorts {
		if err := m.restoreCohort(&s.Cohorts[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *storedClass) restore() (*class, error) {
	c := newClass(s.Kind, s.Path)
	c.roster, c.scanned, c.members, c.shift, c.questions = s.Roster, s.Scanned, s.Members, s.Shift, s.Questions
	if !finite(append(c.shift[:], c.members)...) || len(s.Values) > mostValues || len(s.Kept) > mostKept {
		return nil, fmt.Errorf("class %s of %s is not as it can be", s.Path, s.Kind)
	}
	for _, x := range s.Values {
		if c.byValue[x.Value] != nil || !finite(x.Holders) || len(x.To) > mostTargets {
			return nil, fmt.Errorf("value %s of %s is not as it can be", x.Value, s.Path)
		}
		v := &held{value: x.Value, version: versionOf(x.Value), first: x.First, holders: x.Holders, to: x.To}
		for _, a := range v.to {
			if !finite(a.Count.Sum) {
				return nil, fmt.Errorf("a count of %s is %v", s.Path, a.Count.Sum)
			}
		}
		c.byValue[x.Value] = v
		c.values = append(c.values, v)
	}
	for _, f := range s.Families {
		if !finite(f.Count.Sum) {
			return nil, fmt.Errorf("a count of %s is %v", s.Path, f.Count.Sum)
		}
		count := f.Count
		c.families[f.Name] = &count
	}
	for _, l := range s.Last {
		c.last[l.Line] = l.Value
	}
	var err error
	if c.kept, err = restoreExamples(s.Kept); err == nil {
		c.cases, err = restoreExamples(s.Cases)
	}
	c.compare()
	return c, err
}

func (m *Model) restoreCohort(s *storedCohort) error {
	if s.Class < 0 || s.Class >= len(m.classes) || s.Stage < 0 || s.Stage > horizons || len(s.Resources) != len(s.Examples) || len(s.Paths) != len(s.Examples) {
		return fmt.Errorf("the questions of a day are not as they can be")
	}
	c := cohort{class: m.classes[s.Class], at: s.At, stage: s.Stage}
	var err error
	if c.examples, err = restoreExamples(s.Examples); err != nil {
		return err
	}
	for i, x := range c.examples {
		key := settingKey{s.Resources[i], s.Paths[i]}
		c.keys = append(c.keys, key)
		if x.interval == int8(horizons) {
			m.asked[key] = append(m.asked[key], x)
		}
	}
	c.class.controls = c.examples // the last cohort of a class is that of its last day
	m.cohorts = append(m.cohorts, c)
	return nil
}

func restoreExamples(stored []storedExample) ([]*example, error) {
	var out []*example
	for _, x := range stored {
		if x.Interval < 0 || int(x.Interval) > horizons {
			return nil, fmt.Errorf("a question has the interval %d", x.Interval)
		}
		for _, list := range [][]float32{x.Offset[:], x.Calm[:], x.Features[:]} {
			for _, f := range list {
				if !finite(float64(f)) {
					return nil, fmt.Errorf("a feature is %v", f)
				}
			}
		}
		out = append(out, &example{at: x.At, interval: x.Interval, offset: x.Offset, calm: x.Calm, features: x.Features})
	}
	return out, nil
}

func finite(numbers ...float64) bool {
	for _, x := range numbers {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}
