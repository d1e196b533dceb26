package main

import (
	"cmp"
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// station is a number of equal servers behind one queue, first come, first served.
type station struct {
	servers int
	// service draws how long a job is served, in seconds.
	service func(*rand.Rand) float64
	// Every so many seconds all servers stop for a while, and go on where they were.
	pauseEvery, pause float64
}

// load is the share of the time that a station's servers are busy or stopped when jobs
// arrive at a rate a second and take a mean of seconds. From 1 on its queue never ends.
func (s station) load(rate, mean float64) float64 {
	load := rate * mean / float64(s.servers)
	if s.pauseEvery > 0 {
		load += s.pause / s.pauseEvery
	}
	return load
}

// end is when a server that begins at a time has worked for so many seconds.
func (s station) end(begin, work float64) float64 {
	if s.pauseEvery <= 0 || s.pause <= 0 {
		return begin + work
	}
	for {
		into := math.Mod(begin, s.pauseEvery)
		if into < s.pause {
			begin += s.pause - into // it stands still
			into = s.pause
		}
		if left := s.pauseEvery - into; work > left {
			begin, work = begin+left, work-left
			continue
		}
		return begin + work
	}
}

// free is when servers are free, the soonest first.
type free []float64

func (f free) Len() int           { return len(f) }
func (f free) Less(i, j int) bool { return f[i] < f[j] }
func (f free) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *free) Push(x any)        { *f = append(*f, x.(float64)) }
func (f *free) Pop() any          { old := *f; x := old[len(old)-1]; *f = old[:len(old)-1]; return x }

// job is one that goes through the stations; times in seconds.
type job struct{ arrived, now float64 }

// serve takes jobs that stand in the order of their arrival through the station.
func (s station) serve(jobs []job, r *rand.Rand) {
	servers := make(free, s.servers)
	for i := range jobs {
		begin := max(jobs[i].now, servers[0])
		jobs[i].now = s.end(begin, s.service(r))
		servers[0] = jobs[i].now
		heap.Fix(&servers, 0)
	}
}

// simulate has jobs arrive at random at a rate a second and go through stations one
// after the other, and returns how long each took, in seconds and in ascending order.
// The first tenth is left out: it found the stations empty.
func simulate(stations []station, rate float64, n int, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	jobs := make([]job, n)
	at := 0.0
	for i := range jobs {
		at += r.ExpFloat64() / rate
		jobs[i] = job{at, at}
	}
	for _, s := range stations {
		// Several servers may end in another order than they began.
		slices.SortFunc(jobs, func(x, y job) int { return cmp.Compare(x.now, y.now) })
		s.serve(jobs, r)
	}
	slices.SortFunc(jobs, func(x, y job) int { return cmp.Compare(x.arrived, y.arrived) })
	took := make([]float64, 0, n)
	for _, x := range jobs[n/10:] {
		took = append(took, x.now-x.arrived)
	}
	slices.Sort(took)
	return took
}

// quantile of what is in ascending order.
func quantile(p float64, sorted []float64) float64 {
	return stat.Quantile(p, stat.Empirical, sorted, nil)
}
