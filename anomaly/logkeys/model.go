package logkeys

import "math"

// Key is the type of log keys: names, or the numbers that a parser gave them.
type Key interface{ string | uint32 }

// Options bound the model. The zero value of each is its default.
type Options struct {
	// Depth is how many keys back a key may depend on: 10, as in Du, Li, Zheng and
	// Srikumar, DeepLog, CCS 2017, section 5.1.
	Depth int
	// Calibration is how many sessions learnt last the p-values are made of: 2,048,
	// of which 20 are beyond p = 0.01.
	Calibration int
	// Contexts is how many pairs of context and follower are kept, for the order
	// and for the counts each: 262,144. Beyond it the rarest are forgotten.
	Contexts int
	// Keys is how many keys are told from each other: 65,536 at most and by
	// default. Those learnt beyond them are one key, and so are those never seen.
	Keys int
}

// Limits of what the symbols and a checkpoint have room for.
const (
	maxDepth       = 64
	maxCalibration = 1 << 20
	maxKeys        = 1 << 16
	alternatives   = 3
)

func (o Options) withDefaults() Options {
	for _, x := range []struct {
		of           *int
		normal, most int
	}{
		{&o.Depth, 10, maxDepth},
		{&o.Calibration, 2048, maxCalibration},
		{&o.Contexts, 1 << 18, math.MaxInt32},
		{&o.Keys, maxKeys, maxKeys},
	} {
		if *x.of <= 0 {
			*x.of = x.normal
		}
		*x.of = min(*x.of, x.most)
	}
	o.Contexts = max(o.Contexts, 1024)
	return o
}

// Model knows what sessions are usual.
type Model[K Key] struct {
	options  Options
	keys     []K // by number less one
	numbers  map[K]uint32
	sessions uint64
	order    *tree       // of keys, in their order
	content  *tree       // of keys with their counts, by number
	times    []histogram // of each key's count where it came, by number less one
	length   histogram
	calibration
}

// New returns a model that has learnt nothing: it finds nothing surprising.
func New[K Key](o Options) *Model[K] {
	o = o.withDefaults()
	return &Model[K]{
		options: o, numbers: map[K]uint32{},
		order: newTree(o.Depth, o.Contexts), content: newTree(o.Depth, o.Contexts),
		calibration: calibration{limit: o.Calibration},
	}
}

// Sessions returns how many sessions were learnt.
func (m *Model[K]) Sessions() uint64 { return m.sessions }

// Keys returns how many different keys were learnt, Options.Keys at most.
func (m *Model[K]) Keys() int { return len(m.keys) }

// Learn takes in a whole session that is held to be normal. It is scored first,
// and the score calibrates the p-values: to leave out normal sessions because
// their p-value was small makes more and more of them alarms. An empty session
// is ignored.
func (m *Model[K]) Learn(session []K) {
	if len(session) == 0 {
		return
	}
	if m.sessions > 0 {
		s := m.Start()
		for _, k := range session {
			s.step(k)
		}
		s.finish()
		m.calibration.add(s.evidence)
	}
	m.sessions++
	history := []uint32{begin}
	var contexts []uint64
	follow := func(t *tree, symbol uint32) {
		contexts = t.contexts(contexts[:0], history)
		t.learn(contexts, symbol)
		history = push(history, symbol, t.depth)
	}
	var counts tallies
	for _, k := range session {
		n := m.intern(k)
		follow(m.order, n)
		counts.add(n)
	}
	follow(m.order, end)
	history = append(history[:0], begin)
	for _, t := range append(counts.inOrder(), tally{key: end}) {
		follow(m.content, t.symbol())
		if t.key != novel && t.key != end {
			m.times[t.key-1].add(t.count)
		}
	}
	m.length.add(clamp(len(session)))
}

// push appends the symbol and lets the oldest go.
func push(history []uint32, symbol uint32, depth int) []uint32 {
	if len(history) == depth {
		copy(history, history[1:])
		history = history[:depth-1]
	}
	return append(history, symbol)
}

func clamp(n int) uint32 { return uint32(min(n, maxCount)) }

// intern returns the key's number, novel if there is no room for it.
func (m *Model[K]) intern(k K) uint32 {
	n, known := m.numbers[k]
	if !known && len(m.keys) < m.options.Keys {
		m.keys = append(m.keys, k)
		m.times = append(m.times, nil)
		n = uint32(len(m.keys))
		m.numbers[k] = n
	}
	return n
}

// Score returns what a whole session says, as a [Session] would at its end.
func (m *Model[K]) Score(session []K) Surprise[K] {
	s := m.Start()
	for _, k := range session {
		s.step(k)
	}
	return s.End()
}
