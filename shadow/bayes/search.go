package bayes

import (
	"hash/fnv"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// search climbs from structure to structure. A structure is the set of parents
// of each variable.
type search struct {
	scorer *scorer
	opts   Options
	random *rand.Rand
}

type operation uint8

const (
	add operation = iota
	remove
	reverse
)

// move changes the arc from parent to child.
type move struct {
	operation     operation
	parent, child int
}

// gainful is the least gain that counts: less is rounding between structures
// that score the same.
const gainful = 1e-7

// remembered is how many structures a search does not visit again.
const remembered = 128

// climb returns the best structure that is found from the start.
func (s *search) climb(start []uint64) []uint64 {
	best, top := s.ascend(start)
	for range s.opts.Restarts {
		shaken := slices.Clone(best)
		for range len(shaken)/2 + 1 {
			moves := s.moves(shaken)
			if len(moves) == 0 {
				break
			}
			s.apply(shaken, moves[s.random.IntN(len(moves))])
		}
		if next, score := s.ascend(shaken); score > top+gainful {
			best, top = next, score
		}
	}
	return best
}

// ascend takes the best move each time, also one that loses, and ends after so
// many moves without a new best.
func (s *search) ascend(start []uint64) (best []uint64, top float64) {
	present := slices.Clone(start)
	var score float64
	for i, parents := range present {
		score += s.scorer.score(i, parents)
	}
	best, top = slices.Clone(present), score
	visited := map[uint64]bool{fingerprint(present): true}
	recent := []uint64{fingerprint(present)}
	for idle := 0; idle <= s.opts.Patience; {
		chosen, gain := move{}, math.Inf(-1)
		for _, m := range s.moves(present) {
			if g := s.gain(present, m); g > gain+gainful && !s.seen(visited, present, m) {
				chosen, gain = m, g
			}
		}
		if math.IsInf(gain, -1) {
			break
		}
		s.apply(present, chosen)
		score += gain
		f := fingerprint(present)
		visited[f] = true
		if recent = append(recent, f); len(recent) > remembered {
			delete(visited, recent[0])
			recent = recent[1:]
		}
		if idle++; score > top+gainful {
			best, top, idle = slices.Clone(present), score, 0
		}
	}
	return best, top
}

// seen reports whether the move leads to a structure visited before.
func (s *search) seen(visited map[uint64]bool, present []uint64, m move) bool {
	next := slices.Clone(present)
	s.apply(next, m)
	return visited[fingerprint(next)]
}

func fingerprint(structure []uint64) uint64 {
	h := fnv.New64a()
	var b [8]byte
	for _, p := range structure {
		for i := range b {
			b[i] = byte(p >> (8 * i))
		}
		_, _ = h.Write(b[:]) // a hash never fails
	}
	return h.Sum64()
}

// moves returns all that keep the tiers, the bound on parents and the absence
// of cycles, always in the same order.
func (s *search) moves(structure []uint64) []move {
	variables := s.scorer.table.variables
	above := ancestry(structure)
	var out []move
	for c := range structure {
		for p := range structure {
			switch {
			case p == c || variables[p].Tier > variables[c].Tier:
			case structure[c]&bit(p) != 0:
				out = append(out, move{remove, p, c})
				if variables[p].Tier == variables[c].Tier && s.room(structure[p]) && !indirect(structure, above, p, c) {
					out = append(out, move{reverse, p, c})
				}
			case s.room(structure[c]) && above[p]&bit(c) == 0:
				out = append(out, move{add, p, c})
			}
		}
	}
	return out
}

func (s *search) room(parents uint64) bool { return bits.OnesCount64(parents) < s.opts.MaxParents }

// ancestry returns the ancestors of each variable, itself included.
func ancestry(structure []uint64) []uint64 {
	above := make([]uint64, len(structure))
	for i := range above {
		above[i] = bit(i)
	}
	for again := true; again; {
		again = false
		for i, parents := range structure {
			grown := above[i]
			for x := parents; x != 0; x &= x - 1 {
				grown |= above[bits.TrailingZeros64(x)]
			}
			if grown != above[i] {
				above[i], again = grown, true
			}
		}
	}
	return above
}

// indirect reports whether p leads to c by more than the arc between them.
func indirect(structure, above []uint64, p, c int) bool {
	for x := structure[c] &^ bit(p); x != 0; x &= x - 1 {
		if above[bits.TrailingZeros64(x)]&bit(p) != 0 {
			return true
		}
	}
	return false
}

func (s *search) gain(structure []uint64, m move) float64 {
	own := func(i int, parents uint64) float64 { return s.scorer.score(i, parents) }
	p, c := m.parent, m.child
	switch m.operation {
	case add:
		return own(c, structure[c]|bit(p)) - own(c, structure[c])
	case remove:
		return own(c, structure[c]&^bit(p)) - own(c, structure[c])
	}
	return own(c, structure[c]&^bit(p)) - own(c, structure[c]) + own(p, structure[p]|bit(c)) - own(p, structure[p])
}

func (s *search) apply(structure []uint64, m move) {
	structure[m.child] ^= bit(m.parent)
	if m.operation == reverse {
		structure[m.parent] |= bit(m.child)
	}
}
