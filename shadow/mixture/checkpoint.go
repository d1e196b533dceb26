package mixture

import (
	"bytes"
	"encoding"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/logistic"
)

const (
	checkpointMagic   = "penumbra mixture"
	checkpointVersion = 1
	knowledgeMagic    = "penumbra shipped"
	knowledgeVersion  = 1
)

var _ shadow.Ensemble = (*Model)(nil)

// part is what is stored of the model under one name.
type part interface {
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// section is a part of a checkpoint.
type section struct {
	name string
	// required reports that a program that does not know the section must refuse
	// the checkpoint, because the rest means something else without it. Any other
	// may be skipped, and one that is missing starts fresh.
	required bool
	part     func(m *Model) part
}

// sections are the parts of a checkpoint, in the order in which they are read:
// the options come first, since others are made by them.
var sections = []section{
	{"options", true, func(m *Model) part { return optionsPart{m} }},
	{"counts", true, func(m *Model) part { return stream{m.counts} }},
	{"experts", true, func(m *Model) part { return expertsPart{&m.learnt, true} }},
	{"network", true, func(m *Model) part { return networkPart{m} }},
	{"learner", false, func(m *Model) part { return learnerPart{m} }},
	{"trials", false, func(m *Model) part { return trialsPart{m} }},
	{"memories", false, func(m *Model) part { return memoriesPart{m} }},
	{"centers", false, func(m *Model) part { return centersPart{m} }},
	{"questions", false, func(m *Model) part { return questionsPart{m} }},
	{"values", false, func(m *Model) part { return m.values }},
	{"next", false, func(m *Model) part { return m.next }},
	{"durations", false, func(m *Model) part { return m.stays }},
	{"departures", false, func(m *Model) part { return m.departures }},
	{"sets", false, func(m *Model) part { return setsPart{m} }},
}

// stored is a section as it is written.
type stored struct {
	_        struct{} `cbor:",toarray"`
	Required bool
	Data     []byte
}

// stream makes a part of what writes itself to a stream.
type stream struct {
	state interface {
		io.WriterTo
		io.ReaderFrom
	}
}

func (s stream) MarshalBinary() ([]byte, error) {
	var b bytes.Buffer
	_, err := s.state.WriteTo(&b)
	return b.Bytes(), err
}

func (s stream) UnmarshalBinary(data []byte) error {
	_, err := s.state.ReadFrom(bytes.NewReader(data))
	return err
}

// decMode reads what envelope.Encode wrote. Unlike envelope.Decode it lets a key
// be that this program does not have: an expert of another version is left out.
var decMode = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		MaxArrayElements: math.MaxInt32, MaxMapPairs: math.MaxInt32,
		DupMapKey: cbor.DupMapKeyEnforcedAPF,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

// WriteTo writes the whole state, see format.md. The same state gives the same
// bytes.
func (m *Model) WriteTo(w io.Writer) (int64, error) {
	return m.write(w, checkpointMagic, checkpointVersion, sections)
}

// ReadFrom replaces the state, options included, by what WriteTo wrote: the
// model goes on as the one that was written would have. It returns an error of
// kind Damaged, and leaves the state as it was, if the data is not a whole
// checkpoint of this model and of a version that it knows.
func (m *Model) ReadFrom(r io.Reader) (int64, error) {
	data, err := io.ReadAll(r)
	n := int64(len(data))
	if err != nil {
		return n, fmt.Errorf("read checkpoint: %w", err)
	}
	fresh := build(m.options, m)
	if err := fresh.read(data, checkpointMagic, checkpointVersion, sections); err != nil {
		return n, &penumbra.Error{
			Kind: penumbra.Damaged, What: "read the checkpoint of the mixture",
			Remedy: "remove it: the model is built again from the timeline", Err: err,
		}
	}
	*m = *fresh
	return n, nil
}

// write writes sections of the model in an envelope.
func (m *Model) write(w io.Writer, magic string, version uint32, of []section) (int64, error) {
	payload := map[string]stored{}
	for _, s := range of {
		data, err := s.part(m).MarshalBinary()
		if err != nil {
			return 0, fmt.Errorf("write checkpoint: %s: %w", s.name, err)
		}
		payload[s.name] = stored{Required: s.required, Data: data}
	}
	data, err := envelope.Encode(payload)
	if err != nil {
		return 0, fmt.Errorf("write checkpoint: %w", err)
	}
	n, err := w.Write(envelope.Seal(magic, version, data))
	if err != nil {
		return int64(n), fmt.Errorf("write checkpoint: %w", err)
	}
	return int64(n), nil
}

// read takes the sections that it knows into the model.
func (m *Model) read(data []byte, magic string, version uint32, known []section) error {
	payload, err := envelope.Open(magic, version, data)
	if err != nil {
		return err
	}
	var found map[string]stored
	if err := decMode.Unmarshal(payload, &found); err != nil {
		return err
	}
	for _, s := range known {
		x, there := found[s.name]
		delete(found, s.name)
		switch {
		case there:
			if err := s.part(m).UnmarshalBinary(x.Data); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		case s.required:
			return fmt.Errorf("it has no %s", s.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if found[name].Required {
			return fmt.Errorf("it has %s, which this program does not know", name)
		}
	}
	return nil
}

// WriteKnowledge writes what the experts have learnt that holds in another
// estate too: weights, and nothing that names a resource, a type, a path, an
// actor or a value. See format.md.
func (m *Model) WriteKnowledge(w io.Writer) (int64, error) {
	return m.write(w, knowledgeMagic, knowledgeVersion, portable)
}

// portable are the sections of what is taken to another estate.
var portable = []section{
	{"experts", true, func(m *Model) part { return expertsPart{&m.learnt, false} }},
	{"network", true, func(m *Model) part { return networkPart{m} }},
}

// NewFrom returns a mixture that has observed nothing and starts from what
// [Model.WriteKnowledge] wrote. It returns an error of kind Damaged if the data
// is not a whole one of a version that it knows.
func NewFrom(knowledge []byte, o Options) (*Model, error) {
	m := New(o)
	return m, m.ReadKnowledge(knowledge)
}

// How much of the regressions' weights stays in another estate, and how much
// what is known of them counts there: enough to start from, little enough to
// learn anew within weeks.
const (
	transferred = 0.5
	certain     = 0.02
)

// doubt makes first guesses of what the regressions have learnt elsewhere.
func (l *learnt) doubt() {
	for k := range horizons {
		for _, r := range [...]*logistic.Regression{l.plain[k], l.tempered[k], l.contrasts[k]} {
			r.Transfer(transferred, certain)
		}
	}
	l.level.Transfer(transferred, certain)
}

// ReadKnowledge replaces what the experts have learnt by what
// [Model.WriteKnowledge] wrote, and leaves what is known of the estate as it is.
// It returns an error of kind Damaged, and changes nothing, if the data is not a
// whole one of a version that it knows.
func (m *Model) ReadKnowledge(knowledge []byte) error {
	fresh := New(m.options)
	if err := fresh.read(knowledge, knowledgeMagic, knowledgeVersion, portable); err != nil {
		return &penumbra.Error{
			Kind: penumbra.Damaged, What: "read what a mixture has learnt elsewhere",
			Remedy: "train it again with `penumbra train --portable`", Err: err,
		}
	}
	fresh.doubt()
	m.learnt, m.networks = fresh.learnt, fresh.networks
	return nil
}
