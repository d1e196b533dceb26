package mixture

import (
	"errors"
	"fmt"

	"github.com/penumbra-iac/penumbra/internal/envelope"
	"github.com/penumbra-iac/penumbra/shadow/rnn"
)

// questionsPart is what the model has asked itself and does not know yet.
type questionsPart struct{ m *Model }

type questionsForm struct {
	_       struct{} `cbor:",toarray"`
	Day     int64
	Cohorts []cohortForm
}

type cohortForm struct {
	_        struct{} `cbor:",toarray"`
	At       int64
	Stage    int
	Examples []exampleForm
}

type exampleForm struct {
	_        struct{} `cbor:",toarray"`
	Resource uint32
	Path     string
	Open     bool // a change would answer it
	Kind     string
	Weight   float32
	Interval int8
	Features []byte // floats, little-endian, as all below
	Recent   []byte
	Survival float32
	Offset   []byte
	Said     map[string]float32
	Pooled   float32
	Contrast []byte
	Base     []byte
	Word     []byte
	Tape     []byte // nil if there is none
}

func (p questionsPart) MarshalBinary() ([]byte, error) {
	open := map[*example]bool{}
	for _, x := range p.m.asked {
		for ; x != nil; x = x.earlier {
			open[x] = true
		}
	}
	out := questionsForm{Day: p.m.day}
	for i := range p.m.cohorts {
		c := &p.m.cohorts[i]
		f := cohortForm{At: c.at, Stage: c.stage, Examples: make([]exampleForm, len(c.examples))}
		for k, x := range c.examples {
			var err error
			if f.Examples[k], err = x.form(open[x]); err != nil {
				return nil, err
			}
		}
		out.Cohorts = append(out.Cohorts, f)
	}
	return envelope.Encode(out)
}

func (x *example) form(open bool) (exampleForm, error) {
	f := exampleForm{
		Resource: x.key.resource, Path: x.key.path, Open: open, Kind: x.kind, Weight: x.weight, Interval: x.interval,
		Features: packed(x.features[:]), Recent: packed(x.recent[:]), Survival: x.survival, Offset: packed(x.offset[:]),
		Said: map[string]float32{}, Pooled: x.pooled, Contrast: packed(x.contrast[:]), Base: packed(x.base[:]), Word: packed(x.word[:]),
	}
	for i, z := range x.said {
		f.Said[Experts[i]] = z
	}
	if x.tape == nil {
		return f, nil
	}
	var err error
	f.Tape, err = x.tape.MarshalBinary()
	return f, err
}

func (p questionsPart) UnmarshalBinary(data []byte) error {
	var f questionsForm
	if err := decMode.Unmarshal(data, &f); err != nil {
		return err
	}
	m := p.m
	m.day = f.Day
	for i := range f.Cohorts {
		from := &f.Cohorts[i]
		c := cohort{at: from.At, stage: from.Stage, examples: make([]*example, len(from.Examples))}
		if c.stage < 0 || c.stage > horizons {
			return fmt.Errorf("a day is at stage %d", c.stage)
		}
		for k := range from.Examples {
			x, err := from.Examples[k].example(from.At)
			if err != nil {
				return err
			}
			c.examples[k] = x
			if !from.Examples[k].Open {
				continue
			}
			if x.earlier = m.asked[x.key]; x.earlier != nil && x.at-x.earlier.at > seconds[last] {
				x.earlier = nil
			}
			m.asked[x.key] = x
		}
		m.cohorts = append(m.cohorts, c)
	}
	return nil
}

func (f *exampleForm) example(at int64) (*example, error) {
	x := &example{
		at: at, key: settingKey{f.Resource, f.Path}, kind: f.Kind, weight: f.Weight, interval: f.Interval,
		survival: f.Survival, pooled: f.Pooled,
	}
	if err := errors.Join(unpack(x.features[:], f.Features), unpack(x.recent[:], f.Recent), unpack(x.offset[:], f.Offset),
		unpack(x.contrast[:], f.Contrast), unpack(x.base[:], f.Base), unpack(x.word[:], f.Word)); err != nil {
		return nil, err
	}
	if x.interval < 0 || int(x.interval) > horizons || !(x.weight > 0) ||
		!finite(float64(x.weight)) || !(x.survival >= 0 && x.survival <= 1) || !finite(float64(x.pooled)) {
		return nil, fmt.Errorf("a question of resource %d is none", f.Resource)
	}
	for i, name := range Experts {
		z, there := f.Said[name]
		if !there {
			z = x.pooled // an expert that is new said what all did
		}
		if !finite(float64(z)) {
			return nil, fmt.Errorf("%s said %v", name, z)
		}
		x.said[i] = z
	}
	if f.Tape != nil {
		x.tape = new(rnn.Tape)
		if err := x.tape.UnmarshalBinary(f.Tape); err != nil {
			return nil, err
		}
	}
	return x, nil
}
