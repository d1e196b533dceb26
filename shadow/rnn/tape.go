package rnn

import (
	"fmt"
	"math"

	"github.com/penumbra-iac/penumbra"
)

// Step is one observation of a resource.
type Step struct {
	Dense  []float32 // Config.Dense numbers, roughly of unit scale
	Tokens []uint32  // feature hashes, see [Token]
}

// Question is asked of a resource's state: when will this change, to what?
type Question struct {
	Dense  []float32         // Config.Query numbers, roughly of unit scale
	Tokens []uint32          // feature hashes, see [Token]
	Offset [Horizons]float32 // log odds of the hazard in each interval, from another model
}

// Outcome is what came of a question about time: it did not happen in the
// first Survived intervals, and if Happened it did in the one after. Without
// Happened nobody knows more (it was censored there).
type Outcome struct {
	Survived int
	Happened bool
}

// Head is one of the two choices that a network can be asked for. They have
// parameters of their own.
type Head uint8

// The heads.
const (
	Value Head = iota // which value it takes
	Next              // which setting of the resource changes next
	heads = 2
)

var headNames = [heads]string{"value", "next change"}

func (h Head) String() string {
	if h < heads {
		return headNames[h]
	}
	return "unknown"
}

// Alternative is one of those that a choice is between; "something new" is one
// like the others.
type Alternative struct {
	Dense  []float32 // Config.Alternative numbers, roughly of unit scale
	Tokens []uint32  // feature hashes, see [Token]
	Offset float32   // log of its weight in another model
}

// Tape is what a network learns from: sequences of steps, one for each
// resource, with questions between them. Sequences grow independently, so that
// a tape can be recorded in the order of time over all resources, and what came
// of a question can be told later. All is kept in flat arrays: a step of 24
// numbers and 12 tokens takes 152 bytes, a question of 60 and 6 takes 316.
// A tape is recorded by one goroutine; then any number may read it.
type Tape struct {
	config       Config
	sequences    []sequence
	steps        table
	questions    table
	asked        []asked
	alternatives table
	scores       []float32 // offset of each alternative
	choices      []choice
}

type sequence struct {
	start     []float32 // nil is zero
	steps     []uint32
	questions []uint32 // by rising after
}

// asked is what belongs to a question beside its features.
type asked struct {
	offset   [Horizons]float32
	weight   float32
	ratio    float32 // NaN if unknown
	after    uint32  // steps of its sequence before it
	survived uint8
	happened bool
	choice   [heads]int32 // 1 + index into choices, 0 if there is none
}

func (a *asked) timed() bool { return a.happened || a.survived > 0 }

func (a *asked) sized() bool { return a.ratio == a.ratio }

func (a *asked) answered() bool {
	return a.weight > 0 && (a.timed() || a.sized() || a.choice != [heads]int32{})
}

type choice struct {
	first, n, chosen uint32
}

// table is rows of numbers and tokens.
type table struct {
	width  int
	dense  []float32
	tokens []uint32
	ends   []uint32 // of each row's tokens
}

func (t *table) add(dense []float32, tokens []uint32) uint32 {
	t.dense = append(t.dense, dense...)
	t.tokens = append(t.tokens, tokens...)
	t.ends = append(t.ends, uint32(len(t.tokens)))
	return uint32(len(t.ends) - 1)
}

func (t *table) check(dense []float32, tokens []uint32) error {
	if len(dense) != t.width {
		return fmt.Errorf("it has %d numbers, the network's shape says %d", len(dense), t.width)
	}
	for i, x := range dense {
		if !finite(x) {
			return fmt.Errorf("number %d is %v", i, x)
		}
	}
	if len(t.ends) == math.MaxUint32 || len(t.tokens) > math.MaxUint32-len(tokens) {
		return fmt.Errorf("the tape is full")
	}
	return nil
}

func (t *table) row(i uint32) []float32 {
	first := int(i) * t.width
	return t.dense[first : first+t.width : first+t.width]
}

func (t *table) tokensOf(i uint32) []uint32 {
	var first uint32
	if i > 0 {
		first = t.ends[i-1]
	}
	return t.tokens[first:t.ends[i]]
}

func (t *table) reset() {
	t.dense, t.tokens, t.ends = t.dense[:0], t.tokens[:0], t.ends[:0]
}

// NewTape returns an empty tape for networks of a shape.
func NewTape(c Config) *Tape {
	return &Tape{
		config:       Config{Dense: c.Dense, Query: c.Query, Alternative: c.Alternative},
		steps:        table{width: c.Dense},
		questions:    table{width: c.Query},
		alternatives: table{width: c.Alternative},
	}
}

// Sequences returns the number of sequences.
func (t *Tape) Sequences() int { return len(t.sequences) }

// Steps returns the number of steps in all sequences.
func (t *Tape) Steps() int { return len(t.steps.ends) }

// Questions returns the number of questions in all sequences.
func (t *Tape) Questions() int { return len(t.asked) }

// Open begins a sequence and returns its number. The state begins at start,
// which is copied; nil is zero, a resource never seen before.
func (t *Tape) Open(start []float32) int {
	t.sequences = append(t.sequences, sequence{start: append([]float32(nil), start...)})
	return len(t.sequences) - 1
}

// Step appends a step to a sequence. It returns an error of kind Invalid for a
// step of another shape or with a number that is not finite.
func (t *Tape) Step(sequence int, s *Step) error {
	if err := t.steps.check(s.Dense, s.Tokens); err != nil {
		return invalid(fmt.Sprintf("record step %d of sequence %d", len(t.sequences[sequence].steps), sequence), err)
	}
	q := &t.sequences[sequence]
	q.steps = append(q.steps, t.steps.add(s.Dense, s.Tokens))
	return nil
}

// Ask records a question of weight 1 after the steps that its sequence has by
// now, and returns its number. Until Answer, Size or Choose says what came of
// it, nothing is learnt from it. It returns an error of kind Invalid as Step.
func (t *Tape) Ask(sequence int, q *Question) (int, error) {
	err := t.questions.check(q.Dense, q.Tokens)
	for _, o := range q.Offset {
		if err == nil && !finite(o) {
			err = fmt.Errorf("an offset is %v", o)
		}
	}
	if err != nil {
		return 0, invalid(fmt.Sprintf("record a question of sequence %d", sequence), err)
	}
	s := &t.sequences[sequence]
	number := t.questions.add(q.Dense, q.Tokens)
	s.questions = append(s.questions, number)
	t.asked = append(t.asked, asked{offset: q.Offset, weight: 1, ratio: float32(math.NaN()), after: uint32(len(s.steps))})
	return int(number), nil
}

// Weigh says how much a question counts, for all that came of it: its
// importance weight if questions were sampled. It has to be finite and not
// negative.
func (t *Tape) Weigh(question int, weight float32) error {
	if !finite(weight) || weight < 0 {
		return invalid(fmt.Sprintf("weigh question %d", question), fmt.Errorf("the weight is %v", weight))
	}
	t.asked[question].weight = weight
	return nil
}

// Answer says what came of a question about time.
func (t *Tape) Answer(question int, o Outcome) error {
	most := Horizons
	if o.Happened {
		most--
	}
	if o.Survived < 0 || o.Survived > most {
		return invalid(fmt.Sprintf("answer question %d", question), fmt.Errorf("it survived %d intervals, at most %d", o.Survived, most))
	}
	a := &t.asked[question]
	a.survived, a.happened = uint8(o.Survived), o.Happened
	return nil
}

// Size says by how much a number changed: the logarithm of new over old.
func (t *Tape) Size(question int, logRatio float32) error {
	if !finite(logRatio) {
		return invalid(fmt.Sprintf("size question %d", question), fmt.Errorf("the ratio is %v", logRatio))
	}
	t.asked[question].ratio = logRatio
	return nil
}

// Choose says which of the alternatives came about. A question has at most one
// choice for each head.
func (t *Tape) Choose(question int, head Head, alternatives []Alternative, chosen int) error {
	fail := func(err error) error { return invalid(fmt.Sprintf("choose for question %d", question), err) }
	switch {
	case head >= heads:
		return fail(fmt.Errorf("there is no head %d", head))
	case t.asked[question].choice[head] != 0:
		return fail(fmt.Errorf("its %s was chosen before", head))
	case chosen < 0 || chosen >= len(alternatives):
		return fail(fmt.Errorf("alternative %d of %d was chosen", chosen, len(alternatives)))
	}
	for i := range alternatives {
		a := &alternatives[i]
		if err := t.alternatives.check(a.Dense, a.Tokens); err != nil {
			return fail(fmt.Errorf("alternative %d: %w", i, err))
		}
		if !finite(a.Offset) {
			return fail(fmt.Errorf("alternative %d: the offset is %v", i, a.Offset))
		}
	}
	c := choice{first: uint32(len(t.scores)), n: uint32(len(alternatives)), chosen: uint32(chosen)}
	for i := range alternatives {
		a := &alternatives[i]
		t.alternatives.add(a.Dense, a.Tokens)
		t.scores = append(t.scores, a.Offset)
	}
	t.choices = append(t.choices, c)
	t.asked[question].choice[head] = int32(len(t.choices))
	return nil
}

// Reset empties the tape and keeps its memory.
func (t *Tape) Reset() {
	t.sequences, t.asked = t.sequences[:0], t.asked[:0]
	t.scores, t.choices = t.scores[:0], t.choices[:0]
	t.steps.reset()
	t.questions.reset()
	t.alternatives.reset()
}

// fits reports whether networks of a shape can read the tape.
func (t *Tape) fits(c Config) error {
	if t.config.Dense != c.Dense || t.config.Query != c.Query || t.config.Alternative != c.Alternative {
		return fmt.Errorf("the tape has %d, %d and %d numbers in a step, a question and an alternative, the network %d, %d and %d",
			t.config.Dense, t.config.Query, t.config.Alternative, c.Dense, c.Query, c.Alternative)
	}
	for i := range t.sequences {
		if n := len(t.sequences[i].start); n != 0 && n != c.Hidden {
			return fmt.Errorf("sequence %d starts from a state of %d numbers, the network's has %d", i, n, c.Hidden)
		}
	}
	return nil
}

func finite(x float32) bool { return x-x == 0 }

func invalid(what string, err error) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: what, Err: err}
}
