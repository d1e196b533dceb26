package choice

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/conformal"
)

// Options are the choices of a model. The zero value is a good one.
type Options struct {
	// Rate is the step of AdaGrad, 0.1 if 0.
	Rate float64
	// Sweep says how much n changes of one class in one commit teach: n to the
	// power of it, 0.3 if 0. Changes made together choose together.
	Sweep float64
	// Lessons is of how many changes a day all are learnt from, 2000 if 0; beyond
	// it one in [beyond] is, so that what a busy day costs is bounded. All of them
	// become candidates.
	Lessons int
	// Calibration are the choices of the calibration of the sets.
	Calibration conformal.Options
}

// Model chooses values.
type Model struct {
	counts  *shadow.Pooled
	options Options
	state
	pending  commit
	scratch  gathering
	question question
	asked    asked // what scratch holds the answer to
}

// asked is a question that was answered; the next is often the same one at
// another confidence.
type asked struct {
	address    penumbra.Address
	path       string
	second     int64
	from       penumbra.Value
	legitimate bool
}

// state is all that a checkpoint holds.
type state struct {
	classes    map[classKey]*class
	tokens     map[string]ring   // by last path token: the last values
	names      map[string]*rates // by last path token
	tokenMoves index             // by last path token and value
	moves      index             // by value
	siblings   index             // by family and class
	folders    index             // by folder and last path token
	estate     rates
	forms      [forms]rates
	weights    weights
	sets       *conformal.Calibrator // of the next value, given a change
	looks      *conformal.Calibrator // of the value at the next look
	today      int64                 // days since 1970 of the last change
	lessons    int                   // changes of that day that could teach
}

type classKey struct{ kind, path string }

// commit is what changed in observations of one time and source, and was not
// learnt yet.
type commit struct {
	second     int64
	source     string
	lessons    map[classKey]*lesson
	order      []classKey
	moves      []pendingMove
	outcomes   []conformal.Outcome
	outcomesOf []classKey
}

// lesson is what the changes of one class in a commit teach.
type lesson struct {
	n           float64
	forms       [forms]int // how many had it
	gradient    [features]float64
	hits, asked [origins]float32
}

type pendingMove struct {
	key             classKey
	token           string
	family, folders uint64
	move            move
	departure       bool
}

// New returns a model beside a pooled one that observes the same estate. Wire
// Learn to its changes.
func New(counts *shadow.Pooled, o Options) *Model {
	if o.Rate <= 0 {
		o.Rate = 0.1
	}
	if o.Sweep <= 0 {
		o.Sweep = 0.3
	}
	if o.Lessons <= 0 {
		o.Lessons = 2000
	}
	if o.Calibration.Rate == 0 {
		o.Calibration.Rate = 0.002 // what one sweep missed is made up for slowly, so that sets stay small
	}
	return &Model{counts: counts, options: o, state: newState(o), pending: commit{lessons: map[classKey]*lesson{}}}
}

func newState(o Options) state {
	s := state{
		classes: map[classKey]*class{}, tokens: map[string]ring{}, names: map[string]*rates{},
		tokenMoves: index{}, moves: index{}, siblings: index{}, folders: index{},
		weights: newWeights(), sets: conformal.New(o.Calibration), looks: conformal.New(conformal.Options{Life: 20000, Rate: -1}),
	}
	s.start()
	return s
}

var _ shadow.Chooser = (*Model)(nil)

// Learn takes a change in, before the pooled model's counts know of it. What one
// commit changed is learnt when the next one begins.
func (m *Model) Learn(c *shadow.Change) {
	second := c.By.Time.Unix()
	if second != m.pending.second || c.By.Source != m.pending.source {
		m.flush()
		m.pending.second, m.pending.source = second, c.By.Source
	}
	m.asked = asked{}
	key := classKey{c.Type, c.Class}
	q := &m.question
	_, earlier, _ := m.counts.Before(c.Resource, c.Path, second)
	m.pose(q, c.Resource, key, c.Path, c.From, earlier, second)
	m.pending.moves = append(m.pending.moves, pendingMove{
		key: key, token: q.token, family: q.families, folders: q.folders,
		move: move{From: c.From, To: c.To, At: second, N: 1}, departure: c.Departure,
	})
	if c.From.IsNull() || c.To.IsNull() { // it appeared or ended
		return
	}
	if !m.teaches(second) {
		return
	}
	g := &m.scratch
	m.gather(g, q)
	m.judge(g, q)
	if !c.Departure {
		m.lesson(key, q, g, g.find(c.To))
	}
	m.pending.outcomes = append(m.pending.outcomes, outcome(g, q, g.find(c.To)))
	m.pending.outcomesOf = append(m.pending.outcomesOf, key)
}

// beyond is which share of what exceeds a day's lessons is learnt from. What the
// two thousandth change of a day teaches, the earlier ones mostly did.
const beyond = 16

// teaches counts a change and reports whether it is one to learn from.
func (m *Model) teaches(second int64) bool {
	if day := second / 86400; day != m.today {
		m.today, m.lessons = day, 0
	}
	m.lessons++
	return m.lessons <= m.options.Lessons || m.lessons%beyond == 0
}

// pose fills in the question.
func (m *Model) pose(q *question, a penumbra.Address, key classKey, path string, from penumbra.Value, earlier []penumbra.Value, second int64) {
	*q = question{
		address: a, kind: key.kind, path: path, class: key.path, from: from, earlier: earlier, second: second,
		known: m.classes[key], form: formOf(from), token: shadow.Token(key.path),
	}
	q.version, q.versioned = parse(from)
	q.families = hash(shadow.Family(a), key.kind, key.path)
	q.folders = hash(folder(a), q.token)
}

// folder is what the address shares with those declared beside it.
func folder(a penumbra.Address) string {
	s := string(a)
	if i := strings.LastIndexAny(s, "|/"); i >= 0 {
		return s[:i]
	}
	return s
}

// lesson adds a change to what its class's changes in the commit teach.
func (m *Model) lesson(key classKey, q *question, g *gathering, chosen int) {
	l := m.pending.lessons[key]
	if l == nil {
		l = &lesson{}
		m.pending.lessons[key] = l
		m.pending.order = append(m.pending.order, key)
	}
	l.n++
	l.forms[q.form]++
	g.gradient(l.gradient[:], chosen)
	var asked [origins]bool
	for i := range g.candidates {
		for s, share := range g.candidates[i].share {
			asked[s] = asked[s] || share > 0
		}
	}
	for s := range asked {
		if asked[s] {
			l.asked[s]++
			if g.candidates[chosen].share[s] > 0 {
				l.hits[s]++
			}
		}
	}
}

// flush learns the pending commit.
func (m *Model) flush() {
	p := &m.pending
	if len(p.moves) == 0 {
		return
	}
	m.asked = asked{}
	for i := range p.moves {
		m.moved(&p.moves[i])
	}
	for _, key := range p.order {
		m.study(key, p.lessons[key])
	}
	for i := range p.outcomes {
		if l := p.lessons[p.outcomesOf[i]]; l != nil {
			p.outcomes[i].Weight = math.Pow(l.n, m.options.Sweep) / l.n
		}
	}
	m.sets.Learn(p.outcomes)
	clear(p.lessons)
	p.order, p.moves, p.outcomes, p.outcomesOf = p.order[:0], p.moves[:0], p.outcomes[:0], p.outcomesOf[:0]
}

// moved enters a change in everything that candidates come from.
func (m *Model) moved(x *pendingMove) {
	if x.move.To.IsNull() {
		return
	}
	c := m.classes[x.key]
	if c == nil {
		c = &class{}
		m.classes[x.key] = c
	}
	if x.departure {
		c.Fled.put(x.move, maxFled)
		return
	}
	if x.move.From.IsNull() {
		c.Recent.put(x.move, maxRecent)
		return
	}
	c.move(x.move)
	r := m.tokens[x.token]
	r.put(x.move, maxToken)
	m.tokens[x.token] = r
	m.tokenMoves.put(hash(x.token, x.move.From.Text()), x.move)
	m.moves.put(hash(x.move.From.Text()), x.move)
	m.siblings.put(x.family, x.move)
	m.folders.put(x.folders, x.move)
}

// study learns from the changes of one class.
func (m *Model) study(key classKey, l *lesson) {
	weight := math.Pow(l.n, m.options.Sweep) / l.n
	most := form(0)
	for f := range forms {
		if l.forms[f] > l.forms[most] {
			most = f
		}
	}
	c := m.classes[key]
	token := shadow.Token(key.path)
	if m.names[token] == nil {
		m.names[token] = &rates{}
	}
	for s := range origins {
		if l.asked[s] == 0 {
			continue
		}
		hits, asked := l.hits[s]*float32(weight), l.asked[s]*float32(weight)
		c.Rates.count(s, hits, asked)
		m.names[token].count(s, hits, asked)
		m.forms[most].count(s, hits, asked)
		m.estate.count(s, hits, asked)
	}
	for k := range l.gradient {
		l.gradient[k] *= weight
	}
	m.weights.step(l.gradient[:], most, c, m.options.Rate)
}

// ask gathers and judges the candidates for a setting that is asked about.
func (m *Model) ask(r *penumbra.Resource, path string, at time.Time) (*gathering, *question) {
	second := at.Unix()
	m.flush() // what is known by now may be used
	from, earlier, _ := m.counts.Before(r.Address, path, second)
	if from.IsNull() {
		from = r.Actual.Get(path)
	}
	return m.answer(r, path, from, earlier, second, false)
}

// answer answers a question, unless it is the one answered last.
func (m *Model) answer(r *penumbra.Resource, path string, from penumbra.Value, earlier []penumbra.Value, second int64, legitimate bool) (*gathering, *question) {
	now := asked{r.Address, path, second, from, legitimate}
	if m.asked == now {
		return &m.scratch, &m.question
	}
	m.asked = now
	m.pose(&m.question, r.Address, classKey{r.Type, shadow.Mask(path)}, path, from, earlier, second)
	m.question.legitimate = legitimate
	m.gather(&m.scratch, &m.question)
	m.judge(&m.scratch, &m.question)
	return &m.scratch, &m.question
}

// Choose returns the candidates for the setting's next value, the likeliest
// first, given that it changes at the time; what their probabilities leave to 1
// is that of a value that nobody knows.
func (m *Model) Choose(r *penumbra.Resource, path string, at time.Time) []penumbra.Candidate {
	g, _ := m.ask(r, path, at)
	return g.known()
}

// known returns the candidates but for something new, the likeliest first.
func (g *gathering) known() []penumbra.Candidate {
	out := make([]penumbra.Candidate, 0, len(g.candidates)-1)
	for i := 1; i < len(g.candidates); i++ {
		out = append(out, g.candidate(i))
	}
	slices.SortFunc(out, byProbability)
	return out
}

func byProbability(a, b penumbra.Candidate) int {
	return cmp.Or(cmp.Compare(b.Probability, a.Probability), cmp.Compare(a.Value.Kind(), b.Value.Kind()), cmp.Compare(a.Value.Text(), b.Value.Text()))
}

// Origins names where candidates come from with how often each was right in the
// estate where it had something to say.
func (m *Model) Origins() map[string]float64 {
	out := map[string]float64{}
	for s := range origins {
		out[s.String()] = m.estate.of(s, priorRates[s], estateStrength)
	}
	return out
}

// Classes returns how many classes ever changed.
func (m *Model) Classes() int { return len(m.classes) }
