package rnn

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// wire describes what is stored once for both directions: it appends to data,
// or takes from its front. See format.md.
type wire struct {
	reading bool
	data    []byte
	err     error
}

func (w *wire) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *wire) check(ok bool, format string, args ...any) {
	if w.reading && !ok {
		w.fail(format, args...)
	}
}

// take returns the next bytes, nil if there are not so many.
func (w *wire) take(n int) []byte {
	if w.err != nil || n > len(w.data) {
		w.fail("it ends too soon")
		return nil
	}
	out := w.data[:n]
	w.data = w.data[n:]
	return out
}

func (w *wire) uint32(x *uint32) {
	if !w.reading {
		w.data = binary.LittleEndian.AppendUint32(w.data, *x)
	} else if b := w.take(4); b != nil {
		*x = binary.LittleEndian.Uint32(b)
	}
}

func (w *wire) uint64(x *uint64) {
	if !w.reading {
		w.data = binary.LittleEndian.AppendUint64(w.data, *x)
	} else if b := w.take(8); b != nil {
		*x = binary.LittleEndian.Uint64(b)
	}
}

// float is one number, finite.
func (w *wire) float(x *float32) {
	bits := math.Float32bits(*x)
	w.uint32(&bits)
	*x = math.Float32frombits(bits)
	w.check(finite(*x), "a number is %v", *x)
}

// count is the number of elements of at least so many bytes each.
func (w *wire) count(n, bytes int) int {
	c := uint32(n)
	w.uint32(&c)
	if w.reading && (w.err != nil || uint64(c)*uint64(bytes) > uint64(len(w.data))) {
		w.fail("it ends too soon")
		return 0
	}
	return int(c)
}

func (w *wire) uint32s(s *[]uint32) {
	n := w.count(len(*s), 4)
	if w.reading {
		*s = make([]uint32, n)
	}
	if !w.reading {
		w.data = slices.Grow(w.data, 4*n)
		for _, x := range *s {
			w.data = binary.LittleEndian.AppendUint32(w.data, x)
		}
		return
	}
	if data := w.take(4 * n); data != nil {
		for i := range *s {
			(*s)[i] = binary.LittleEndian.Uint32(data[4*i:])
		}
	}
}

func (w *wire) floats(s *[]float32) {
	n := w.count(len(*s), 4)
	if w.reading {
		*s = make([]float32, n)
	}
	w.floatsOf(*s)
}

// floatsOf is numbers of which there are as many as s has.
func (w *wire) floatsOf(s []float32) {
	if !w.reading {
		w.data = slices.Grow(w.data, 4*len(s))
		for _, x := range s {
			w.data = binary.LittleEndian.AppendUint32(w.data, math.Float32bits(x))
		}
		return
	}
	data := w.take(4 * len(s))
	if data == nil {
		return
	}
	for i := range s {
		s[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		w.check(finite(s[i]), "a number is %v", s[i])
	}
}

func (w *wire) table(t *table) {
	width := uint32(t.width)
	w.uint32(&width)
	w.check(width <= maxWidth, "a row has %d numbers", width)
	t.width = int(width)
	w.floats(&t.dense)
	w.uint32s(&t.tokens)
	w.uint32s(&t.ends)
	if !w.reading || w.err != nil {
		return
	}
	w.check(len(t.dense) == len(t.ends)*t.width, "%d rows have %d numbers", len(t.ends), len(t.dense))
	var last uint32
	for _, e := range t.ends {
		w.check(e >= last, "the tokens of a row end before they begin")
		last = e
	}
	w.check(int(last) == len(t.tokens), "%d tokens belong to rows, there are %d", last, len(t.tokens))
}

func (w *wire) tape(t *Tape) {
	w.table(&t.steps)
	w.table(&t.questions)
	w.table(&t.alternatives)
	t.config = Config{Dense: t.steps.width, Query: t.questions.width, Alternative: t.alternatives.width}
	w.floats(&t.scores)
	w.check(len(t.scores) == len(t.alternatives.ends), "%d alternatives have %d offsets", len(t.alternatives.ends), len(t.scores))

	n := w.count(len(t.choices), 12)
	if w.reading {
		t.choices = make([]choice, n)
	}
	for i := range t.choices {
		k := &t.choices[i]
		w.uint32(&k.first)
		w.uint32(&k.n)
		w.uint32(&k.chosen)
		w.check(k.chosen < k.n && uint64(k.first)+uint64(k.n) <= uint64(len(t.scores)), "a choice is among alternatives that are not there")
	}
	n = w.count(len(t.asked), askedSize)
	if w.reading {
		t.asked = make([]asked, n)
	}
	w.check(n == len(t.questions.ends), "%d of %d questions were asked", n, len(t.questions.ends))
	for i := range t.asked {
		w.asked(&t.asked[i], len(t.choices))
	}
	n = w.count(len(t.sequences), 12)
	if w.reading {
		t.sequences = make([]sequence, n)
	}
	for i := range t.sequences {
		w.sequence(t, &t.sequences[i])
	}
}

const askedSize = 4 * (Horizons + 5 + heads)

func (w *wire) asked(a *asked, choices int) {
	w.floatsOf(a.offset[:])
	w.float(&a.weight)
	w.check(a.weight >= 0, "a weight is %v", a.weight)
	sized, ratio := uint32(0), a.ratio
	if a.sized() {
		sized = 1
	} else {
		ratio = 0
	}
	w.uint32(&sized)
	w.float(&ratio)
	w.uint32(&a.after)
	outcome := uint32(a.survived) << 1
	if a.happened {
		outcome |= 1
	}
	w.uint32(&outcome)
	for h := range a.choice {
		c := uint32(a.choice[h])
		w.uint32(&c)
		w.check(uint64(c) <= uint64(choices), "a choice is not there")
		a.choice[h] = int32(c)
	}
	if !w.reading {
		return
	}
	w.check(sized == 1 || sized == 0 && math.Float32bits(ratio) == 0, "a ratio is neither known nor unknown")
	if sized == 0 {
		ratio = float32(math.NaN())
	}
	a.ratio, a.survived, a.happened = ratio, uint8(outcome>>1), outcome&1 == 1
	w.check((outcome+1)>>1 <= uint32(Horizons), "an outcome is beyond the last interval")
}

func (w *wire) sequence(t *Tape, s *sequence) {
	w.floats(&s.start)
	if len(s.start) == 0 {
		s.start = nil
	}
	w.uint32s(&s.steps)
	w.uint32s(&s.questions)
	if !w.reading || w.err != nil {
		return
	}
	for _, i := range s.steps {
		w.check(uint64(i) < uint64(len(t.steps.ends)), "a sequence has a step that is not there")
	}
	var last uint32
	for _, i := range s.questions {
		if uint64(i) >= uint64(len(t.asked)) {
			w.fail("a sequence has a question that is not there")
			return
		}
		after := t.asked[i].after
		w.check(after >= last && uint64(after) <= uint64(len(s.steps)), "a question is out of order")
		last = after
	}
}

// MarshalBinary returns the tape as bytes, see format.md. There is no checksum:
// a tape is part of something larger.
func (t *Tape) MarshalBinary() ([]byte, error) {
	w := &wire{}
	w.tape(t)
	return w.data, nil
}

// UnmarshalBinary replaces the tape by one that MarshalBinary wrote. It returns
// an error of kind Damaged, and leaves the tape as it was, if it is none.
func (t *Tape) UnmarshalBinary(data []byte) error {
	var fresh Tape
	w := &wire{reading: true, data: data}
	w.tape(&fresh)
	w.check(w.err != nil || len(w.data) == 0, "%d bytes are left over", len(w.data))
	if w.err != nil {
		return damaged("read a tape", "record it again", w.err)
	}
	*t = fresh
	return nil
}
