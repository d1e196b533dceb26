package shadow

import (
	"io"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Model is a probabilistic model of the expected configuration of every
// resource of an estate. It is called by one goroutine at a time.
type Model interface {
	// Observe folds an observation in. It costs O(1) for each setting in it.
	Observe(o *penumbra.Observation)
	// Expect returns, sorted by path, the prediction set at the confidence of
	// each setting that the resource's template or actual configuration has.
	Expect(r *penumbra.Resource, at time.Time, confidence float64) []penumbra.Expectation
	// Forecast returns, for the same settings in the same order, the
	// probability of leaving the template (an undeclared one: the present
	// value) within each of [penumbra.Horizons].
	Forecast(r *penumbra.Resource, at time.Time) []penumbra.Forecast
	// WriteTo writes the whole state, see format.md.
	io.WriterTo
	// ReadFrom replaces the state. It returns an error of kind Damaged, and
	// leaves the state as it was, if the data is not a checkpoint of this model.
	io.ReaderFrom
}

var _ Model = (*Pooled)(nil)

// Options are the choices of a pooled model. The zero value is a good one.
type Options struct {
	// Prior are the hyper-parameters, [DefaultPrior] if nil.
	Prior *Prior
	// Reference is the confidence of the prediction set that an undeclared
	// setting has to leave for an excursion to begin, 0.95 if 0.
	Reference float64
	// Changes, if not nil, is told of every change as it is learnt, before the
	// model's own counts know of it.
	Changes func(Change)
	// Moves, if not nil, is told, in the same manner, of what Changes is not told
	// of because it is no change to learn from: a setting that the code adds to a
	// known resource or takes away, where nothing but the code is known, and in an
	// excursion the going on to another value and the return. Both together are
	// told of every step of a value.
	Moves func(Change)
}

// Pooled is the pooled gamma-Poisson and Dirichlet model.
type Pooled struct {
	prior     Prior
	reference float64
	listen    func(Change)
	moves     func(Change)
	current   *penumbra.Observation // the one being folded in
	state
}

// state is all that a checkpoint holds.
type state struct {
	resources map[penumbra.Address]*resource
	types     map[string]*group
	tokens    map[string]*group
	classes   map[classKey]*class
	all       group
	arrival   arrival // how changes chose their value, over all classes
	late      uint64
	serial    uint32            // the last resource's number
	version   uint64            // counts changes of the pools, for memos
	paths     map[string]string // interned paths
	folders   map[string]*group
	numbered  []*resource // by number, from 1; nil once ended
	siblings  map[siblingKey]*sibling
	actors    []string          // names by number, from 1
	actorOf   map[string]uint32 // the other way round
}

// NewPooled returns a model that has observed nothing.
func NewPooled(opts Options) *Pooled {
	p := &Pooled{prior: DefaultPrior(), reference: opts.Reference, listen: opts.Changes, moves: opts.Moves, state: newState()}
	if opts.Prior != nil {
		p.prior = *opts.Prior
	}
	if p.reference <= 0 || p.reference >= 1 {
		p.reference = 0.95
	}
	return p
}

func newState() state {
	return state{
		resources: map[penumbra.Address]*resource{},
		types:     map[string]*group{},
		tokens:    map[string]*group{},
		classes:   map[classKey]*class{},
		paths:     map[string]string{},
		folders:   map[string]*group{},
		siblings:  map[siblingKey]*sibling{},
		actorOf:   map[string]uint32{},
	}
}

// Late returns how many observations came after a later one of the same
// resource and changed no value for that reason.
func (p *Pooled) Late() uint64 { return p.late }

// Resources returns how many live resources the model knows.
func (p *Pooled) Resources() int { return len(p.resources) }

// Ensemble is a model made of experts that can be judged one by one.
type Ensemble interface {
	Model
	// Experts names them, in the order in which Each gives their answers.
	Experts() []string
	// Each visits the settings that Forecast answers for, in its order, with the
	// probability of leaving that each expert gives. The slice is reused.
	Each(r *penumbra.Resource, at time.Time, visit func(path string, leave [][len(penumbra.Horizons)]float64))
}

// Chooser knows which value a setting would take if it changed.
type Chooser interface {
	// Choose returns the candidates for the setting's next value, the likeliest
	// first, given that it changes at the time; what their probabilities leave to
	// 1 is that of a value that nobody knows.
	Choose(r *penumbra.Resource, path string, at time.Time) []penumbra.Candidate
	// ChooseSet returns the set that holds the next value with the confidence.
	ChooseSet(r *penumbra.Resource, path string, at time.Time, confidence float64) penumbra.Expectation
}

// Successor knows which of a resource's settings change next.
type Successor interface {
	// Next returns paths, list indices masked, with the probability that the
	// resource's next change is theirs, the likeliest first, at most n. A path
	// need not be one that the resource has: settings are added.
	Next(r *penumbra.Resource, at time.Time, n int) []Ranked
}

// Ranked is a masked path and its probability.
type Ranked struct {
	Class       string
	Probability float64
}
