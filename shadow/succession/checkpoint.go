package succession

import (
	"fmt"
	"math"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
)

const (
	checkpointMagic   = "penumbra succession\n"
	checkpointVersion = 1
)

// stored is a checkpoint's payload in CBOR (RFC 8949).
type stored struct {
	Resources map[penumbra.Address]*memory
	Families  map[uint32]*memory
	Folders   map[uint32]*memory
	Classes   []storedClass
	Paths     map[string]*tally
	Names     map[string]*tally
	Weights   choice
}

type storedClass struct {
	_      struct{} `cbor:",toarray"`
	Key    classKey
	Tally  tally
	After  memory
	Values []valueTally
	From   uint32
	To     uint32
	Moved  int64
}

// MarshalBinary returns the whole state but the options. The same state gives
// the same bytes. A commit that is being told ends with it.
func (m *Model) MarshalBinary() ([]byte, error) {
	m.settle()
	s := stored{
		Resources: m.resources, Families: m.families, Folders: m.folders,
		Classes: make([]storedClass, len(m.classes)), Paths: m.paths, Names: m.names, Weights: m.weights,
	}
	for i, c := range m.classes {
		s.Classes[i] = storedClass{Key: c.key, Tally: c.tally, After: c.after, Values: c.values, From: c.from, To: c.to, Moved: c.moved}
	}
	payload, err := envelope.Encode(s)
	if err != nil {
		return nil, fmt.Errorf("write the model of what changes next: %w", err)
	}
	return envelope.Seal(checkpointMagic, checkpointVersion, payload), nil
}

// UnmarshalBinary replaces everything but the options by what MarshalBinary
// wrote. It returns an error of kind Damaged, and leaves the model as it was, if
// the data is not a whole model of a version that it knows.
func (m *Model) UnmarshalBinary(data []byte) error {
	payload, err := envelope.Open(checkpointMagic, checkpointVersion, data)
	if err == nil {
		var fresh state
		if fresh, err = decode(payload); err == nil {
			*m = Model{options: m.options, state: fresh}
			return nil
		}
	}
	return &penumbra.Error{
		Kind:   penumbra.Damaged,
		What:   "read the model of what changes next",
		Remedy: "remove it: the model is built again from the timeline",
		Err:    err,
	}
}

func decode(payload []byte) (state, error) {
	var x stored
	if err := envelope.Decode(payload, &x); err != nil {
		return state{}, err
	}
	s := newState()
	if err := s.restoreTallies(&x); err != nil {
		return state{}, err
	}
	if err := s.restoreClasses(x.Classes); err != nil {
		return state{}, err
	}
	if err := s.restoreMemories(&x); err != nil {
		return state{}, err
	}
	for j := range x.Weights.Weights {
		for k, w := range x.Weights.Weights[j] {
			if !finite(w) || !(x.Weights.Squares[j][k] >= 0) || !finite(x.Weights.Squares[j][k]) {
				return state{}, fmt.Errorf("a weight is %v", w)
			}
		}
	}
	s.weights = x.Weights
	return s, nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// isCount reports whether a sum of changes can be that.
func isCount(x float32) bool { return x >= 0 && !math.IsInf(float64(x), 0) }

func (s *state) restoreTallies(x *stored) error {
	for _, all := range []map[string]*tally{x.Paths, x.Names} {
		for name, t := range all {
			if t == nil || !t.valid() {
				return fmt.Errorf("the counts of %q are out of range", name)
			}
		}
	}
	if x.Paths != nil {
		s.paths = x.Paths
	}
	if x.Names != nil {
		s.names = x.Names
	}
	return nil
}

func (t *tally) valid() bool {
	for i := range lives {
		if !isCount(t.Changed[i]) || !isCount(t.Asked[i]) {
			return false
		}
	}
	return true
}

func (s *state) restoreClasses(classes []storedClass) error {
	for i := range classes {
		x := &classes[i]
		c := s.class(x.Key.Type, x.Key.Path)
		if int(c.number) != i {
			return fmt.Errorf("class %+v is there twice", x.Key)
		}
		if !x.Tally.valid() || len(x.Values) > maxValues {
			return fmt.Errorf("the counts of class %+v are out of range", x.Key)
		}
		for j := range x.Values {
			if !isCount(x.Values[j].Changed) || !isCount(x.Values[j].Asked) {
				return fmt.Errorf("a value's count of class %+v is out of range", x.Key)
			}
		}
		c.tally, c.after, c.values = x.Tally, x.After, x.Values
		c.from, c.to, c.moved = x.From, x.To, x.Moved
	}
	for _, c := range s.classes {
		if err := c.after.check(len(s.classes)); err != nil {
			return fmt.Errorf("class %+v: %w", c.key, err)
		}
	}
	return nil
}

func (s *state) restoreMemories(x *stored) error {
	for address, r := range x.Resources {
		if err := r.check(len(s.classes)); err != nil {
			return fmt.Errorf("resource %s: %w", address, err)
		}
		s.resources[address] = r
	}
	for _, all := range [...]struct{ from, to map[uint32]*memory }{{x.Families, s.families}, {x.Folders, s.folders}} {
		for key, r := range all.from {
			if err := r.check(len(s.classes)); err != nil {
				return fmt.Errorf("family or folder %x: %w", key, err)
			}
			all.to[key] = r
		}
	}
	return nil
}

func (m *memory) check(classes int) error {
	if m == nil || len(m.Entries) > maxEntries {
		return fmt.Errorf("it remembers nothing or too much")
	}
	for i, e := range m.Entries {
		if int64(e.Class) >= int64(classes) || int64(e.Then) > int64(classes) || m.find(e.Class) != &m.Entries[i] {
			return fmt.Errorf("it names class %d and %d of %d, or one twice", e.Class, e.Then, classes)
		}
		if !isCount(e.Long) || !isCount(e.Short) {
			return fmt.Errorf("a count is out of range")
		}
	}
	return nil
}
