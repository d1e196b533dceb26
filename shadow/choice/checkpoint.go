package choice

import (
	"fmt"
	"math"

	"github.com/fxamacker/cbor/v2"
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
	"github.com/penumbra-iac/penumbra/shadow/conformal"
)

const (
	checkpointMagic   = "penumbra choices"
	checkpointVersion = 1
)

// stored is the payload: everything but the commit that is not learnt yet, which
// is learnt first.
type stored struct {
	Origins, Features int
	Classes           []storedClass
	Tokens            map[string]ring
	Names             map[string]*rates
	TokenMoves, Moves index
	Siblings, Folders index
	Estate            rates
	Forms             []rates
	Weights           weights
	Sets, Looks       []byte
	Today             int64
	Lessons           int
}

type storedClass struct {
	Type, Path string
	Class      *class
}

// MarshalBinary returns the whole state in an envelope. What the last commit
// changed is learnt before.
func (m *Model) MarshalBinary() ([]byte, error) {
	m.flush()
	s := stored{
		Origins: int(origins), Features: features,
		Tokens: m.tokens, Names: m.names, TokenMoves: m.tokenMoves, Moves: m.moves, Siblings: m.siblings, Folders: m.folders,
		Estate: m.estate, Forms: m.forms[:], Weights: m.weights, Today: m.today, Lessons: m.lessons,
	}
	for key, c := range m.classes {
		s.Classes = append(s.Classes, storedClass{key.kind, key.path, c})
	}
	sortClasses(s.Classes)
	var err error
	if s.Sets, err = m.sets.MarshalBinary(); err != nil {
		return nil, err
	}
	if s.Looks, err = m.looks.MarshalBinary(); err != nil {
		return nil, err
	}
	payload, err := envelope.Encode(s)
	if err != nil {
		return nil, fmt.Errorf("write the choice of values: %w", err)
	}
	return envelope.Seal(checkpointMagic, checkpointVersion, payload), nil
}

// UnmarshalBinary replaces the state. It returns an error of kind Damaged, and
// leaves the state as it was, if the data is not a whole one of this version.
func (m *Model) UnmarshalBinary(data []byte) error {
	payload, err := envelope.Open(checkpointMagic, checkpointVersion, data)
	if err != nil {
		return damaged(err)
	}
	var s stored
	if err := cbor.Unmarshal(payload, &s); err != nil {
		return damaged(err)
	}
	fresh := newState(m.options)
	if err := fresh.restore(&s); err != nil {
		return damaged(err)
	}
	m.state = fresh
	m.asked = asked{}
	m.pending = commit{lessons: map[classKey]*lesson{}}
	return nil
}

func (s *state) restore(x *stored) error {
	if x.Origins != int(origins) || x.Features != features || len(x.Forms) != int(forms) {
		return fmt.Errorf("it has %d origins, %d features and %d forms, this program %d, %d and %d", x.Origins, x.Features, len(x.Forms), origins, features, forms)
	}
	if len(x.Weights.W) != len(s.weights.W) || len(x.Weights.G) != len(s.weights.G) {
		return fmt.Errorf("it has %d weights, this program %d", len(x.Weights.W), len(s.weights.W))
	}
	for i := range x.Weights.W {
		if w, g := float64(x.Weights.W[i]), float64(x.Weights.G[i]); math.IsNaN(w-w) || !(g >= 0) {
			return fmt.Errorf("weight %d is %v, its squared gradients are %v", i, w, g)
		}
	}
	for _, c := range x.Classes {
		if c.Class == nil || len(c.Class.Moves) > maxMoves || len(c.Class.Recent) > maxRecent {
			return fmt.Errorf("class %s of %s keeps more than there is room for", c.Path, c.Type)
		}
		if n := len(c.Class.W); n != len(c.Class.G) || n != 0 && n != features {
			return fmt.Errorf("class %s of %s has %d weights", c.Path, c.Type, n)
		}
		s.classes[classKey{c.Type, c.Path}] = c.Class
	}
	for name, r := range x.Names {
		if r == nil {
			return fmt.Errorf("nothing is counted for %s", name)
		}
		s.names[name] = r
	}
	for name, r := range x.Tokens {
		s.tokens[name] = r
	}
	for _, pair := range [...]struct{ to, from index }{{s.tokenMoves, x.TokenMoves}, {s.moves, x.Moves}, {s.siblings, x.Siblings}, {s.folders, x.Folders}} {
		for k, m := range pair.from {
			pair.to[k] = m
		}
	}
	s.estate, s.weights = x.Estate, x.Weights
	s.today, s.lessons = x.Today, max(0, x.Lessons)
	copy(s.forms[:], x.Forms)
	s.sets, s.looks = conformal.New(conformal.Options{}), conformal.New(conformal.Options{})
	if err := s.sets.UnmarshalBinary(x.Sets); err != nil {
		return err
	}
	return s.looks.UnmarshalBinary(x.Looks)
}

func damaged(err error) error {
	return &penumbra.Error{
		Kind: penumbra.Damaged, What: "read the choice of values",
		Remedy: "remove it: it is learnt again from the timeline", Err: err,
	}
}
