package rnn

import (
	"fmt"
	"math/bits"

	"github.com/penumbra-iac/penumbra"
)

// Horizons is the number of intervals of the hazard head: the spans between
// one of [penumbra.Horizons] and the one before it, the first from now.
const Horizons = len(penumbra.Horizons)

// Levels are the levels of the quantile head, in rising order.
var Levels = [...]float64{.005, .025, .05, .1, .25, .5, .75, .9, .95, .975, .995}

const (
	quantiles = len(Levels)
	median    = quantiles / 2
	outputs   = Horizons + quantiles // of the query network
)

// Config is the shape of a network. Zero fields take their default.
type Config struct {
	Dense       int    // numbers of a step
	Query       int    // numbers of a question
	Alternative int    // numbers of an alternative
	Rows        int    // of the hashed embedding table, a power of two; 4096
	Embed       int    // width of an embedding; 16
	Hidden      int    // width of the state of one resource; 32
	Width       int    // of the hidden layer of the query network; 32
	Seed        uint64 // of the first weights
}

// limits keep a state under 2 KB and a damaged checkpoint from asking for all
// memory.
const (
	maxHidden = 512
	maxWidth  = 4096
	maxRows   = 1 << 22
	maxSize   = 1 << 28 // parameters
)

func (c Config) withDefaults() Config {
	for _, f := range []struct {
		field   *int
		without int
	}{{&c.Rows, 4096}, {&c.Embed, 16}, {&c.Hidden, 32}, {&c.Width, 32}} {
		if *f.field == 0 {
			*f.field = f.without
		}
	}
	return c
}

func (c Config) check() error {
	for _, f := range []struct {
		name         string
		is, min, max int
	}{
		{"Dense", c.Dense, 0, maxWidth}, {"Query", c.Query, 0, maxWidth}, {"Alternative", c.Alternative, 0, maxWidth},
		{"Rows", c.Rows, 1, maxRows}, {"Embed", c.Embed, 1, maxWidth}, {"Hidden", c.Hidden, 1, maxHidden}, {"Width", c.Width, 1, maxWidth},
	} {
		if f.is < f.min || f.is > f.max {
			return fmt.Errorf("the field %s is %d, it has to be within %d and %d", f.name, f.is, f.min, f.max)
		}
	}
	if bits.OnesCount(uint(c.Rows)) != 1 {
		return fmt.Errorf("the field Rows is %d, it has to be a power of two", c.Rows)
	}
	if n := newLayout(c).size; n > maxSize {
		return fmt.Errorf("a network of %d parameters is too large, at most %d", n, maxSize)
	}
	return nil
}

// choiceWidth is the width of the hidden layer of a choice head.
func (c Config) choiceWidth() int { return (c.Width + 1) / 2 }

// span is a matrix of parameters, row by row, within the one flat array.
type span struct{ first, rows, cols int }

func (s span) end() int                 { return s.first + s.rows*s.cols }
func (s span) of(p []float32) []float32 { return p[s.first:s.end():s.end()] }

// layout says where each matrix lies. The embedding table is last, so that
// everything before it is one dense run: only the touched rows of the table
// are ever updated.
type layout struct {
	// The GRU: input [embedding, dense] and state to reset, update, candidate.
	input, inputBias     span // (Embed+Dense) x 3 Hidden, 1 x 3 Hidden
	recurrent, innerBias span // Hidden x 3 Hidden, 1 x Hidden
	// The query network over [state, embedding, dense]: its first Width columns
	// feed the hidden layer, the others are the linear path to the outputs.
	query, queryBias span // (Hidden+Embed+Query) x (Width+outputs), 1 x the same
	output           span // Width x outputs
	choice           [heads]choiceLayout
	embedding        span // Rows x Embed
	size             int
}

// choiceLayout is one choice head over [embedding, dense] of an alternative.
// The last column of alternative is the linear path to the score.
type choiceLayout struct {
	question    span // Width x choiceWidth
	alternative span // (Embed+Alternative) x (choiceWidth+1)
	bias        span // 1 x choiceWidth
	score       span // 1 x choiceWidth
}

func newLayout(c Config) layout {
	var l layout
	place := func(s *span, rows, cols int) {
		*s = span{l.size, rows, cols}
		l.size = s.end()
	}
	place(&l.input, c.Embed+c.Dense, 3*c.Hidden)
	place(&l.inputBias, 1, 3*c.Hidden)
	place(&l.recurrent, c.Hidden, 3*c.Hidden)
	place(&l.innerBias, 1, c.Hidden)
	place(&l.query, c.Hidden+c.Embed+c.Query, c.Width+outputs)
	place(&l.queryBias, 1, c.Width+outputs)
	place(&l.output, c.Width, outputs)
	w := c.choiceWidth()
	for i := range l.choice {
		h := &l.choice[i]
		place(&h.question, c.Width, w)
		place(&h.alternative, c.Embed+c.Alternative, w+1)
		place(&h.bias, 1, w)
		place(&h.score, 1, w)
	}
	place(&l.embedding, c.Rows, c.Embed)
	return l
}

// matrices are the spans that weight decay shrinks: no bias, no embedding.
func (l *layout) matrices() []span {
	out := []span{l.input, l.recurrent, l.query, l.output}
	for _, h := range l.choice {
		out = append(out, h.question, h.alternative, h.score)
	}
	return out
}
