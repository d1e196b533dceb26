package logkeys

import (
	"cmp"
	"math"
	"slices"
)

// Symbols that stand for no key. Zero is what was never learnt.
const (
	novel = 0
	begin = math.MaxUint32 - 1
	end   = math.MaxUint32
)

// tree counts which symbol follows which context, the last symbols up to its
// depth, for interpolated Kneser-Ney smoothing (Kneser and Ney, ICASSP 1995, in
// the interpolated form of Chen and Goodman, 1999, section 3). The longest
// context counts how often, a shorter one after how many different longer ones,
// so that a symbol that comes in one place only is not held to be usual
// elsewhere.
type tree struct {
	depth   int
	limit   int // of entries
	entries int // followers of all nodes
	nodes   map[uint64]*node
	once    []uint64 // followers counted once, by the length of the context
	twice   []uint64
}

type node struct {
	order   int
	shorter uint64 // digest of the context less its oldest symbol
	total   uint64
	next    []follower // sorted by symbol
}

type follower struct {
	_      struct{} `cbor:",toarray"`
	Symbol uint32
	Count  uint32
}

func newTree(depth, limit int) *tree {
	return &tree{
		depth: depth, limit: limit, nodes: map[uint64]*node{},
		once: make([]uint64, depth+1), twice: make([]uint64, depth+1),
	}
}

// contexts appends the digest of the empty context, of the last symbol, of the
// last two, and so on.
func (t *tree) contexts(out []uint64, history []uint32) []uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	out = append(out, h)
	for i := len(history) - 1; i >= max(0, len(history)-t.depth); i-- {
		h ^= (uint64(history[i]) + 1) * 0xff51afd7ed558ccd
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9 // splitmix64's finaliser
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
		out = append(out, h)
	}
	return out
}

func (n *node) find(symbol uint32) (int, bool) {
	return slices.BinarySearchFunc(n.next, symbol, func(f follower, s uint32) int { return cmp.Compare(f.Symbol, s) })
}

// discount is what each follower of a context of the length gives to those not
// seen there: n1/(n1 + 2·n2) of Ney, Essen and Kneser, 1994, from how many were
// counted once and twice, kept from 0 and 1.
func (t *tree) discount(order int) float64 {
	a, b := float64(t.once[order]), float64(t.twice[order])
	return min(0.95, max(0.05, (a+0.5)/(a+2*b+1)))
}

// probability returns that of the symbol after the contexts. Where nothing is
// known all symbols are alike, one never learnt among them.
func (t *tree) probability(contexts []uint64, symbol uint32) float64 {
	root := t.nodes[contexts[0]]
	if root == nil {
		return 1
	}
	p := 1 / float64(len(root.next)+1)
	for order, h := range contexts {
		n := t.nodes[h]
		if n == nil {
			break
		}
		d := t.discount(order)
		var own float64
		if i, ok := n.find(symbol); ok {
			own = float64(n.next[i].Count) - d
		}
		p = (own + d*float64(len(n.next))*p) / float64(n.total)
	}
	return p
}

// learn counts the symbol after the contexts. A shorter context is told only of
// what was new to the longer one.
func (t *tree) learn(contexts []uint64, symbol uint32) {
	for order := len(contexts) - 1; order >= 0; order-- {
		n := t.nodes[contexts[order]]
		if n == nil {
			n = &node{order: order, shorter: contexts[max(0, order-1)]}
			t.nodes[contexts[order]] = n
		}
		i, known := n.find(symbol)
		if !known {
			n.next = slices.Insert(n.next, i, follower{Symbol: symbol})
			t.entries++
		}
		f := &n.next[i]
		if f.Count == math.MaxUint32 {
			break
		}
		f.Count++
		n.total++
		t.tell(order, f.Count)
		if known {
			break
		}
	}
	for t.entries > t.limit {
		t.halve()
	}
}

// tell keeps the counts of counts when a follower's count becomes count.
func (t *tree) tell(order int, count uint32) {
	switch count {
	case 1:
		t.once[order]++
	case 2:
		t.once[order]--
		t.twice[order]++
	case 3:
		t.twice[order]--
	}
}

// halve makes room: all counts are halved and what was counted once goes, but a
// shorter context keeps what a longer one still has. Its cost is spread over the
// learning that filled the tree.
func (t *tree) halve() {
	clear(t.once)
	clear(t.twice)
	t.entries = 0
	byOrder := make([][]uint64, t.depth+1)
	for h, n := range t.nodes {
		byOrder[n.order] = append(byOrder[n.order], h)
		for i := range n.next {
			n.next[i].Count /= 2
		}
	}
	held := map[[2]uint64]uint32{} // by the longer contexts, of context and symbol
	for order := t.depth; order >= 0; order-- {
		longer := held
		held = map[[2]uint64]uint32{}
		for _, h := range byOrder[order] {
			n := t.nodes[h]
			n.total = 0
			for i := range n.next {
				f := &n.next[i]
				f.Count = max(f.Count, longer[[2]uint64{h, uint64(f.Symbol)}])
				n.total += uint64(f.Count)
				if f.Count > 0 {
					held[[2]uint64{n.shorter, uint64(f.Symbol)}]++
				}
			}
			n.next = slices.DeleteFunc(n.next, func(f follower) bool { return f.Count == 0 })
			if len(n.next) == 0 {
				delete(t.nodes, h)
				continue
			}
			n.next = slices.Clip(slices.Clone(n.next))
			t.count(n)
		}
	}
}

// count enters a node into the sums over all.
func (t *tree) count(n *node) {
	t.entries += len(n.next)
	for _, f := range n.next {
		switch f.Count {
		case 1:
			t.once[n.order]++
		case 2:
			t.twice[n.order]++
		}
	}
}

type ranked struct {
	symbol      uint32
	probability float64
}

// likeliest returns the symbols that most likely follow, at most n, of those
// that were seen to follow a part of the context; of all only if these are
// fewer.
func (t *tree) likeliest(contexts []uint64, n int) []ranked {
	var out []ranked
	seen := map[uint32]bool{}
	for order := len(contexts) - 1; order >= 0; order-- {
		x := t.nodes[contexts[order]]
		if x == nil || order == 0 && len(out) >= n {
			continue
		}
		for _, f := range x.next {
			if !seen[f.Symbol] {
				seen[f.Symbol] = true
				out = append(out, ranked{f.Symbol, t.probability(contexts, f.Symbol)})
			}
		}
	}
	slices.SortFunc(out, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.probability, a.probability), cmp.Compare(a.symbol, b.symbol))
	})
	return out[:min(n, len(out))]
}
