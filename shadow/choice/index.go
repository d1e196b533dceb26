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
	Normal   bool // not by departures only
}

// index is the last move under each key. Where there is no room the older half
// is dropped.
type index map[uint64]move

const maxIndex = 1 << 15

func (x index) put(key uint64, m move) {
	if old, ok := x[key]; ok && old.To == m.To {
		m.N += old.N
		m.Normal = m.Normal || old.Normal
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
		m.Normal = m.Normal || (*r)[i].Normal
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
	Rates  rates
}

const (
	maxRecent = 10
	maxMoves  = 48
	maxToken  = 6
)

func (c *class) move(m move) {
	c.Recent.put(m, maxRecent)
	if i := slices.IndexFunc(c.Moves, func(x move) bool { return x.From == m.From && x.To == m.To }); i >= 0 {
		m.N += c.Moves[i].N
		m.Normal = m.Normal || c.Moves[i].Normal
		c.Moves = slices.Delete(c.Moves, i, i+1)
	} else if len(c.Moves) >= maxMoves {
		c.Moves = slices.Delete(c.Moves, 0, 1)
	}
	c.Moves = append(c.Moves, m)
}
