package succession_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
	"github.com/penumbra-iac/penumbra/shadow/succession"
)

// follower is a pooled model that tells its changes to a model of what is next.
type follower struct {
	*shadow.Pooled
	next *succession.Model
}

func newFollower() *follower {
	f := &follower{}
	f.Pooled = shadow.NewPooled(shadow.Options{Changes: func(c shadow.Change) { f.next.Learn(&c) }})
	f.next = succession.New(succession.Options{Known: f.Known})
	return f
}

func (f *follower) Observe(o *penumbra.Observation) {
	f.Pooled.Observe(o)
	if o.Kind == penumbra.EventKind && o.Action == penumbra.ActionDelete {
		f.next.End(o.Resource)
	}
}

func (f *follower) Next(r *penumbra.Resource, at time.Time, n int) []shadow.Ranked {
	return f.next.Next(r, at, n)
}

var begin = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// world makes changes of services and keeps what they are.
type world struct {
	at    time.Time
	told  []*penumbra.Observation
	nouns map[penumbra.Address]*penumbra.Resource
}

func (w *world) commit(source string, action string, address penumbra.Address, s ...penumbra.Setting) {
	if w.nouns == nil {
		w.nouns = map[penumbra.Address]*penumbra.Resource{}
	}
	settings := penumbra.NewSettings(s...)
	if w.nouns[address] == nil {
		w.nouns[address] = &penumbra.Resource{Address: address, Type: "service"}
	}
	r := w.nouns[address]
	r.Actual = r.Actual.Merge(settings)
	w.told = append(w.told, &penumbra.Observation{
		Kind: penumbra.EventKind, Time: w.at, Source: "git:" + source, Action: action, Type: "service", Resource: address, Settings: settings,
	})
}

func set(path string, v int) penumbra.Setting {
	return penumbra.Setting{Path: path, Value: penumbra.Number(float64(v))}
}

// service creates one with four settings.
func (w *world) service(address penumbra.Address) {
	w.commit("made", "create", address, set("chart", 0), set("image", 0), set("port", 0), set("replicas", 0))
}

func observed(w *world) *follower {
	f := newFollower()
	for _, o := range w.told {
		f.Observe(o)
	}
	return f
}

// alternating is an estate in which half of the services change their image
// again and again, half image and chart in turn, and none its port.
func alternating() *world {
	w := &world{at: begin}
	for i := range 12 {
		w.service(penumbra.Address(fmt.Sprintf("e/service.s%d", i)))
	}
	for d := 1; d < 60; d++ {
		for i := range 12 {
			w.at = begin.Add(time.Duration(d)*24*time.Hour + time.Duration(i)*time.Minute)
			path := "image"
			if i%2 == 1 && d%2 == 1 {
				path = "chart"
			}
			w.commit(fmt.Sprint(d, "/", i), "update", penumbra.Address(fmt.Sprintf("e/service.s%d", i)), set(path, d))
		}
	}
	w.at = w.at.Add(24 * time.Hour)
	return w
}

func TestOwnHabits(t *testing.T) {
	t.Parallel()
	w := alternating()
	f := observed(w)
	for i, want := range []string{"image", "image"} { // day 59 was the chart's turn
		address := penumbra.Address(fmt.Sprintf("e/service.s%d", i))
		got := f.Next(w.nouns[address], w.at, 9)
		if len(got) != 4 || got[0].Class != want || got[0].Probability < 0.6 {
			t.Errorf("%s: %v, want %s first", address, got, want)
		}
		sum := 0.0
		for _, x := range got {
			sum += x.Probability
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("the probabilities sum to %v", sum)
		}
	}
	if got := f.Next(w.nouns["e/service.s1"], w.at, 2); len(got) != 2 {
		t.Errorf("asked for two, given %v", got)
	}
}

// TestBacksOff asks about a resource that never changed.
func TestBacksOff(t *testing.T) {
	t.Parallel()
	w := alternating()
	w.service("e/service.new")
	f := observed(w)
	got := f.Next(w.nouns["e/service.new"], w.at, 9)
	if got[0].Class != "image" || got[1].Class != "chart" || got[0].Probability < 2*got[3].Probability {
		t.Errorf("a new service: %v, want its image before its chart before the others", got)
	}
	other := &penumbra.Resource{Address: "e/job.new", Type: "job", Actual: penumbra.NewSettings(set("image", 1), set("port", 1), set("x[0]", 1), set("x[1]", 1))}
	if got = f.Next(other, w.at, 9); len(got) != 3 || got[0].Class != "image" {
		t.Errorf("a new type: %v, want its image before its port and x[*]", got)
	}
}

// TestWave lets replicas change in one service after the other.
func TestWave(t *testing.T) {
	t.Parallel()
	w := alternating()
	for i := range 9 {
		w.at = w.at.Add(time.Hour)
		w.commit(fmt.Sprint("wave", i), "update", penumbra.Address(fmt.Sprintf("e/service.s%d", i)), set("replicas", 7))
	}
	w.at = w.at.Add(time.Hour)
	f, before := observed(w), observed(alternating())
	rank := func(f *follower, address penumbra.Address) float64 {
		got := f.Next(w.nouns[address], w.at, 9)
		return got[slices.IndexFunc(got, func(x shadow.Ranked) bool { return x.Class == "replicas" })].Probability
	}
	if calm, wave := rank(before, "e/service.s10"), rank(f, "e/service.s10"); wave < 5*calm {
		t.Errorf("the wave raises the next one's replicas from %.3f to %.3f only", calm, wave)
	}
}

// TestCommitIsOne tells the same changes within one commit: nothing in it tells
// of the rest.
func TestCommitIsOne(t *testing.T) {
	t.Parallel()
	w := alternating()
	last := w.at
	w.commit("sweep", "update", "e/service.s0", set("port", 1))
	one := observed(w)
	for i := range 8 {
		w.commit("sweep", "update", penumbra.Address(fmt.Sprintf("e/service.s%d", i+1)), set("port", 1))
	}
	all := observed(w)
	r := w.nouns["e/service.s11"]
	if diff := cmp.Diff(one.Next(r, last, 9), all.Next(r, last, 9)); diff != "" {
		t.Errorf("the rest of the sweep tells: %s", diff)
	}
	port := func(f *follower, at time.Time) float64 {
		got := f.Next(r, at, 9)
		return got[slices.IndexFunc(got, func(x shadow.Ranked) bool { return x.Class == "port" })].Probability
	}
	within, after := port(all, last), port(all, last.Add(time.Hour))
	if after < 2*within {
		t.Errorf("port %.4f while the sweep is told, %.4f after it", within, after)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	w := &world{at: begin}
	var many []penumbra.Setting
	for i := range 40 {
		many = append(many, set(fmt.Sprintf("s%03d", i), 0))
	}
	w.commit("made", "create", "e/service.big", many...)
	f := observed(w)
	size := func() int {
		data, err := f.next.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		return len(data)
	}
	change := func(from, to int) {
		w.told = nil
		for i := from; i < to; i++ {
			w.at = w.at.Add(time.Hour)
			w.commit(fmt.Sprint(i), "update", "e/service.big", set(fmt.Sprintf("s%03d", i%40), i+1))
		}
		for _, o := range w.told {
			f.Observe(o)
		}
	}
	change(0, 2000)
	before := size()
	change(2000, 4000)
	if after := size(); after > before+before/20 {
		t.Errorf("the model grew from %d to %d bytes with the same settings", before, after)
	}
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	w := alternating()
	f := observed(w)
	data, err := f.next.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	restored := observed(w) // whose changes go on in the model that was read
	restored.next = succession.New(succession.Options{Known: restored.Known})
	if err := restored.next.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	w.told = nil
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 50 {
		w.at = w.at.Add(time.Hour)
		w.commit(fmt.Sprint("later", i), "update", penumbra.Address(fmt.Sprintf("e/service.s%d", random.IntN(12))), set("port", i))
	}
	for _, o := range w.told {
		f.Observe(o)
		restored.Observe(o)
	}
	r := w.nouns["e/service.s3"]
	if diff := cmp.Diff(f.Next(r, w.at.Add(time.Hour), 9), restored.Next(r, w.at.Add(time.Hour), 9)); diff != "" {
		t.Error(diff)
	}
	a, _ := f.next.MarshalBinary()
	if b, _ := restored.next.MarshalBinary(); !bytes.Equal(a, b) {
		t.Error("the same state gives other bytes")
	}
	for name, bad := range map[string][]byte{"nothing": nil, "cut": data[:len(data)/2], "flipped": flipped(data), "foreign": []byte("penumbra pooled\n")} {
		var e *penumbra.Error
		if err := restored.next.UnmarshalBinary(bad); !errors.As(err, &e) || e.Kind != penumbra.Damaged {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b, _ := restored.next.MarshalBinary(); !bytes.Equal(a, b) {
		t.Error("a damaged file changed the model")
	}
}

func flipped(data []byte) []byte {
	out := bytes.Clone(data)
	out[len(out)/2] ^= 1
	return out
}

// TestBeatsCounts judges the model on an estate where what changes depends on
// what changed last, which counts cannot know.
func TestBeatsCounts(t *testing.T) {
	t.Parallel()
	report, err := backtest.Run(t.Context(), slices.Values(alternating().told), []backtest.Entrant{{Name: "succession", Model: newFollower()}}, backtest.Options{
		Every: 7 * 24 * time.Hour, Horizons: []int{2}, Seed: 1, Bootstrap: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	scores := map[string]backtest.Next{}
	for _, n := range report.Next {
		scores[n.Name] = n
	}
	for _, naive := range []string{"the last again", "own counts", "interpolated counts"} {
		if scores[naive].Asked == 0 || scores["succession"].Hit1 < scores[naive].Hit1+0.1 {
			t.Errorf("succession %.2f, %s %.2f", scores["succession"].Hit1, naive, scores[naive].Hit1)
		}
	}
}
