package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

//go:embed measured.json
var measuredFile []byte

//go:embed prices.json
var pricesFile []byte

// figure is one that was measured, with the command that gave it.
type figure struct {
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Source string  `json:"source"`
}

// measured are the rates that everything rests on; measured.json says of each what it is
// and where it comes from.
type measured struct {
	ReadMS    figure            `json:"read_ms"`
	CommitMS  figure            `json:"commit_ms"`
	AppendUS  figure            `json:"append_us"`
	WireBytes figure            `json:"wire_bytes"`
	DiskBytes figure            `json:"disk_bytes"`
	WALBytes  figure            `json:"wal_bytes"`
	TrainUS   figure            `json:"train_us"`
	RestoreUS figure            `json:"restore_us"`
	Families  map[string]family `json:"families"`
}

// family is what depends on the family of models that keeps the shadow.
type family struct {
	ParseUS         figure `json:"parse_us"`
	JudgeUS         figure `json:"judge_us"`
	IngestUS        figure `json:"ingest_us"`
	FoldUS          figure `json:"fold_us"`
	PeakBytes       figure `json:"peak_bytes"`
	CheckpointUS    figure `json:"checkpoint_us"`
	CheckpointBytes figure `json:"checkpoint_bytes"`
}

type machine struct {
	Name       string  `json:"name"`
	Processors int     `json:"processors"`
	MemoryGB   float64 `json:"memory_gb"`
	Hour       float64 `json:"hour"`
}

// prices are those of a list, to be changed for one's own.
type prices struct {
	Source      string    `json:"source"`
	Date        string    `json:"date"`
	Hours       float64   `json:"hours_a_month"`
	DiskGBMonth float64   `json:"disk_gb_month"`
	VolumeMBS   float64   `json:"volume_mb_s"`
	NetworkMBS  float64   `json:"network_mb_s"`
	Machines    []machine `json:"machines"` // of growing size
}

func readJSON(data []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(to)
}

// workload is what a fleet does. None of it was measured but the changes, which are those
// of one estate.
type workload struct {
	every     float64 // seconds between two reads of a resource
	stack     float64 // resources of a stack: a read is of one
	changes   float64 // a resource and day
	heartbeat float64 // unchanged snapshots that are stored all the same, a resource and day
	perChange float64 // observations that a change makes: the event and the snapshot
	batch     float64 // observations that are sent at once
	peak      float64 // the busiest hour over the mean
	keep      float64 // days that timelines are kept
	fill      float64 // how much of anything may be used
	save      float64 // seconds between two checkpoints
	nodes     float64 // of a Penumbra, at the most; there are two at the least
}

var usual = workload{
	every: 300, stack: 500, changes: 0.065, heartbeat: 1, perChange: 2, batch: 20, peak: 5, keep: 90,
	fill: 0.7, save: 600, nodes: 8,
}

const day = 86400.0

// stored is how many observations a second n resources have stored, in the mean.
func (w workload) stored(n float64) float64 { return n * (w.heartbeat + w.perChange*w.changes) / day }

// way is how Penumbra comes to know what is there.
type way int

const (
	// reads: Penumbra runs the tool by the clock, on any of its nodes.
	reads way = iota
	// sent: whoever ran the tool elsewhere sends what is new, once a day all of it.
	sent
)

func (w way) String() string { return [...]string{"reads", "sent"}[w] }

// use is how much of something a Penumbra uses, 1 being all of it.
type use struct {
	what string
	of   float64
	most float64 // more is too much
}

// estate is one Penumbra with n resources: a node that leads and others that stand by, each
// on a machine.
type estate struct {
	*model
	way     way
	n       float64
	machine machine
	nodes   int
}

// fewest is how many nodes a Penumbra has at the least: one may go.
const fewest = 2

// model is all that the sizing rests on.
type model struct {
	measured
	prices
	workload
	family
}

// readers are the processors that tools are left while one of the nodes is gone: what is
// taken in needs others, of which at least one of each node, since those that stand by
// fold what is stored.
func (e estate) readers() int {
	left := func(busy float64) int { return max(0, e.machine.Processors-int(max(1, math.Ceil(busy/e.fill)))) }
	follows := e.stored(e.n) * e.peak * e.FoldUS.Value * 1e-6
	return max(1, left(e.engine())+(e.nodes-fewest)*left(follows))
}

// engine is how many processors the loop keeps busy, in the busiest hour.
func (e estate) engine() float64 {
	busy := e.stored(e.n) * e.peak * e.IngestUS.Value * 1e-6
	if e.way == reads {
		busy += e.n / e.every * e.look() * 1e-6
	}
	return busy
}

// look is the µs that a resource takes that was read and has not changed.
func (e estate) look() float64 { return e.ParseUS.Value + e.JudgeUS.Value }

// news is how many observations there are in one look at a stack, or in one batch sent,
// in the busiest hour and the mean.
func (e estate) news() float64 {
	if e.way == sent {
		return e.batch
	}
	return e.stored(e.stack) * e.every * e.peak
}

// arrivals are the looks, or the batches, a second.
func (e estate) arrivals() float64 {
	if e.way == sent {
		return e.stored(e.n) * e.peak / e.batch
	}
	return e.n / (e.every * e.stack)
}

// commit is the seconds that a transaction takes.
func (e estate) commit(observations float64) float64 {
	if observations == 0 {
		return 0
	}
	return e.CommitMS.Value*1e-3 + (observations-1)*e.AppendUS.Value*1e-6
}

// stations are what a look or a batch goes through, with the mean of what each takes.
func (e estate) stations() (through []station, means []float64, names []string) {
	saved := e.n * e.CheckpointUS.Value * 1e-6
	draws := func(r *rand.Rand) float64 { return distuv.Poisson{Lambda: e.news(), Src: r}.Rand() }
	if e.way == sent {
		// A batch is stored while the one before it is folded in. Saving stops both.
		store, fold := e.commit(e.batch), e.batch*e.FoldUS.Value*1e-6
		return []station{
				{servers: 1, service: func(*rand.Rand) float64 { return store }, pauseEvery: e.save, pause: saved},
				{servers: 1, service: func(*rand.Rand) float64 { return fold }, pauseEvery: e.save, pause: saved},
			},
			[]float64{store, fold}, []string{"storing", "judging"}
	}
	read := e.stack * e.ReadMS.Value * 1e-3
	look := e.stack * e.look() * 1e-6
	turn := func(news float64) float64 { return look + e.commit(news) + news*e.FoldUS.Value*1e-6 }
	// Of the looks that find nothing none is stored: the mean of commit over a Poisson
	// number is not commit of its mean.
	news := e.news()
	some := -math.Expm1(-news)
	mean := look + some*(e.CommitMS.Value*1e-3-e.AppendUS.Value*1e-6) + news*(e.AppendUS.Value+e.FoldUS.Value)*1e-6
	return []station{
			{servers: e.readers(), service: func(*rand.Rand) float64 { return read }},
			// A turn stores and judges while nothing else does.
			{servers: 1, service: func(r *rand.Rand) float64 { return turn(draws(r)) }, pauseEvery: e.save, pause: saved},
		},
		[]float64{read, mean}, []string{"reading", "judging"}
}

// memory is what each node needs, in GB.
func (e estate) memory() float64 { return e.n * e.PeakBytes.Value / 1e9 }

// checkpointMost is how many bytes a checkpoint may have: SQLite takes no longer value
// (SQLITE_MAX_LENGTH), and PostgreSQL hardly one.
const checkpointMost = 1e9

// uses are how much the estate uses of each thing, in the busiest hour.
func (e estate) uses() []use {
	stations, means, names := e.stations()
	var out []use
	for i, s := range stations {
		out = append(out, use{names[i], s.load(e.arrivals(), means[i]), e.fill})
	}
	rate := e.stored(e.n) * e.peak
	return append(out,
		use{"processors", e.engine() / float64(e.machine.Processors), e.fill},
		use{"memory", e.memory() / e.machine.MemoryGB, 0.8},
		use{"checkpoint", e.n * e.CheckpointBytes.Value / checkpointMost, 1},
		use{"log of writes", rate * e.WALBytes.Value / (e.VolumeMBS * 1e6), e.fill},
		use{"network", rate * (e.WireBytes.Value + e.WALBytes.Value) / (e.NetworkMBS * 1e6), e.fill},
	)
}

// first returns what of an estate is the nearest to too much, and how near: 1 is there.
func (e estate) first() (what string, near float64) {
	for _, u := range e.uses() {
		if x := u.of / u.most; x > near {
			what, near = u.what, x
		}
	}
	return what, near
}

// most is the largest fleet that one Penumbra carries whose nodes are machines of a kind, and
// what ends it.
func (m *model) most(way way, on machine, nodes int) (n float64, what string) {
	low, high := 0.0, 1e12
	for high-low > max(1, low*1e-6) {
		n := (low + high) / 2
		if _, near := (estate{m, way, n, on, nodes}).first(); near <= 1 {
			low = n
		} else {
			high = n
		}
	}
	what, _ = estate{m, way, high, on, nodes}.first()
	return low, what
}

// sizing is what a fleet needs.
type sizing struct {
	estate             // one of them
	estates    int     // Penumbras that the fleet is split into
	database   machine // of each
	disk       float64 // GB that all have when timelines are as old as they get
	month      float64 // USD
	p50, p99   float64 // seconds from a change, or from its being sent, to a verdict
	saturation string
}

// dearer is by how much a fleet may cost more than the cheapest way if it is then split
// into fewer Penumbras, each of which people have to look after. A judgement.
const dearer = 1.1

// size finds what a fleet needs: nodes, of which one leads, and a database, for each
// Penumbra that it is split into. More than two nodes are of use where they read.
func (m *model) size(way way, n float64) sizing {
	var all []sizing
	cheapest := math.Inf(1)
	most := int(m.nodes)
	if way == sent {
		most = fewest
	}
	for _, on := range m.Machines {
		for nodes := fewest; nodes <= most; nodes++ {
			carries, _ := m.most(way, on, nodes)
			if carries < m.stack {
				continue
			}
			s := sizing{estates: int(math.Ceil(n / carries))}
			s.estate = estate{m, way, n / float64(s.estates), on, nodes}
			s.disk = m.stored(n) * day * m.keep * m.DiskBytes.Value / 1e9
			s.database = m.databaseFor(s.disk / float64(s.estates))
			s.month = float64(s.estates)*m.Hours*(float64(nodes)*on.Hour+s.database.Hour) + s.disk*m.DiskGBMonth
			s.saturation, _ = s.first()
			all = append(all, s)
			cheapest = min(cheapest, s.month)
		}
	}
	all = slices.DeleteFunc(all, func(s sizing) bool { return s.month > dearer*cheapest })
	return slices.MinFunc(all, func(x, y sizing) int {
		return cmp.Or(cmp.Compare(x.estates, y.estates), cmp.Compare(x.month, y.month))
	})
}

// cached is how much of a database its machine's memory should hold: the latest month's
// indexes. A judgement.
const cached = 0.1

func (m *model) databaseFor(gb float64) machine {
	for _, on := range m.Machines {
		if on.MemoryGB >= gb*cached {
			return on
		}
	}
	return m.Machines[len(m.Machines)-1]
}

// simulated bounds what is simulated: so many jobs at the least and at the most, and
// otherwise six hours, which has checkpoints enough.
const simulatedLeast, simulatedMost, simulatedSpan = 100_000, 1_000_000, 6 * 3600

// delays simulates the estate in its busiest hour.
func (s *sizing) delays(seed uint64) {
	stations, _, _ := s.stations()
	rate := s.arrivals()
	jobs := min(simulatedMost, max(simulatedLeast, int(rate*simulatedSpan)))
	took := simulate(stations, rate, jobs, seed)
	if s.way == reads { // a change waits for the next look at it
		r := rand.New(rand.NewPCG(seed, 2))
		for i := range took {
			took[i] += r.Float64() * s.every
		}
		slices.Sort(took)
	}
	s.p50, s.p99 = quantile(0.5, took), quantile(0.99, took)
}

// restart is the seconds until a node that was started has folded all that is kept, and
// judged each resource once.
func (e estate) restart() float64 {
	return (e.stored(e.n)*day*e.keep*e.RestoreUS.Value + e.n*e.JudgeUS.Value) * 1e-6
}

// training is the seconds that a pass of the mixture takes over all that is kept.
func (e estate) training() float64 { return e.stored(e.n) * day * e.keep * e.TrainUS.Value * 1e-6 }

// load reads what was measured and what it costs, for the family that serves.
func load(measured, prices []byte, serves string) (*model, error) {
	m := &model{workload: usual}
	if err := readJSON(measured, &m.measured); err != nil {
		return nil, fmt.Errorf("measured figures: %w", err)
	}
	if err := readJSON(prices, &m.prices); err != nil {
		return nil, fmt.Errorf("prices: %w", err)
	}
	var found bool
	if m.family, found = m.Families[serves]; !found {
		return nil, fmt.Errorf("measured figures: none of the family %q", serves)
	}
	return m, nil
}
