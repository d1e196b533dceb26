package logkeys

import "math"

// Session is a running session. It keeps the last keys and a count for each
// different key, and learns nothing.
type Session[K Key] struct {
	model    *Model[K]
	history  []uint32
	counts   tallies
	length   int
	unseen   K // the first key that was never learnt
	ended    bool
	evidence evidence
	running  Event[K] // the most surprising so far
	content  Event[K] // the most surprising of the counts, at the end

	contexts []uint64
}

// Start returns a new session.
func (m *Model[K]) Start() *Session[K] {
	return &Session[K]{model: m, history: append(make([]uint32, 0, m.options.Depth), begin)}
}

// Next takes the session's next key in and returns what all so far say. After
// the end it changes nothing.
func (s *Session[K]) Next(key K) Surprise[K] {
	s.step(key)
	return s.surprise()
}

// End returns what the whole session says: also that it ends here, and how often
// each key came.
func (s *Session[K]) End() Surprise[K] {
	s.finish()
	return s.surprise()
}

func (s *Session[K]) surprise() Surprise[K] {
	p, counts := s.model.view.p(s.evidence)
	if counts {
		return Surprise[K]{p, s.content}
	}
	return Surprise[K]{p, s.running}
}

func (s *Session[K]) step(key K) {
	m := s.model
	if s.ended || m.sessions == 0 {
		return
	}
	n := m.numbers[key]
	if n == novel && (len(s.counts) == 0 || s.counts[0].key != novel) {
		s.unseen = key
	}
	s.transition(Event[K]{Kind: Transition, Key: key, At: s.length}, n)
	count := s.counts.add(n)
	if n != novel && (count == 1 || bucket(count) != bucket(count-1)) {
		s.excess(Event[K]{Kind: Excess, Key: key, At: s.length, Times: int(count)}, m.times[n-1], count)
	}
	s.length++
	if length := clamp(s.length); bucket(length) != bucket(length-1) {
		s.excess(Event[K]{Kind: Length, At: s.length - 1, Times: s.length}, m.length, length)
	}
}

// transition weighs a symbol against the keys before it.
func (s *Session[K]) transition(e Event[K], symbol uint32) {
	t := s.model.order
	s.contexts = t.contexts(s.contexts[:0], s.history)
	e.Nats = -math.Log(t.probability(s.contexts, symbol))
	if s.worse(e) {
		s.explain(&s.running, t, s.contexts, s.model.fromKey)
	}
	s.history = push(s.history, symbol, t.depth)
}

func (s *Session[K]) excess(e Event[K], h histogram, count uint32) {
	e.Nats = -math.Log(h.reach(count, s.model.sessions))
	s.worse(e)
}

// worse keeps the event if it is the most surprising of the keys' so far.
func (s *Session[K]) worse(e Event[K]) bool {
	if e.Nats <= s.evidence.Running && s.running.Kind != None {
		return false
	}
	s.evidence.Running = max(0, e.Nats)
	s.running = e
	return true
}

// explain says what was expected instead, where it is worth the time.
func (s *Session[K]) explain(e *Event[K], t *tree, contexts []uint64, from func(uint32) Expected[K]) {
	if p, _ := s.model.view.p(s.evidence); p > 0.1 {
		return
	}
	for _, r := range t.likeliest(contexts, alternatives) {
		x := from(r.symbol)
		x.Probability = r.probability
		e.Expected = append(e.Expected, x)
	}
}

// finish weighs the end and the counts.
func (s *Session[K]) finish() {
	m := s.model
	if s.ended || m.sessions == 0 {
		return
	}
	s.ended = true
	s.transition(Event[K]{Kind: Ending, At: s.length}, end)
	s.history = append(s.history[:0], begin)
	var worst []uint64
	for _, t := range append(s.counts.inOrder(), tally{key: end}) {
		symbol, e := t.symbol(), Event[K]{Kind: Count, At: s.length, Times: int(t.count)}
		switch t.key {
		case end:
		case novel:
			e.Key = s.unseen
		default:
			e.Key = m.keys[t.key-1]
		}
		s.contexts = m.content.contexts(s.contexts[:0], s.history)
		e.Nats = -math.Log(m.content.probability(s.contexts, symbol))
		s.evidence.Counts += max(0, e.Nats)
		if worst == nil || e.Nats > s.content.Nats {
			s.content, worst = e, append(worst[:0], s.contexts...)
		}
		s.history = push(s.history, symbol, m.content.depth)
	}
	s.explain(&s.content, m.content, worst, m.fromCount)
}

func (m *Model[K]) fromKey(symbol uint32) Expected[K] {
	if symbol == end {
		return Expected[K]{End: true}
	}
	return Expected[K]{Key: m.name(symbol)}
}

func (m *Model[K]) fromCount(symbol uint32) Expected[K] {
	if symbol == end {
		return Expected[K]{End: true}
	}
	return Expected[K]{Key: m.name(symbol >> bucketBits), Times: least(symbol & (1<<bucketBits - 1))}
}

// name returns the key of a number; the zero key for those without one.
func (m *Model[K]) name(number uint32) K {
	if number == novel {
		var none K
		return none
	}
	return m.keys[number-1]
}
