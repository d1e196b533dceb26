package drain

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"strings"
)

// Options bound a miner. The zero value of each field stands for its default.
type Options struct {
	// Depth of the tree, the paper's depth: the root, the length, then Depth - 2
	// levels of words. 3 to 8, default 4.
	Depth int
	// Similarity is the paper's st: the share of a line's tokens that must be the
	// template's for it to take the line. Above 0 to 1, default 0.7.
	Similarity float64
	// Children is the paper's maxChild: how many words a node tells apart. Default 100.
	Children int
	// Templates is how many are kept; the one used longest ago goes. Default 5,000.
	Templates int
	// Tokens is how many of a line are looked at; the rest is one parameter.
	// Default 128.
	Tokens int
	// LineBytes is how much of a line is looked at. Default 4,096.
	LineBytes int
}

func (o Options) withDefaults() Options {
	or := func(n *int, low, high, otherwise int) {
		if *n == 0 {
			*n = otherwise
		}
		*n = min(max(*n, low), high)
	}
	or(&o.Depth, 3, 8, 4)
	or(&o.Children, 2, 10_000, 100)
	or(&o.Templates, 1, 1_000_000, 5_000)
	or(&o.Tokens, 2, 1_024, 128)
	or(&o.LineBytes, 64, 1<<16, 4_096)
	if !(o.Similarity > 0 && o.Similarity <= 1) {
		o.Similarity = 0.7
	}
	return o
}

// ID names a template for good.
type ID uint64

func (id ID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// Match is what a miner says of a line.
type Match struct {
	ID ID
	// Template is the line with its parameters taken out, as far as is known now:
	// "Failed password for <*> from <ip> port <num> ssh2".
	Template string
	// Name is Template's words, short: "Failed password for from port ssh2".
	Name string
	// Parameters are what stood in place of each mask and <*>, in order.
	Parameters []string
	// New reports that this is the first line of its template.
	New bool
}

// Template is one kind of line as a miner knows it.
type Template struct {
	ID    ID
	Text  string
	Name  string
	Lines uint64 // that it took
}

const wildcard = "<*>"

type template struct {
	id     ID
	tokens []string
	lines  uint64
	path   []string // from the root, the length left out
	text   string
	name   string

	used        uint64 // the number of the line that it took last
	newer, last *template
}

type node struct {
	children  map[string]*node
	templates []*template // of a leaf, in the order of their creation
}

// Miner finds the templates of lines.
type Miner struct {
	options Options
	byID    map[ID]*template
	lengths map[int]*node
	order   []*template // by creation
	// oldest and newest are the ends of the chain by last use.
	oldest, newest *template
	seen           uint64 // lines
	scanner        scanner
}

// New returns a miner that knows no template.
func New(o Options) *Miner {
	return &Miner{options: o.withDefaults(), byID: make(map[ID]*template), lengths: make(map[int]*node)}
}

// Learn returns the template of a line, a new one if none is near enough.
func (m *Miner) Learn(line string) Match {
	m.scanner.scan(line, &m.options)
	m.seen++
	t := m.find()
	fresh := t == nil
	if fresh {
		t, fresh = m.create()
	}
	if !fresh {
		m.widen(t)
		m.unlink(t)
	}
	t.lines++
	t.used = m.seen
	m.link(t)
	return m.answer(t, fresh)
}

// Match returns the template of a line without learning; ok is false if none of
// those known is near enough.
func (m *Miner) Match(line string) (match Match, ok bool) {
	m.scanner.scan(line, &m.options)
	t := m.find()
	if t == nil {
		return Match{}, false
	}
	return m.answer(t, false), true
}

// Templates returns what is known, in the order of the first line of each.
func (m *Miner) Templates() []Template {
	out := make([]Template, len(m.order))
	for i, t := range m.order {
		out[i] = Template{ID: t.id, Text: t.text, Name: t.name, Lines: t.lines}
	}
	return out
}

func (m *Miner) answer(t *template, fresh bool) Match {
	return Match{ID: t.id, Template: t.text, Name: t.name, Parameters: m.scanner.parameters(t.tokens), New: fresh}
}

// step returns the key of a token on its way down: what holds a digit or a mask
// is most likely a parameter (III.D).
func step(token []byte) []byte {
	for _, c := range token {
		if c >= '0' && c <= '9' || c == '<' {
			return wildcardBytes
		}
	}
	return token
}

var wildcardBytes = []byte(wildcard)

// levels is how many words lead from a length to a leaf of lines of that length.
func (m *Miner) levels(length int) int { return min(m.options.Depth-2, length) }

// find returns the nearest template of the line scanned, nil if none is near
// enough. Of equally near ones it is the one with the most parameters, then the
// one found first. Unlike the paper's it also looks where the templates are whose
// word here is a parameter.
func (m *Miner) find() *template {
	least := int(math.Ceil(m.options.Similarity * float64(len(m.scanner.tokens))))
	best := nearest{same: least, wild: -1}
	if n := m.lengths[len(m.scanner.tokens)]; n != nil {
		m.scanner.search(n, 0, m.levels(len(m.scanner.tokens)), &best)
	}
	return best.template
}

type nearest struct {
	template   *template
	same, wild int
}

func (s *scanner) search(n *node, level, levels int, best *nearest) {
	if level < levels {
		key := step(s.token(level))
		if next := n.children[string(key)]; next != nil {
			s.search(next, level+1, levels, best)
		}
		if next := n.children[wildcard]; next != nil && string(key) != wildcard {
			s.search(next, level+1, levels, best)
		}
		return
	}
	for _, t := range n.templates {
		same, wild := s.compare(t.tokens, best.same)
		if same > best.same || same == best.same && wild > best.wild {
			*best = nearest{t, same, wild}
		}
	}
}

// compare counts the tokens that the line has in common with a template, and the
// template's parameters. It gives up, with -1, where fewer than least are left.
func (s *scanner) compare(template []string, least int) (same, wild int) {
	for i, token := range template {
		switch {
		case token == wildcard:
			wild++
		case string(s.token(i)) == token:
			same++
		}
		if same+len(template)-1-i < least {
			return -1, 0
		}
	}
	return same, wild
}

// create makes a template of the line scanned; fresh is false if it was merged
// into one that was there.
func (m *Miner) create() (t *template, fresh bool) {
	for len(m.order) >= m.options.Templates {
		m.forget(m.oldest)
	}
	s := &m.scanner
	t = &template{tokens: make([]string, len(s.tokens))}
	h := fnv.New64a()
	for i := range s.tokens {
		t.tokens[i] = string(s.token(i))
		_, _ = io.WriteString(h, t.tokens[i])
		_, _ = h.Write([]byte{0})
	}
	for t.id = ID(h.Sum64()); m.byID[t.id] != nil; {
		t.id++
	}
	if into := m.merge(t); into != nil {
		return into, false
	}
	t.path = m.pathOf(t.tokens)
	t.describe()
	if leaf := m.leaf(t); leaf != nil && len(leaf.templates) >= maxLeaf {
		m.forget(slices.MinFunc(leaf.templates, func(a, b *template) int { return cmp.Compare(a.used, b.used) }))
	}
	m.insert(t)
	return t, true
}

// maxLeaf is how many templates a leaf holds; each of its lines is held against
// all of them. The one used longest ago goes.
const maxLeaf = 256

// leaf returns where a template belongs, nil if nothing is there yet.
func (m *Miner) leaf(t *template) *node {
	n := m.lengths[len(t.tokens)]
	for _, word := range t.path {
		if n == nil {
			return nil
		}
		n = n.children[word]
	}
	return n
}

// pathOf returns the words that a new template is kept under.
func (m *Miner) pathOf(tokens []string) []string {
	path := make([]string, m.levels(len(tokens)))
	n := m.lengths[len(tokens)]
	for i := range path {
		path[i] = string(step([]byte(tokens[i])))
		if n == nil {
			continue
		}
		// The last place is the one of all other words (III.D).
		if n.children[path[i]] == nil && len(n.children) >= m.options.Children-1 {
			path[i] = wildcard
		}
		n = n.children[path[i]]
	}
	return path
}

func (m *Miner) insert(t *template) {
	n := m.lengths[len(t.tokens)]
	if n == nil {
		n = &node{}
		m.lengths[len(t.tokens)] = n
	}
	for _, key := range t.path {
		next := n.children[key]
		if next == nil {
			if n.children == nil {
				n.children = make(map[string]*node)
			}
			next = &node{}
			n.children[key] = next
		}
		n = next
	}
	n.templates = append(n.templates, t)
	m.byID[t.id] = t
	m.order = append(m.order, t)
}

// forget removes a template and the branches that lead to nothing else.
func (m *Miner) forget(t *template) {
	m.unlink(t)
	delete(m.byID, t.id)
	m.order = slices.DeleteFunc(m.order, func(x *template) bool { return x == t })
	root := m.lengths[len(t.tokens)]
	if root.remove(t, t.path) {
		delete(m.lengths, len(t.tokens))
	}
}

// remove reports whether nothing is left of the node.
func (n *node) remove(t *template, path []string) bool {
	if len(path) == 0 {
		n.templates = slices.DeleteFunc(n.templates, func(x *template) bool { return x == t })
		return len(n.templates) == 0
	}
	if n.children[path[0]].remove(t, path[1:]) {
		delete(n.children, path[0])
	}
	return len(n.children) == 0
}

// widen makes a parameter of each token in which the line scanned differs.
func (m *Miner) widen(t *template) {
	changed := false
	for i, token := range t.tokens {
		if token != wildcard && string(m.scanner.token(i)) != token {
			t.tokens[i] = wildcard
			changed = true
		}
	}
	if changed {
		t.describe()
	}
}

func (m *Miner) link(t *template) {
	t.last, t.newer = m.newest, nil
	if m.newest != nil {
		m.newest.newer = t
	} else {
		m.oldest = t
	}
	m.newest = t
}

func (m *Miner) unlink(t *template) {
	if t.last != nil {
		t.last.newer = t.newer
	} else {
		m.oldest = t.newer
	}
	if t.newer != nil {
		t.newer.last = t.last
	} else {
		m.newest = t.last
	}
	t.last, t.newer = nil, nil
}

const (
	nameWords = 7
	nameBytes = 64
)

// describe writes the template's text and its name.
func (t *template) describe() {
	t.text = strings.Join(t.tokens, " ")
	var words []string
	length := 0
	for _, token := range t.tokens {
		word := strings.Trim(unmask(token), `.,:;=()[]{}<>|"'!?-#&@/\`)
		if word == "" || len(word) > nameBytes/2 {
			continue
		}
		if length += len(word) + 1; length > nameBytes || len(words) == nameWords {
			break
		}
		words = append(words, word)
	}
	t.name = strings.Join(words, " ")
	if t.name == "" {
		t.name = "line " + t.id.String()
	}
}

// unmask returns the part of a token that stands before its first mask, and all
// of it if it has none.
func unmask(token string) string {
	before, _, _ := strings.Cut(token, "<")
	return before
}
