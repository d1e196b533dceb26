package choice

import (
	"cmp"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// move is a change that was seen: from one value to another, the last time at.
type move struct {
	From, To penumbra.Value
	At       int64 // Unix seconds
	N        float32
}

// index is the last move under each key. Where there is no room the older half
// is dropped.
type index map[uint64]move

const maxIndex = 1 << 15

func (x index) put(key uint64, m move) {
	if old, ok := x[key]; ok && old.To == m.To {
		m.N += old.N
	}
	x[key] = m
	if len(x) <= maxIndex {
		return
	}
	type entry struct {
		key uint64
		at  int64
	}
	all := make([]entry, 0, len(x))
	for k, m := range x {
		all = append(all, entry{k, m.At})
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.key, b.key)) })
	for _, e := range all[:len(all)/2] {
		delete(x, e.key)
	}
}

// hash is the 64-bit FNV-1a hash of texts, one after the other.
func hash(texts ...string) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range texts {
		for i := 0; i < len(s); i++ {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	return h
}

// ring is the last different values that settings changed to, the latest last.
type ring []move

func (r *ring) put(m move, most int) {
	if i := slices.IndexFunc(*r, func(x move) bool { return x.To == m.To }); i >= 0 {
		m.N += (*r)[i].N
		*r = slices.Delete(*r, i, i+1)
	} else if len(*r) >= most {
		*r = slices.Delete(*r, 0, 1)
	}
	*r = append(*r, m)
}

// class is what is kept of one class.
type class struct {
	Recent ring   // the last values that members changed to
	Moves  []move // from one value to another, the latest last
	Fled   ring   // the last values that members departed to
	Rates  rates
	// W and G are what the class adds to the weights, and the sums of squared
	// gradients; nil until there is something.
	W, G []float32
}

const (
	maxRecent = 10
	maxMoves  = 64
	maxToken  = 6
	maxFled   = 6
)

func (c *class) move(m move) {
	c.Recent.put(m, maxRecent)
	if i := slices.IndexFunc(c.Moves, func(x move) bool { return x.From == m.From && x.To == m.To }); i >= 0 {
		m.N += c.Moves[i].N
		c.Moves = slices.Delete(c.Moves, i, i+1)
	} else if len(c.Moves) >= maxMoves {
		c.Moves = slices.Delete(c.Moves, 0, 1)
	}
	c.Moves = append(c.Moves, m)
}

// follow returns the last of the moves that begin with x: where its value went
// on to, at most four moves away.
func (c *class) follow(x *move) *move {
	for range 4 {
		next := x
		for i := range c.Moves {
			if y := &c.Moves[i]; y.From == x.To && y.At >= x.At {
				next = y // the latest is the last
			}
		}
		if next == x {
			break
		}
		x = next
	}
	return x
}

// left returns how many moves there were away from a value, and when the last
// was.
func (c *class) left(v penumbra.Value) (n float32, at int64) {
	if c == nil {
		return 0, 0
	}
	for i := range c.Moves {
		if c.Moves[i].From == v {
			n += c.Moves[i].N
			at = max(at, c.Moves[i].At)
		}
	}
	return n, at
}

func sortClasses(all []storedClass) {
	slices.SortFunc(all, func(a, b storedClass) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Path, b.Path)) })
}
