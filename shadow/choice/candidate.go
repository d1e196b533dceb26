package choice

import (
	"slices"
	"strconv"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// question is which value a setting takes, and what is known of it.
type question struct {
	address           penumbra.Address
	kind, path, class string
	from              penumbra.Value
	earlier           []penumbra.Value
	second            int64
	known             *class // nil: none of its class ever changed
	form              form
	version           numbers
	versioned         bool
	families          uint64 // key of its family's settings of the class
	folders           uint64 // key of its folder's settings of the name
	token             string
	legitimate        bool // departures are left aside
}

// candidate is a value that it may take.
type candidate struct {
	value   penumbra.Value
	share   [origins]float32 // of what each origin gives; 0 where it does not
	at      int64            // when somebody last changed to it, 0 if nobody did
	moves   float32          // how many with this value went there
	held    float32          // share of the peers that have it
	arrived float32          // how many of the last changes of peers were to it
}

// maxCandidates bounds what is considered; origins are asked in their order.
const maxCandidates = 64

// gathering is the candidates of one question. Its memory is reused.
type gathering struct {
	candidates []candidate
	held       []shadow.Held
	index      map[penumbra.Value]int
	moved      float32 // moves from the present value
	peers      float64
	features   []float32 // of each candidate, width of them
	scores     []float64
	chances    []float64 // probabilities, in the order of candidates
}

// add enters a candidate that a origin gives.
func (g *gathering) add(q *question, s origin, v penumbra.Value, share float64, at int64) *candidate {
	if v == q.from || v.IsNull() || v.Kind() == penumbra.UnknownKind {
		return nil
	}
	i, ok := g.index[v]
	if !ok {
		if len(g.candidates) == maxCandidates {
			return nil
		}
		i = len(g.candidates)
		g.index[v] = i
		g.candidates = append(g.candidates, candidate{value: v})
	}
	c := &g.candidates[i]
	c.share[s] = min(1, c.share[s]+float32(share))
	c.at = max(c.at, at)
	return c
}

// gather collects the candidates. "Something new" is the first of them.
func (m *Model) gather(g *gathering, q *question) {
	g.candidates, g.held, g.moved, g.peers = append(g.candidates[:0], candidate{}), g.held[:0], 0, 0
	g.candidates[0].share[somethingNew] = 1
	if g.index == nil {
		g.index = map[penumbra.Value]int{}
	}
	clear(g.index)
	m.gatherMoves(g, q)
	m.gatherClass(g, q)
	m.gatherOwn(g, q)
	m.gatherVersions(g, q)
	m.gatherElsewhere(g, q)
	m.gatherFled(g, q)
}

// gatherFled asks what peers departed to, unless that is left aside.
func (m *Model) gatherFled(g *gathering, q *question) {
	if q.known == nil || q.legitimate {
		return
	}
	r := q.known.Fled
	for i := len(r) - 1; i >= 0; i-- {
		x := &r[i]
		s := fledOther
		if x.From == q.from {
			s = fledAlike
		}
		g.add(q, s, x.To, 1/float64(len(r)-i), x.At)
	}
}

// gatherMoves asks where those went that had the same value, and which edits
// peers made.
func (m *Model) gatherMoves(g *gathering, q *question) {
	if q.known != nil {
		moves := q.known.Moves
		for i := range moves {
			if moves[i].From == q.from {
				g.moved += moves[i].N
			}
		}
		last, most := -1, -1
		for i := len(moves) - 1; i >= 0; i-- {
			x := &moves[i]
			if x.From != q.from {
				continue
			}
			if last < 0 {
				last = i
			}
			if most < 0 || x.N > moves[most].N {
				most = i
			}
			if c := g.add(q, movedAny, x.To, float64(x.N/g.moved), x.At); c != nil {
				c.moves += x.N
			}
		}
		if last >= 0 {
			g.add(q, movedLast, moves[last].To, 1, moves[last].At)
			g.add(q, movedMost, moves[most].To, 1, moves[most].At)
			if x := q.known.follow(&moves[last]); x != &moves[last] {
				g.add(q, movedOn, x.To, 1, x.At)
			}
		}
		for i, edits := len(moves)-1, 0; i >= 0 && edits < 4; i-- {
			x := &moves[i]
			if v, ok := edited(x.From, x.To, q.from); ok {
				g.add(q, classEdit, v, 1/float64(1+edits), 0)
				edits++
			}
			if v, ok := scaled(x.From, x.To, q.from); ok && edits < 4 {
				g.add(q, classStep, v, 1/float64(1+edits), 0)
				edits++
			}
		}
	}
	if x, ok := m.tokenMoves[hash(q.token, q.from.Text())]; ok {
		g.add(q, tokenMoved, x.To, 1, x.At)
	}
	if x, ok := m.moves[hash(q.from.Text())]; ok {
		g.add(q, anyMoved, x.To, 1, x.At)
	}
}

// gatherClass asks what peers changed to, and what they have.
func (m *Model) gatherClass(g *gathering, q *question) {
	if q.known != nil {
		r := q.known.Recent
		for i := len(r) - 1; i >= 0; i-- {
			x, s, share := &r[i], recent, 1/float64(max(1, len(r)-2))
			switch i {
			case len(r) - 1:
				s, share = latest, 1
			case len(r) - 2:
				s, share = before, 1
			}
			if c := g.add(q, s, x.To, share, x.At); c != nil {
				c.arrived = x.N
			}
		}
	}
	g.held = m.counts.Holds(g.held, q.kind, q.class)
	g.held = slices.DeleteFunc(g.held, func(x shadow.Held) bool { return x.Since >= q.second })
	var others float64
	most := -1
	for i, x := range g.held {
		g.peers += x.Holders
		if x.Value == q.from {
			continue
		}
		others += x.Holders + x.Arrivals
		if most < 0 || x.Holders > g.held[most].Holders {
			most = i
		}
	}
	for i, x := range g.held {
		c := g.add(q, held, x.Value, (x.Holders+x.Arrivals+0.1)/(others+1), 0)
		if c != nil {
			c.held = float32(x.Holders / (g.peers + 1))
		}
		if i == most && x.Holders > 0 {
			g.add(q, common, x.Value, 1, 0)
		}
	}
}

// gatherOwn asks the setting's own past, and its neighbours in a list.
func (m *Model) gatherOwn(g *gathering, q *question) {
	for i, v := range q.earlier {
		if i == 0 {
			g.add(q, ownLast, v, 1, 0)
		} else {
			g.add(q, ownOlder, v, 1/float64(len(q.earlier)-1), 0)
		}
	}
	switch q.from.Text() {
	case "true":
		g.add(q, flip, likeBool(q.from, "false"), 1, 0)
	case "false":
		g.add(q, flip, likeBool(q.from, "true"), 1, 0)
	}
	begin, end := lastIndex(q.path)
	if begin == end {
		return
	}
	n, err := strconv.Atoi(q.path[begin:end])
	if err != nil {
		return
	}
	beside := func(s origin, i int) {
		v, _, away := m.counts.Before(q.address, q.path[:begin]+strconv.Itoa(i)+q.path[end:], q.second)
		if away {
			return
		}
		g.add(q, s, v, 1, 0)
	}
	beside(elementAfter, n+1)
	if n > 0 {
		beside(elementBefore, n-1)
	}
}

func likeBool(like penumbra.Value, text string) penumbra.Value {
	if like.Kind() == penumbra.BoolKind {
		return penumbra.Bool(text == "true")
	}
	return penumbra.String(text)
}

// lastIndex returns where the last number that is a step of the path stands.
func lastIndex(path string) (begin, end int) {
	for end = len(path); end > 0; end-- {
		if !isDigit(path[end-1]) || end < len(path) && path[end] != '.' && path[end] != ']' {
			continue
		}
		for begin = end; begin > 0 && isDigit(path[begin-1]); begin-- {
		}
		if begin == 0 || path[begin-1] == '.' || path[begin-1] == '[' {
			return begin, end
		}
		end = begin + 1
	}
	return 0, 0
}

// gatherVersions asks for the next versions, and for the newer ones that peers
// have.
func (m *Model) gatherVersions(g *gathering, q *question) {
	if !q.versioned {
		return
	}
	if q.version.n == 1 {
		if v, ok := q.version.raised(0, q.from); ok {
			g.add(q, nextWhole, v, 1, 0)
		}
	} else {
		for i, s := range [...]origin{nextPatch, nextMinor, nextMajor} {
			if part := q.version.n - 1 - i; part >= 0 {
				if v, ok := q.version.raised(part, q.from); ok {
					g.add(q, s, v, 1, 0)
				}
			}
		}
		if v, ok := q.version.deeper(q.from); ok {
			g.add(q, nextDeeper, v, 1, 0)
		}
	}
	var next, top *candidate
	var nextAt, topAt numbers
	for i := range g.candidates {
		c := &g.candidates[i]
		if c.share[held] == 0 && c.share[latest] == 0 && c.share[before] == 0 && c.share[recent] == 0 {
			continue
		}
		x, ok := parse(c.value)
		if !ok || !x.like(&q.version) || x.compare(&q.version) <= 0 {
			continue
		}
		if next == nil || x.compare(&nextAt) < 0 {
			next, nextAt = c, x
		}
		if top == nil || x.compare(&topAt) > 0 {
			top, topAt = c, x
		}
	}
	if next != nil {
		next.share[newer] = 1
		top.share[newest] = 1
	}
}

// gatherElsewhere asks what other classes, the folder and the sibling
// environment did.
func (m *Model) gatherElsewhere(g *gathering, q *question) {
	if x, ok := m.siblings[q.families]; ok {
		g.add(q, siblingMoved, x.To, 1, x.At)
		if v, ok := edited(x.From, x.To, q.from); ok {
			g.add(q, siblingEdit, v, 1, 0)
		}
	}
	if x, ok := m.folders[q.folders]; ok {
		g.add(q, folderRecent, x.To, 1, x.At)
	}
	r := m.tokens[q.token]
	for i := len(r) - 1; i >= 0; i-- {
		x := &r[i]
		g.add(q, tokenRecent, x.To, 1/float64(len(r)), x.At)
		if v, ok := edited(x.From, x.To, q.from); ok {
			g.add(q, tokenEdit, v, 1/float64(len(r)-i), 0)
		}
	}
}
