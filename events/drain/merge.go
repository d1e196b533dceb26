package drain

import "strings"

// variants is how many words in one place, all else being the same, make that
// place a parameter: few are the log's own, such as opened and closed, many are
// names. The paper tells lines apart by their first words whatever those are, so
// that a line which begins with a name would be of a new kind for each name.
const variants = 5

// merge makes one template of a new one, not kept yet, and of those that differ
// from it in one word only, if they are enough. It returns what they became, nil
// if nothing was merged.
func (m *Miner) merge(t *template) *template {
	if constants(t.tokens) < 3 {
		return nil // two words must be left
	}
	byPlace := make(map[int][]*template)
	for _, other := range m.order {
		if len(other.tokens) != len(t.tokens) {
			continue
		}
		if place := onlyDifference(other.tokens, t.tokens); place >= 0 {
			byPlace[place] = append(byPlace[place], other)
		}
	}
	for place := range t.tokens {
		if group := byPlace[place]; len(group)+1 >= variants {
			return m.join(group, place)
		}
	}
	return nil
}

// join keeps the oldest of a group of templates and makes a parameter of a place.
func (m *Miner) join(group []*template, place int) *template {
	first := group[0] // they are in the order of their creation
	lines := uint64(0)
	open := make([]bool, len(first.tokens))
	open[place] = true
	for _, t := range group {
		lines += t.lines
		for i, token := range t.tokens {
			open[i] = open[i] || token == wildcard
		}
		m.forget(t)
	}
	first.lines = lines
	for i := range open {
		if !open[i] {
			continue
		}
		first.tokens[i] = wildcard
		if i < len(first.path) {
			first.path[i] = wildcard
		}
	}
	first.describe()
	m.insert(first)
	m.link(first)
	return first
}

// constants counts the words of a template that are the log's own so far.
func constants(tokens []string) int {
	n := 0
	for _, token := range tokens {
		if isWord(token) {
			n++
		}
	}
	return n
}

// isWord reports whether a token has letters and no mask.
func isWord(token string) bool {
	return !strings.Contains(token, "<") && strings.ContainsFunc(token, func(r rune) bool { return r < 0x80 && isLetter(byte(r)) || r >= 0x80 })
}

// onlyDifference returns the place of the one word in which a template and a new
// one of its length differ, -1 if there is none or more than one, or if it is not a word in
// both.
func onlyDifference(a, b []string) int {
	place := -1
	for i := range a {
		if a[i] == b[i] || a[i] == wildcard {
			continue
		}
		if place >= 0 {
			return -1
		}
		place = i
	}
	if place >= 0 && isWord(a[place]) && isWord(b[place]) {
		return place
	}
	return -1
}
