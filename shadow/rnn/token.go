package rnn

import "math"

// Token returns the feature hash of a value of a field ("actor", "alice"), 32
// well-mixed bits (FNV-1a, then the finaliser of MurmurHash3).
func Token(field, value string) uint32 {
	h := uint32(2166136261)
	for i := range len(field) {
		h = (h ^ uint32(field[i])) * 16777619
	}
	h *= 16777619 // a zero byte between them
	for i := range len(value) {
		h = (h ^ uint32(value[i])) * 16777619
	}
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	return h ^ h>>16
}

// row returns the embedding row of a token and the sign with which it counts:
// signed feature hashing, so that tokens that share a row cancel on average
// (Weinberger et al. 2009, section 2).
func (n *Network) row(token uint32) (int, float32) {
	if token>>31 == 1 {
		return int(token) & (n.config.Rows - 1), -1
	}
	return int(token) & (n.config.Rows - 1), 1
}

// embed sets dst to the sum of the tokens' embeddings, divided by the root of
// their number.
func (n *Network) embed(dst []float32, tokens []uint32) {
	clear(dst)
	if len(tokens) == 0 {
		return
	}
	scale := tokenScale(len(tokens))
	table := n.at.embedding.of(n.params)
	for _, t := range tokens {
		r, sign := n.row(t)
		w := sign * scale
		e := table[r*len(dst):][:len(dst)]
		for i, x := range e {
			dst[i] += w * x
		}
	}
}

func tokenScale(n int) float32 { return float32(1 / math.Sqrt(float64(n))) }
