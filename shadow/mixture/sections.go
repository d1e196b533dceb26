package mixture

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra/internal/envelope"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/rnn"
)

// optionsPart is the options, and what the numbers of a look and of a step
// stand for.
type optionsPart struct{ m *Model }

type optionsForm struct {
	_         struct{} `cbor:",toarray"`
	Numbers   []byte   // digest of what the features are
	Seed      uint64
	Looks     int
	NoNetwork bool
}

// numbers digests the names of the features: weights of other features mean
// nothing here, also where there are as many.
func numbers() []byte {
	sum := sha256.Sum256([]byte(strings.Join(shadow.FeatureNames[:], "\n") + fmt.Sprintf("\n%d", stepNumbers)))
	return sum[:]
}

func (p optionsPart) MarshalBinary() ([]byte, error) {
	o := p.m.options
	return envelope.Encode(optionsForm{Numbers: numbers(), Seed: o.Seed, Looks: o.Looks, NoNetwork: o.NoNetwork})
}

func (p optionsPart) UnmarshalBinary(data []byte) error {
	var f optionsForm
	if err := decMode.Unmarshal(data, &f); err != nil {
		return err
	}
	if !bytes.Equal(f.Numbers, numbers()) {
		return fmt.Errorf("it is of other features")
	}
	if f.Looks < 1 || f.Looks > 1<<24 {
		return fmt.Errorf("it looks at %d settings a day", f.Looks)
	}
	p.m.options.Seed, p.m.options.Looks, p.m.options.NoNetwork = f.Seed, f.Looks, f.NoNetwork
	p.m.startNetwork()
	p.m.companions = newCompanions(p.m.counts, f.Seed)
	return nil
}

// expertsPart is what the experts have learnt and what they weigh, by their
// names, so that one that is added later starts fresh.
type expertsPart struct {
	l     *learnt
	types bool // also the weights by type of resource
}

type expertsForm struct {
	Numbers  []byte // digest of what the features are
	Weights  map[string]float64
	Types    map[string]map[string]float64 `cbor:",omitempty"`
	Learnt   map[string][][]byte
	Trust    float64
	Word     map[string]float64 `cbor:",omitempty"`
	Examples float64
}

// learners are what learns, by name: one for each interval where there are
// five.
func (l *learnt) learners() map[string][]part {
	out := map[string][]part{Experts[excited]: {l.excited}, "recalibration": {l.level}}
	for k := range horizons {
		out[Experts[plain]] = append(out[Experts[plain]], l.plain[k])
		out[Experts[tempered]] = append(out[Experts[tempered]], l.tempered[k])
		out[contrastsName] = append(out[contrastsName], l.contrasts[k])
	}
	return out
}

func (p expertsPart) MarshalBinary() ([]byte, error) {
	f := expertsForm{
		Numbers: numbers(), Weights: named(p.l.estate[:], Experts[:]), Learnt: map[string][][]byte{},
		Trust: p.l.trust, Word: named(p.l.word[:], candidateNames[:]), Examples: p.l.examples,
	}
	if p.types {
		f.Types = map[string]map[string]float64{}
		for kind, w := range p.l.types {
			f.Types[kind] = named(w[:], Experts[:])
		}
	}
	for name, parts := range p.l.learners() {
		for _, x := range parts {
			data, err := x.MarshalBinary()
			if err != nil {
				return nil, err
			}
			f.Learnt[name] = append(f.Learnt[name], data)
		}
	}
	return envelope.Encode(f)
}

func (p expertsPart) UnmarshalBinary(data []byte) error {
	var f expertsForm
	if err := decMode.Unmarshal(data, &f); err != nil {
		return err
	}
	if !bytes.Equal(f.Numbers, numbers()) {
		return fmt.Errorf("it is of other features")
	}
	if !(f.Trust >= 0 && f.Trust <= 1) || !(f.Examples >= 0) || math.IsInf(f.Examples, 0) {
		return fmt.Errorf("the recalibration is trusted %v after %v examples", f.Trust, f.Examples)
	}
	p.l.trust, p.l.examples = f.Trust, f.Examples
	for name, parts := range p.l.learners() {
		from, there := f.Learnt[name]
		if there && len(from) != len(parts) {
			return fmt.Errorf("%s has %d parts, this program's %d", name, len(from), len(parts))
		}
		for i := range from {
			if err := parts[i].UnmarshalBinary(from[i]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	var err error
	if p.l.word, err = wordFrom(f.Word); err != nil {
		return err
	}
	if p.l.estate, err = weightsFrom(f.Weights); err != nil || !p.types {
		return err
	}
	for kind, by := range f.Types {
		w, err := weightsFrom(by)
		if err != nil {
			return err
		}
		p.l.types[kind] = &w
	}
	return nil
}

// contrastsName is that of the contrasts' regressions.
const contrastsName = "contrasts"

// candidateNames are those of the candidates for the last word.
var candidateNames = func() (out [candidates]string) {
	copy(out[:], Experts[:])
	out[joined], out[contrasted], out[estateRate] = "pool", "pool with contrasts", "rate of the estate"
	return out
}()

// wordFrom returns the beliefs in the candidates that there are; all begin anew
// if one is missing.
func wordFrom(named map[string]float64) (lastWord, error) {
	var w lastWord
	var sum float64
	for i, name := range candidateNames {
		x, there := named[name]
		if !there {
			return firstWord(), nil
		}
		if !(x >= 0 && x <= 1) {
			return w, fmt.Errorf("the belief in %s is %v", name, x)
		}
		w[i] = x
		sum += x
	}
	if math.Abs(sum-1) > 1e-6 {
		return w, fmt.Errorf("the beliefs sum to %v", sum)
	}
	return w, nil
}

// centersPart is the means of the classes.
type centersPart struct{ m *Model }

type centerForm struct {
	_     struct{} `cbor:",toarray"`
	Class uint32
	Looks float32
	Mean  []byte // floats, little-endian
	Odds  []byte
}

func (p centersPart) MarshalBinary() ([]byte, error) {
	out := make([]centerForm, 0, len(p.m.centers))
	for _, class := range slices.Sorted(maps.Keys(p.m.centers)) {
		c := p.m.centers[class]
		out = append(out, centerForm{Class: class, Looks: c.looks, Mean: packed(c.mean[:]), Odds: packed(c.odds[:])})
	}
	return envelope.Encode(out)
}

func (p centersPart) UnmarshalBinary(data []byte) error {
	var all []centerForm
	if err := decMode.Unmarshal(data, &all); err != nil {
		return err
	}
	for i := range all {
		c := &center{looks: all[i].Looks}
		if err := errors.Join(unpack(c.mean[:], all[i].Mean), unpack(c.odds[:], all[i].Odds)); err != nil {
			return fmt.Errorf("of class %d: %w", all[i].Class, err)
		}
		if !(c.looks >= 0 && c.looks <= mostLooks) {
			return fmt.Errorf("class %d had %v looks", all[i].Class, c.looks)
		}
		p.m.centers[all[i].Class] = c
	}
	return nil
}

// named returns weights by the names of what they are of.
func named(w []float64, names []string) map[string]float64 {
	out := make(map[string]float64, len(w))
	for i, x := range w {
		out[names[i]] = x
	}
	return out
}

// weightsFrom returns the weights of the experts that there are. An expert that
// is not named gets an equal share, and the others what is left.
func weightsFrom(named map[string]float64) (weights, error) {
	var w weights
	var sum float64
	missing := 0
	for i, name := range Experts {
		x, there := named[name]
		if !(x >= 0 && x <= 1) {
			return w, fmt.Errorf("the weight of %s is %v", name, x)
		}
		if !there {
			missing++
		}
		w[i] = x
		sum += x
	}
	if missing == 0 && len(named) == experts {
		if math.Abs(sum-1) > 1e-6 {
			return w, fmt.Errorf("the weights sum to %v", sum)
		}
		return w, nil
	}
	if sum <= 0 {
		return equal(), nil
	}
	rest := 1 - float64(missing)/experts
	for i, name := range Experts {
		if _, there := named[name]; there {
			w[i] *= rest / sum
		} else {
			w[i] = 1.0 / experts
		}
	}
	return w, nil
}

// networkPart is the network that serves.
type networkPart struct{ m *Model }

func (p networkPart) MarshalBinary() ([]byte, error) { return stream{p.m.net}.MarshalBinary() }

func (p networkPart) UnmarshalBinary(data []byte) error {
	net, err := rnn.Read(bytes.NewReader(data))
	if err != nil {
		return err
	}
	if err := fits(net); err != nil {
		return err
	}
	p.m.serve(net)
	return nil
}

// fits holds a network to the shape that this program uses.
func fits(net *rnn.Network) error {
	want, err := rnn.New(shape(net.Config().Seed))
	if err != nil {
		return err
	}
	if net.Config() != want.Config() {
		return fmt.Errorf("the network has another shape: %+v", net.Config())
	}
	return nil
}

// learnerPart is the network that learns, with what it learns from.
type learnerPart struct{ m *Model }

func (p learnerPart) MarshalBinary() ([]byte, error) { return stream{p.m.learner}.MarshalBinary() }

func (p learnerPart) UnmarshalBinary(data []byte) error {
	if err := (stream{p.m.learner}).UnmarshalBinary(data); err != nil {
		return err
	}
	return fits(p.m.learner.Network())
}

// trialsPart is the network on trial, the one before the one that serves, and
// what came of earlier trials.
type trialsPart struct{ m *Model }

type trialsForm struct {
	_                   struct{} `cbor:",toarray"`
	Due                 int64
	Fresh, Owed         int
	Candidate, Previous []byte // networks, nil if there is none
	Days                []trialDay
	Trials              []trial
	Adopted             int64
	TakenBack           []int64
}

func (p trialsPart) MarshalBinary() ([]byte, error) {
	n := &p.m.networks
	f := trialsForm{Due: n.due, Fresh: n.fresh, Owed: n.owed, Days: n.days, Trials: n.trials, Adopted: n.adopted, TakenBack: n.takenBack}
	for to, net := range map[*[]byte]*rnn.Network{&f.Candidate: n.candidate, &f.Previous: n.previous} {
		if net == nil {
			continue
		}
		var err error
		if *to, err = (stream{net}).MarshalBinary(); err != nil {
			return nil, err
		}
	}
	return envelope.Encode(f)
}

func (p trialsPart) UnmarshalBinary(data []byte) error {
	var f trialsForm
	if err := decMode.Unmarshal(data, &f); err != nil {
		return err
	}
	if f.Due < 0 || f.Fresh < 0 || f.Owed < 0 || len(f.Trials) > keptTrials {
		return fmt.Errorf("%d updates are owed after %d trials", f.Owed, len(f.Trials))
	}
	n := &p.m.networks
	n.due, n.fresh, n.owed = f.Due, f.Fresh, f.Owed
	n.days, n.trials, n.adopted, n.takenBack = f.Days, f.Trials, f.Adopted, f.TakenBack
	for data, to := range map[*[]byte]**rnn.Network{&f.Candidate: &n.candidate, &f.Previous: &n.previous} {
		if len(*data) == 0 {
			continue
		}
		net, err := rnn.Read(bytes.NewReader(*data))
		if err != nil {
			return err
		}
		if err := fits(net); err != nil {
			return err
		}
		*to = net
	}
	return nil
}

// memoriesPart is what is kept of each resource.
type memoriesPart struct{ m *Model }

type memoryForm struct {
	_      struct{} `cbor:",toarray"`
	Number uint32
	State  []byte // floats, little-endian
	Before []byte
	Steps  []stepForm
	Last   int64
	Bands  []bandForm
}

type stepForm struct {
	_      struct{} `cbor:",toarray"`
	Dense  []byte
	Tokens []byte
}

type bandForm struct {
	_              struct{} `cbor:",toarray"`
	Name           string
	Mean, Power, N float64
}

func (p memoriesPart) MarshalBinary() ([]byte, error) {
	out := make([]memoryForm, 0, len(p.m.memories))
	for _, number := range slices.Sorted(maps.Keys(p.m.memories)) {
		b := p.m.memories[number]
		f := memoryForm{Number: number, State: packed(b.state()), Before: packed(b.before()), Last: b.last}
		for _, s := range b.steps() {
			f.Steps = append(f.Steps, stepForm{Dense: packed(s.Dense), Tokens: packed(s.Tokens)})
		}
		for _, x := range b.bands {
			f.Bands = append(f.Bands, bandForm{Name: x.name, Mean: x.mean, Power: x.power, N: x.n})
		}
		out = append(out, f)
	}
	return envelope.Encode(out)
}

func (p memoriesPart) UnmarshalBinary(data []byte) error {
	var all []memoryForm
	if err := decMode.Unmarshal(data, &all); err != nil {
		return err
	}
	for i := range all {
		b, err := all[i].memory(len(p.m.zero))
		if err != nil {
			return fmt.Errorf("of resource %d: %w", all[i].Number, err)
		}
		p.m.memories[all[i].Number] = b
	}
	return nil
}

func (f *memoryForm) memory(hidden int) (*memory, error) {
	b := newMemory(hidden)
	b.last = f.Last
	if err := errors.Join(unpack(b.state(), f.State), unpack(b.before(), f.Before)); err != nil {
		return nil, err
	}
	if len(f.Steps) > rewind {
		return nil, fmt.Errorf("it has %d steps", len(f.Steps))
	}
	for _, s := range f.Steps {
		step := rnn.Step{Dense: make([]float32, stepNumbers), Tokens: make([]uint32, len(s.Tokens)/4)}
		if err := unpack(step.Dense, s.Dense); err != nil {
			return nil, err
		}
		if err := unpack(step.Tokens, s.Tokens); err != nil {
			return nil, err
		}
		b.kept[b.n] = step
		b.n++
	}
	for _, x := range f.Bands {
		if !finite(x.Mean) || !finite(x.Power) || !(x.N >= 0 && x.N <= 1e6) {
			return nil, fmt.Errorf("the band of %s is %v, %v of %v", x.Name, x.Mean, x.Power, x.N)
		}
		b.bands = append(b.bands, band{name: x.Name, mean: x.Mean, power: x.Power, n: x.N})
	}
	return b, nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// packed returns numbers or hashes as bytes, little-endian.
func packed[T float32 | uint32](x []T) []byte {
	data, _ := binary.Append(nil, binary.LittleEndian, x) // never fails for a slice of numbers
	return data
}

// unpack fills to with the numbers or hashes of which there have to be as many.
func unpack[T float32 | uint32](to []T, data []byte) error {
	if len(data) != 4*len(to) {
		return fmt.Errorf("%d bytes do not hold %d numbers", len(data), len(to))
	}
	if _, err := binary.Decode(data, binary.LittleEndian, to); err != nil {
		return err
	}
	for _, x := range to {
		if !finite(float64(x)) {
			return fmt.Errorf("a number is %v", x)
		}
	}
	return nil
}
