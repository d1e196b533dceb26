package diagnosis_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/diagnosis"
)

// What follows judges the ranking on made-up incidents. The world has settings that
// truly move latency with some probability, a catalogue that knows about them in part,
// and lags that are log-normal: not the model's. The constants of the package were set
// before it was written; the seeds 1000 and up are those of the reported figures.

const heldOut = 1000

var day0 = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

const (
	db penumbra.Address = "shop/postgresql_server.main"

	latency = "latency"
	kind    = "postgresql_server"
)

// estate is the world's truth, and what the catalogue says of it.
type estate struct {
	moves     []float64 // of a change of each setting, the chance that it moves latency
	relevance []float64
	catalogue bool // whether the ranking may see relevance
	plain     bool // whether size and surprise of a change tell nothing
}

func newEstate(rng *rand.Rand, catalogue bool) *estate {
	e := &estate{catalogue: catalogue}
	for i := range 60 {
		moves, relevance := 0.002, 0.5
		if i < 12 {
			moves = 0.3 + 0.5*rng.Float64()
			if rng.Float64() < 0.8 {
				relevance = 0.9
			}
		} else if u := rng.Float64(); u < 0.5 {
			relevance = 0.05
		} else if u > 0.9 {
			relevance = 0.9 // the catalogue is mistaken
		}
		e.moves = append(e.moves, moves)
		e.relevance = append(e.relevance, relevance)
	}
	return e
}

func (e *estate) Effect(string, string, string) (strength, cases float64, ok bool) {
	return 0, 0, false
}

func (e *estate) Relevance(_, path string) float64 {
	var i int
	if _, err := fmt.Sscanf(path, "setting_%d", &i); err != nil || !e.catalogue {
		return 0.5
	}
	return e.relevance[i]
}

func (e *estate) Related(a, b penumbra.Address) float64 {
	if a == b {
		return 1
	}
	return 0
}

// pick draws a setting, one that moves latency or one that did not.
func (e *estate) pick(rng *rand.Rand, culprit bool) int {
	for {
		i := rng.IntN(len(e.moves))
		if (rng.Float64() < e.moves[i]) == culprit {
			return i
		}
	}
}

// change makes a change of a setting. A culprit's is larger and rarer, on average.
func (e *estate) change(rng *rand.Rand, setting int, culprit bool, at time.Time) diagnosis.Change {
	octaves, rare := 1.0, 2.0
	if culprit && !e.plain {
		octaves, rare = 2.5, 4.0
	}
	before := float64(int64(1) << (10 + rng.IntN(10)))
	return diagnosis.Change{
		Resource: db, Type: kind, Path: fmt.Sprintf("setting_%d", setting), Time: at,
		Before: penumbra.Number(before), After: penumbra.Number(math.Ceil(before * math.Exp2(octaves*rng.NormFloat64()))),
		Surprise: rare * rng.ExpFloat64(),
	}
}

// shown returns the onset that samples a second apart tell of an effect: the sample
// after it, up to two samples off.
func shown(rng *rand.Rand, effect time.Time) time.Time {
	off := []int{-2, -1, -1, 0, 0, 0, 0, 1, 1, 2}[rng.IntN(10)]
	return effect.Truncate(time.Second).Add(time.Duration(1+off) * time.Second)
}

func seconds(x float64) time.Duration { return time.Duration(x * float64(time.Second)) }

// incident is a culprit among nine innocent changes within two minutes of it, one of
// them within a second.
func (e *estate) incident(rng *rand.Rand, n int) (a penumbra.Anomaly, changes []diagnosis.Change, culprit diagnosis.Change) {
	at := day0.Add(time.Duration(n)*6*time.Hour + seconds(3600*rng.Float64()))
	culprit = e.change(rng, e.pick(rng, true), true, at)
	changes = append(changes, culprit)
	for i := range 9 {
		reach := 120.0
		if i == 0 {
			reach = 1
		}
		changes = append(changes, e.change(rng, e.pick(rng, false), false, at.Add(seconds(reach*(2*rng.Float64()-1)))))
	}
	rng.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
	onset := shown(rng, at.Add(seconds(1.5*math.Exp(0.8*rng.NormFloat64()))))
	return penumbra.Anomaly{
		ID: fmt.Sprint("a-", n), Resource: db, Metric: latency, Kind: penumbra.LevelShift, Worse: true,
		Onset: onset, Time: onset.Add(2 * time.Second), Value: 5, Expected: 1,
	}, changes, culprit
}

func same(s *penumbra.Suspect, c *diagnosis.Change) bool {
	return s.Path == c.Path && s.Time.Equal(c.Time)
}

// study is what a ranking did on many incidents.
type study struct {
	n, hits, last, odd, nearest, random int
	said                                []said
}

// said is a probability that was given, and whether it came true.
type said struct {
	p    float64
	true bool
}

// judge ranks incidents of an estate, after as many earlier ones whose outcome was told.
func judge(seed uint64, incidents, earlier int, catalogue, plain bool) study {
	rng := rand.New(rand.NewPCG(seed, 4))
	e := newEstate(rng, catalogue)
	e.plain = plain
	var rates diagnosis.Rates
	rates.Watch(db, latency, time.Second, day0)
	learn := func(a *penumbra.Anomaly, changes []diagnosis.Change, culprit *diagnosis.Change) {
		for i := range changes {
			rates.Changed(&changes[i])
		}
		a.Suspects = diagnosis.Rank(a, changes, rates, e)
		rates.Observe(a, func(penumbra.Address) string { return kind })
		for _, s := range a.Suspects {
			if same(&s, culprit) {
				rates.Outcome(kind, a, s, true)
			} else if s.Probability > 0.05 {
				rates.Outcome(kind, a, s, false)
			}
		}
	}
	for n := range earlier {
		a, changes, culprit := e.incident(rng, n)
		learn(&a, changes, &culprit)
	}
	var out study
	for n := range incidents {
		a, changes, culprit := e.incident(rng, earlier+n)
		out.n++
		suspects := diagnosis.Rank(&a, changes, rates, e)
		hit := same(&suspects[0], &culprit)
		if hit {
			out.hits++
		}
		for i := range suspects {
			out.said = append(out.said, said{suspects[i].Probability, same(&suspects[i], &culprit)})
		}
		out.baselines(&a, changes, &culprit)
		if c := changes[rng.IntN(len(changes))]; c.Path == culprit.Path && c.Time.Equal(culprit.Time) {
			out.random++
		}
	}
	return out
}

func (s *study) baselines(a *penumbra.Anomaly, changes []diagnosis.Change, culprit *diagnosis.Change) {
	best := func(score func(c *diagnosis.Change) float64) bool {
		c := slices.MaxFunc(changes, func(x, y diagnosis.Change) int { return cmp.Compare(score(&x), score(&y)) })
		return c.Path == culprit.Path && c.Time.Equal(culprit.Time)
	}
	if best(func(c *diagnosis.Change) float64 {
		if c.Time.After(a.Onset) {
			return math.Inf(-1)
		}
		return -a.Onset.Sub(c.Time).Seconds()
	}) {
		s.last++
	}
	if best(func(c *diagnosis.Change) float64 { return -math.Abs(a.Onset.Sub(c.Time).Seconds()) }) {
		s.nearest++
	}
	if best(func(c *diagnosis.Change) float64 { return c.Surprise }) {
		s.odd++
	}
}

func (s *study) add(o study) {
	s.n, s.hits, s.random = s.n+o.n, s.hits+o.hits, s.random+o.random
	s.last, s.odd, s.nearest = s.last+o.last, s.odd+o.odd, s.nearest+o.nearest
	s.said = append(s.said, o.said...)
}

// bins returns, for each tenth of probability, how many were given, their mean and how
// many came true; and the expected calibration error.
func bins(all []said) (lines []string, ece float64) {
	var n, p, yes [10]float64
	for _, x := range all {
		i := min(9, int(10*x.p))
		n[i]++
		p[i] += x.p
		if x.true {
			yes[i]++
		}
	}
	for i := range n {
		if n[i] > 0 {
			lines = append(lines, fmt.Sprintf("%.1f: %5.0f said %.3f true %.3f", float64(i)/10, n[i], p[i]/n[i], yes[i]/n[i]))
			ece += math.Abs(p[i]-yes[i]) / float64(len(all))
		}
	}
	return lines, ece
}

func TestIncidents(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name      string
		catalogue bool
		earlier   int
		plain     bool
	}{
		{"nothing known", false, 0, false},
		{"catalogue", true, 0, false},
		{"30 outcomes", false, 30, false},
		{"100 outcomes", false, 100, false},
		{"catalogue and 100 outcomes", true, 100, false},
		{"nothing known, size and surprise tell nothing", false, 0, true},
		{"catalogue, size and surprise tell nothing", true, 0, true},
		{"catalogue and 100 outcomes, size and surprise tell nothing", true, 100, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			var all study
			for seed := range uint64(20) {
				all.add(judge(heldOut+seed, 100, x.earlier, x.catalogue, x.plain))
			}
			share := func(k int) float64 { return float64(k) / float64(all.n) }
			lines, ece := bins(all.said)
			t.Logf("%s: hit@1 %.3f | last before %.3f, nearest %.3f, surprise alone %.3f, random %.3f | calibration error %.4f\n%s",
				x.name, share(all.hits), share(all.last), share(all.nearest), share(all.odd), share(all.random), ece, strings.Join(lines, "\n"))
			if best := max(all.last, all.nearest, all.odd, all.random); !x.plain && all.hits <= best {
				t.Errorf("first in %d of %d, a baseline in %d", all.hits, all.n, best)
			}
			if x.catalogue && !x.plain && share(all.hits) < 0.8 {
				t.Errorf("first in %.3f with the catalogue", share(all.hits))
			}
		})
	}
}

// life is a resource for a time: changes, some of which move latency, and anomalies of
// which some have nothing to do with any.
type life struct {
	changes   []diagnosis.Change
	anomalies []penumbra.Anomaly
	cause     []int // index of the change that caused it, -1 for none
}

func (e *estate) life(rng *rand.Rand, days int, changesADay, anomaliesAWeek float64, effects bool) life {
	var l life
	type born struct {
		onset time.Time
		cause int
	}
	var all []born
	for at := 0.0; ; {
		if at += rng.ExpFloat64() * 86400 / changesADay; at > float64(days)*86400 {
			break
		}
		when := day0.Add(seconds(at))
		i := rng.IntN(len(e.moves))
		moves := effects && rng.Float64() < e.moves[i]
		l.changes = append(l.changes, e.change(rng, i, moves, when))
		if moves {
			mean := 1.5 * math.Exp(0.8*rng.NormFloat64()) // seconds
			if u := rng.Float64(); u > 0.9 {
				mean = 3600 * math.Exp(rng.NormFloat64())
			} else if u > 0.75 {
				mean = 120 * math.Exp(rng.NormFloat64())
			}
			all = append(all, born{when.Add(seconds(mean)), len(l.changes) - 1})
		}
	}
	for at := 0.0; ; {
		if at += rng.ExpFloat64() * 7 * 86400 / anomaliesAWeek; at > float64(days)*86400 {
			break
		}
		all = append(all, born{day0.Add(seconds(at)), -1})
	}
	slices.SortFunc(all, func(a, b born) int { return a.onset.Compare(b.onset) })
	for n, b := range all {
		onset := shown(rng, b.onset)
		l.anomalies = append(l.anomalies, penumbra.Anomaly{
			ID: fmt.Sprint("a-", n), Resource: db, Metric: latency, Kind: penumbra.LevelShift, Worse: true,
			Onset: onset, Time: onset.Add(2 * time.Second), Value: 5, Expected: 1,
		})
		l.cause = append(l.cause, b.cause)
	}
	return l
}

// around returns the changes of the week before the time and ten minutes after it.
func (l *life) around(at time.Time) []diagnosis.Change {
	var out []diagnosis.Change
	for i := range l.changes {
		if lag := at.Sub(l.changes[i].Time); lag > -10*time.Minute && lag < 7*24*time.Hour {
			out = append(out, l.changes[i])
		}
	}
	return out
}

// The probabilities of a process as it goes on, learning from nothing but itself: no
// outcome is told.
func TestCalibrationOfALife(t *testing.T) {
	t.Parallel()
	var suspects, unseen []said
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(heldOut+seed, 5))
		e := newEstate(rng, true)
		l := e.life(rng, 180, 3, 1, true)
		var rates diagnosis.Rates
		rates.Watch(db, latency, time.Second, day0)
		told := 0
		for i := range l.anomalies {
			a := &l.anomalies[i]
			for ; told < len(l.changes) && l.changes[told].Time.Before(a.Time); told++ {
				rates.Changed(&l.changes[told])
			}
			rates.Watch(db, latency, time.Second, a.Time)
			a.Suspects = diagnosis.Rank(a, l.around(a.Onset), rates, e)
			rates.Observe(a, func(penumbra.Address) string { return kind })
			unseen = append(unseen, said{diagnosis.Unseen(a.Suspects), l.cause[i] < 0})
			for j := range a.Suspects {
				s := &a.Suspects[j]
				suspects = append(suspects, said{s.Probability, l.cause[i] >= 0 && same(s, &l.changes[l.cause[i]])})
			}
		}
	}
	lines, ece := bins(suspects)
	t.Logf("suspects: error %.4f\n%s", ece, strings.Join(lines, "\n"))
	lines, wrong := bins(unseen)
	t.Logf("nothing seen: error %.4f\n%s", wrong, strings.Join(lines, "\n"))
	if ece > 0.05 || wrong > 0.15 {
		t.Errorf("calibration errors %.3f and %.3f", ece, wrong)
	}
}

// driftOf makes a drift of a change: told by an event, or seen between two looks.
func driftOf(c *diagnosis.Change, looks time.Duration) penumbra.Drift {
	d := penumbra.Drift{
		ID: "d", Resource: c.Resource, Type: c.Type, Verdict: penumbra.Drifted, Opened: c.Time,
		Findings: []penumbra.Finding{{Path: c.Path, Verdict: penumbra.Drifted, Declared: true, Template: c.Before, Actual: c.After}},
		Cause:    penumbra.Cause{Actor: "alice", Action: "ALTER SYSTEM", Time: c.Time},
	}
	if looks > 0 {
		seen := c.Time.Truncate(looks).Add(looks)
		d.Opened = seen
		d.Cause = penumbra.Cause{Time: seen, After: seen.Add(-looks)}
	}
	return d
}

// Drifts and anomalies that have nothing to do with each other: how many of the drifts
// become critical?
func TestFalselyCritical(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name           string
		looks          time.Duration
		anomaliesAWeek float64
	}{
		{"told by an event, an anomaly a week", 0, 1},
		{"told by an event, an anomaly a day", 0, 7},
		{"looks every 5 minutes, an anomaly a week", 5 * time.Minute, 1},
		{"looks every 5 minutes, an anomaly a day", 5 * time.Minute, 7},
		{"looks every 15 minutes, an anomaly a day", 15 * time.Minute, 7},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			drifts, critical, joined := 0, 0, 0
			for seed := range uint64(40) {
				rng := rand.New(rand.NewPCG(heldOut+seed, 6))
				e := newEstate(rng, true)
				l := e.life(rng, 365, 2, x.anomaliesAWeek, false)
				var rates diagnosis.Rates
				rates.Watch(db, latency, time.Second, day0)
				next := 0
				for i := range l.changes {
					d := driftOf(&l.changes[i], x.looks)
					// What began until a day after it; the rates know what ended before.
					for ; next < len(l.anomalies) && l.anomalies[next].Time.Before(l.changes[i].Time); next++ {
						rates.Watch(db, latency, time.Second, l.anomalies[next].Time)
						rates.Observe(&l.anomalies[next], func(penumbra.Address) string { return kind })
					}
					end := next
					for end < len(l.anomalies) && l.anomalies[end].Time.Before(d.Opened.Add(24*time.Hour)) {
						end++
					}
					impacts := diagnosis.Join(&d, nil, l.anomalies[max(0, next-3):end], rates, e)
					drifts++
					joined += len(impacts)
					if diagnosis.Critical(impacts) {
						critical++
					}
				}
			}
			t.Logf("%s: %d drifts, %d anomalies joined to them, %d critical: %.5f", x.name, drifts, joined, critical, float64(critical)/float64(drifts))
			if float64(critical) > 0.02*float64(drifts) {
				t.Errorf("%d of %d drifts critical by coincidence", critical, drifts)
			}
		})
	}
}

// Drifts some of which move latency: of the anomalies joined with a chance of
// coincidence, how many were?
func TestCoincidenceIsCalibrated(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, looks := range []time.Duration{0, 5 * time.Minute} {
		var all []said
		culprits, critical, mistaken := 0, 0, 0
		for seed := range uint64(80) {
			rng := rand.New(rand.NewPCG(heldOut+seed, 7))
			e := newEstate(rng, true)
			l := e.life(rng, 365, 0.5, 7, true)
			var rates diagnosis.Rates
			rates.Watch(db, latency, time.Second, day0)
			rates.Watch(db, latency, time.Second, day0.Add(90*24*time.Hour))
			for i := range 90 {
				rates.Observe(&penumbra.Anomaly{Resource: db, Metric: latency, Onset: day0.Add(time.Duration(i) * 24 * time.Hour)}, nil)
			}
			for i := range l.changes {
				d := driftOf(&l.changes[i], looks)
				first, _ := slices.BinarySearchFunc(l.anomalies, l.changes[i].Time.Add(-time.Hour), func(a penumbra.Anomaly, at time.Time) int { return a.Onset.Compare(at) })
				end, _ := slices.BinarySearchFunc(l.anomalies, l.changes[i].Time.Add(3*24*time.Hour), func(a penumbra.Anomaly, at time.Time) int { return a.Onset.Compare(at) })
				impacts := diagnosis.Join(&d, nil, l.anomalies[first:end], rates, e)
				did := slices.Contains(l.cause, i)
				if did {
					culprits++
				}
				if diagnosis.Critical(impacts) && did {
					critical++
				} else if diagnosis.Critical(impacts) {
					mistaken++
				}
				for _, x := range impacts {
					n := slices.IndexFunc(l.anomalies, func(a penumbra.Anomaly) bool { return a.ID == x.Anomaly })
					all = append(all, said{x.Coincidence, l.cause[n] != i})
				}
			}
		}
		lines, ece := bins(all)
		t.Logf("looks %v: %d of %d drifts that moved latency are critical, and %d others; error %.4f\n%s", looks, critical, culprits, mistaken, ece, strings.Join(lines, "\n"))
		if 10*mistaken > critical {
			t.Errorf("%d critical by coincidence, %d not", mistaken, critical)
		}
	}
}
