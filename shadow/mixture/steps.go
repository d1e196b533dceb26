package mixture

import (
	"math"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/rnn"
)

// memory is what the network keeps of one resource: its state, and the last
// steps with the state before them, so that it can learn from them later.
type memory struct {
	numbers []float32 // the state, and the one before the steps
	kept    [rewind]rnn.Step
	n       int   // steps kept
	last    int64 // Unix seconds of the last step
	bands   []band
}

func newMemory(hidden int) *memory { return &memory{numbers: make([]float32, 2*hidden)} }

func (b *memory) state() []float32 { return b.numbers[:len(b.numbers)/2] }

func (b *memory) before() []float32 { return b.numbers[len(b.numbers)/2:] }

func (b *memory) steps() []rnn.Step { return b.kept[:b.n] }

// band is the running mean and deviation of one metric.
type band struct {
	name        string
	mean, power float64 // of the value and of its square, decayed by readings
	n           float64
}

// rewind is how many steps the network goes back when it learns.
const rewind = 2

// The numbers of a step.
const (
	stepTemplate = iota
	stepSnapshot
	stepEvent
	stepMetric
	stepCreate
	stepDelete
	stepDecision
	stepAnomaly
	stepUser
	stepAutomation
	stepSystem
	stepGap
	stepHourSin
	stepHourCos
	stepDaySin
	stepDayCos
	stepChanges
	stepDepartures
	stepUp
	stepDown
	stepSize
	stepFleet
	stepFleetDay
	stepFolder
	stepCPU
	stepHasCPU
	stepMemory
	stepHasMemory
	stepNetwork
	stepHasNetwork
	stepNumbers
)

// maxPaths is how many of the paths of one observation become tokens.
const maxPaths = 6

// step describes an observation and the changes that it brought.
func (m *Model) step(o *penumbra.Observation, b *memory, changes []shadow.Change) rnn.Step {
	x := make([]float32, stepNumbers)
	flag := func(i int, set bool) {
		if set {
			x[i] = 1
		}
	}
	flag(stepTemplate+int(o.Kind-penumbra.TemplateKind), true)
	flag(stepCreate, o.Action == "create")
	flag(stepDelete, o.Action == penumbra.ActionDelete)
	flag(stepDecision, strings.HasPrefix(o.Action, "penumbra."))
	flag(stepAnomaly, o.Action == penumbra.ActionAnomaly)
	flag(stepUser, o.ActorKind == penumbra.User)
	flag(stepAutomation, o.ActorKind == penumbra.Automation)
	flag(stepSystem, o.ActorKind == penumbra.System)
	if b.last != 0 {
		x[stepGap] = float32(math.Log1p(math.Max(0, float64(o.Time.Unix()-b.last))/3600) / 6)
	}
	t := o.Time.UTC()
	hour := (float64(t.Hour()) + float64(t.Minute())/60) / 24 * 2 * math.Pi
	day := float64(t.Weekday()) / 7 * 2 * math.Pi
	x[stepHourSin], x[stepHourCos] = float32(math.Sin(hour)), float32(math.Cos(hour))
	x[stepDaySin], x[stepDayCos] = float32(math.Sin(day)), float32(math.Cos(day))
	x[stepChanges] = float32(math.Log1p(float64(len(changes))))
	tokens := []uint32{rnn.Token("type", o.Type), rnn.Token("actor", o.Actor)}
	if o.Action != "" {
		tokens = append(tokens, rnn.Token("action", o.Action))
	}
	for i := range changes {
		c := &changes[i]
		if c.Departure {
			x[stepDepartures] += 1 / float32(len(changes))
		}
		if up, ok := growth(c.From, c.To); ok {
			if up > 0 {
				x[stepUp] = 1
			} else {
				x[stepDown] = 1
			}
			x[stepSize] += float32(math.Min(3, math.Abs(up))) / float32(len(changes))
		}
		if i < maxPaths {
			tokens = append(tokens, rnn.Token("path", c.Class))
		}
	}
	if len(changes) > 0 {
		week, day, folder := m.counts.Around(o.Resource, changes[0].Path)
		x[stepFleet], x[stepFleetDay], x[stepFolder] = float32(week), float32(day), float32(folder)
	}
	for _, v := range o.Metrics {
		if at, ok := metricSteps[v.Name]; ok {
			x[at], x[at+1] = b.score(v.Name, v.Value), 1
		}
	}
	return rnn.Step{Dense: x, Tokens: tokens}
}

var metricSteps = map[string]int{"cpu": stepCPU, "memory": stepMemory, "network_io": stepNetwork}

// score returns how far a metric is from its running mean in deviations, and
// takes it in.
func (b *memory) score(name string, v float64) float32 {
	var x *band
	for i := range b.bands {
		if b.bands[i].name == name {
			x = &b.bands[i]
		}
	}
	if x == nil {
		b.bands = append(b.bands, band{name: name})
		x = &b.bands[len(b.bands)-1]
	}
	z := 0.0
	if x.n >= 8 {
		variance := math.Max(x.power-x.mean*x.mean, 1e-12+1e-6*x.mean*x.mean)
		z = math.Max(-5, math.Min(5, (v-x.mean)/math.Sqrt(variance)))
	}
	x.n = math.Min(x.n+1, 300)
	x.mean += (v - x.mean) / x.n
	x.power += (v*v - x.power) / x.n
	return float32(z) / 2
}

// growth returns the logarithm of new over old where both are amounts that
// compare.
func growth(from, to penumbra.Value) (float64, bool) {
	a, kind, ok := shadow.Quantity(from)
	b, kindTo, okTo := shadow.Quantity(to)
	if !ok || !okTo || kind != kindTo || a <= 0 || b <= 0 {
		return 0, false
	}
	return math.Log(b / a), true
}

// remember takes a step into the memory of its resource.
func (m *Model) remember(o *penumbra.Observation, number uint32, changes []shadow.Change) {
	b := m.memories[number]
	if b == nil {
		b = newMemory(m.net.Config().Hidden)
		m.memories[number] = b
	}
	s := m.step(o, b, changes)
	if b.n == rewind {
		m.net.Step(b.before(), &b.kept[0], &m.scratch)
		copy(b.kept[:], b.kept[1:])
		b.n--
	}
	b.kept[b.n] = s
	b.n++
	m.net.Step(b.state(), &s, &m.scratch)
	b.last = o.Time.Unix()
}

// state returns the network's state of a resource, zero if there is none.
func (m *Model) stateOf(number uint32) []float32 {
	if b := m.memories[number]; b != nil {
		return b.state()
	}
	return m.zero
}

// recording returns a tape of the resource's last steps and a question.
func (m *Model) recording(number uint32, q *rnn.Question, weight float32) *rnn.Tape {
	t := rnn.NewTape(m.net.Config())
	b := m.memories[number]
	if b == nil {
		t.Open(nil)
	} else {
		t.Open(b.before())
		for i := range b.n {
			if t.Step(0, &b.kept[i]) != nil {
				return nil
			}
		}
	}
	if _, err := t.Ask(0, q); err != nil {
		return nil
	}
	if t.Weigh(0, weight) != nil {
		return nil
	}
	return t
}
