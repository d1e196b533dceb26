package duration

import (
	"fmt"
	"math"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
)

const (
	checkpointMagic   = "penumbra duration\n"
	checkpointVersion = 1
)

// stored is a checkpoint's payload in CBOR (RFC 8949).
type stored struct {
	Resources map[penumbra.Address][]storedStay
	Classes   map[classKey]*storedClass
	Types     map[string]*table
	Estate    table
	Evidence  [len(strengths)]float64
}

type storedStay struct {
	_        struct{} `cbor:",toarray"`
	Class    classKey
	Path     string
	From, To penumbra.Value
	Since    int64
}

type storedClass struct {
	_      struct{} `cbor:",toarray"`
	Table  table
	Values []value
}

// MarshalBinary returns the whole state but the options. The same state gives
// the same bytes. Values that are sensitive are in it as the keyed hashes that
// the observations had.
func (m *Model) MarshalBinary() ([]byte, error) {
	s := stored{
		Resources: make(map[penumbra.Address][]storedStay, len(m.resources)), Classes: make(map[classKey]*storedClass, len(m.classes)),
		Types: m.types, Estate: m.estate, Evidence: m.evidence,
	}
	for address, stays := range m.resources {
		for i := range stays {
			x := &stays[i]
			s.Resources[address] = append(s.Resources[address], storedStay{Class: x.class.key, Path: x.path, From: x.from, To: x.to, Since: x.since})
		}
	}
	for key, k := range m.classes {
		s.Classes[key] = &storedClass{Table: k.table, Values: k.values}
	}
	payload, err := envelope.Encode(s)
	if err != nil {
		return nil, fmt.Errorf("write the model of durations: %w", err)
	}
	return envelope.Seal(checkpointMagic, checkpointVersion, payload), nil
}

// UnmarshalBinary replaces everything but the options by what MarshalBinary
// wrote: the model goes on as that one would have. It returns an error of kind
// Damaged, and leaves the model as it was, if the data is not a whole model of a
// version that it knows.
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
		What:   "read the model of durations",
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
	if err := s.restoreTables(&x); err != nil {
		return state{}, err
	}
	for address, stays := range x.Resources {
		if err := s.restoreStays(address, stays); err != nil {
			return state{}, err
		}
	}
	return s, nil
}

func (s *state) restoreTables(x *stored) error {
	tables := []*table{&x.Estate}
	for kind, t := range x.Types {
		if t == nil {
			return fmt.Errorf("type %q has no table", kind)
		}
		s.types[kind] = t
		tables = append(tables, t)
	}
	for key, c := range x.Classes {
		if c == nil || len(c.Values) > maxValues || s.types[key.Type] == nil {
			return fmt.Errorf("class %+v is empty, of no type, or has too many values", key)
		}
		k := s.class(key.Type, key.Path)
		k.table, k.values = c.Table, c.Values
		tables = append(tables, &k.table)
		for i := range k.values {
			v := &k.values[i]
			if v.Table == nil || len(v.Before) > maxBefore || k.value(v.Digest) != v {
				return fmt.Errorf("a value of class %+v is there twice or out of range", key)
			}
			tables = append(tables, v.Table)
		}
	}
	for _, t := range tables {
		for how := range t.Counts {
			for _, n := range t.Counts[how] {
				if !(n >= 0) || math.IsInf(float64(n), 0) {
					return fmt.Errorf("a count is %v", n)
				}
			}
		}
	}
	for _, e := range x.Evidence {
		if math.IsNaN(e) || math.IsInf(e, 0) {
			return fmt.Errorf("the evidence is %v", e)
		}
	}
	s.estate, s.evidence = x.Estate, x.Evidence
	return nil
}

func (s *state) restoreStays(address penumbra.Address, stays []storedStay) error {
	for i := range stays {
		x := &stays[i]
		k := s.classes[x.Class]
		if k == nil || x.To.IsNull() {
			return fmt.Errorf("resource %s is in a state of no value or no class %+v", address, x.Class)
		}
		s.resources[address] = append(s.resources[address], stay{
			class: k, path: x.Path, from: x.From, to: x.To, value: digest(x.To), since: x.Since,
		})
		s.open++
	}
	return nil
}
