package rnn

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
)

// Options say how to train. Zero fields take their default.
type Options struct {
	Epochs   int     // at most; 20
	Patience int     // epochs without a better validation loss before it stops; 3
	Chunk    int     // steps that derivatives go back through; 32
	Batch    int     // steps and questions, roughly, between two updates of the parameters; 512
	Rate     float64 // of Adam at first; 1e-3
	Decay    float64 // of weights, decoupled; 0.3
	Clip     float64 // largest norm of a gradient (Pascanu et al. 2013); 1
	Seed     uint64  // of the order of the sequences
	// Progress, if not nil, is called after each batch.
	Progress func(Progress)
}

func (o Options) withDefaults() Options {
	defaults(&o.Epochs, 20)
	defaults(&o.Patience, 3)
	defaults(&o.Chunk, 32)
	defaults(&o.Batch, 512)
	defaults(&o.Rate, 1e-3)
	defaults(&o.Decay, 0.3)
	defaults(&o.Clip, 1)
	return o
}

// Progress is where a training stands.
type Progress struct {
	Epoch, Epochs int // this one, from 1, and at most
	Steps, All    int // of this epoch, over all sequences
}

// Epoch is what came of one pass over the training tape.
type Epoch struct {
	Train      Loss // while it learnt
	Validation Loss // after it
	Rate       float64
}

// Report is what came of a training.
type Report struct {
	Before  Loss // on the validation tape, of the network as it was
	Epochs  []Epoch
	Best    int  // the epoch whose parameters the network has now, 0 for those that it had
	Stopped bool // for want of patience
}

// Train fits the network to a tape by truncated back-propagation through time
// over minibatches of sequences of like length. After each epoch the loss on
// the validation tape is measured; if it is no better, the next epoch starts
// from the best parameters at a quarter of the rate. At the end the network has
// the best ones, those that it came with among them. Without a validation tape
// (nil) all epochs are run, the rate falls to zero in a straight line, and the
// last parameters are kept.
//
// The same network, tapes and options give the same parameters on any number
// of cores. Train returns an error of kind Invalid if a tape does not fit the
// network, holds nothing to learn from, or the loss stops being finite; and
// ctx's error if it ends. In each of these cases the network has the best
// parameters so far.
func Train(ctx context.Context, n *Network, train, validation *Tape, o Options) (Report, error) {
	o = o.withDefaults()
	var report Report
	for _, t := range []*Tape{train, validation} {
		if t == nil {
			continue
		}
		if err := t.fits(n.config); err != nil {
			return report, invalid("train the network", err)
		}
	}
	t, err := newTrainer(n, train, o)
	if err != nil {
		return report, err
	}
	best := math.Inf(1)
	if validation != nil {
		if report.Before, err = Evaluate(ctx, n, validation); err != nil {
			return report, err
		}
		best = report.Before.Total()
		if err := notFinite("the loss on the validation tape, before the first epoch", best); err != nil {
			return report, err
		}
	}
	kept := slices.Clone(n.params)
	rate, worse := o.Rate, 0
	for e := range o.Epochs {
		epoch := Epoch{Rate: rate}
		epoch.Train, err = t.epoch(ctx, e+1, rate)
		if err == nil && validation != nil {
			epoch.Validation, err = Evaluate(ctx, n, validation)
		}
		if err == nil && validation != nil {
			err = notFinite(fmt.Sprintf("the loss on the validation tape, after epoch %d", e+1), epoch.Validation.Total())
		}
		if err != nil {
			copy(n.params, kept)
			return report, err
		}
		report.Epochs = append(report.Epochs, epoch)
		loss := epoch.Validation.Total()
		if validation == nil || loss < best {
			report.Best = e + 1
			copy(kept, n.params)
		}
		if validation == nil {
			rate = o.Rate * (1 - float64(e+1)/float64(o.Epochs))
			continue
		}
		better := loss < best*(1-least)
		best = min(best, loss)
		if better {
			worse = 0
			continue
		}
		if worse++; worse == o.Patience {
			report.Stopped = true
			break
		}
		rate /= 4
		copy(n.params, kept)
	}
	copy(n.params, kept)
	return report, nil
}

// least is the part by which a loss has to fall to count as better.
const least = 1e-4

// shards is in how many parts each batch is worked on side by side. It does not
// follow the number of cores, so that the order of summation does not either.
const shards = 2

type trainer struct {
	net     *Network
	tape    *Tape
	options Options
	rng     *rand.Rand
	adam    *adam
	shard   [shards]chunk
	scale   float32
}

func newTrainer(n *Network, tape *Tape, o Options) (*trainer, error) {
	t := &trainer{net: n, tape: tape, options: o, rng: rand.New(rand.NewPCG(o.Seed, 0x747261696e)), adam: newAdam(n)}
	weight := 0.0
	for i := range tape.asked {
		if a := &tape.asked[i]; a.answered() {
			weight += float64(a.weight)
		}
	}
	if weight == 0 {
		return nil, invalid("train the network", fmt.Errorf("the tape has no question with an outcome and a weight"))
	}
	// A batch counts by what it holds, so that a question counts the same in a
	// full one and in the short rest of a long sequence.
	updates := 0
	for _, b := range t.plan() {
		updates += b[0].runs(o.Chunk)
	}
	t.scale = float32(float64(updates) / weight)
	for i := range t.shard {
		t.shard[i].grad = newGradient(n)
		t.shard[i].scale = t.scale
	}
	return t, nil
}

// plan puts all sequences into batches of like length, each in falling order
// of length, in a new random order.
func (t *trainer) plan() [][]lane {
	type entry struct {
		lane lane
		key  float64
	}
	var all []entry
	for i := range t.tape.sequences {
		if s := &t.tape.sequences[i]; len(s.questions) > 0 {
			l := newLane(t.tape, s)
			all = append(all, entry{l, float64(l.length) * (1 + 0.2*t.rng.Float64())})
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(b.key, a.key) })
	var out [][]lane
	var batch []lane
	size := 0
	for i, e := range all {
		batch = append(batch, e.lane)
		size += (e.lane.length + len(e.lane.seq.questions)) / e.lane.runs(t.options.Chunk)
		if size >= t.options.Batch || i == len(all)-1 {
			slices.SortStableFunc(batch, longestFirst)
			out = append(out, batch)
			batch, size = nil, 0
		}
	}
	t.rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// epoch runs over the tape once.
func (t *trainer) epoch(ctx context.Context, number int, rate float64) (Loss, error) {
	var loss Loss
	done := 0
	for _, b := range t.plan() {
		if err := t.batch(ctx, b, rate, &loss); err != nil {
			return loss, err
		}
		if err := notFinite(fmt.Sprintf("the loss in epoch %d", number), loss.Total()); err != nil {
			return loss, err
		}
		for i := range b {
			done += len(b[i].seq.steps)
		}
		if t.options.Progress != nil {
			t.options.Progress(Progress{Epoch: number, Epochs: t.options.Epochs, Steps: done, All: t.tape.Steps()})
		}
	}
	return loss, nil
}

// batch runs over some sequences, and updates the parameters after each chunk.
func (t *trainer) batch(ctx context.Context, b []lane, rate float64, loss *Loss) error {
	var lanes [shards][]lane
	for i, l := range b {
		lanes[i%shards] = append(lanes[i%shards], l)
	}
	for i := range t.shard {
		t.shard[i].begin(t.net, lanes[i])
	}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		more = run(t.shard[:], t.options.Chunk)
		for i := range t.shard {
			loss.add(&t.shard[i].loss)
		}
		if err := t.update(rate); err != nil {
			return err
		}
	}
	return nil
}

// update moves the parameters by the shards' gradients and clears them.
func (t *trainer) update(rate float64) error {
	g := t.shard[0].grad
	for i := 1; i < shards; i++ {
		g.add(t.net, t.shard[i].grad)
	}
	err := descend(t.net, t.adam, g, rate, t.options.Clip, t.options.Decay)
	for i := range t.shard {
		t.shard[i].grad.reset(t.net)
		t.shard[i].loss = Loss{}
	}
	return err
}

// descend makes one step of the optimiser, the gradient clipped. A gradient
// that is not finite changes nothing and is an error.
func descend(n *Network, a *adam, g *gradient, rate, clip, decay float64) error {
	norm := math.Sqrt(g.squares(n))
	if err := notFinite("the gradient", norm); err != nil {
		return err
	}
	if norm > 0 {
		a.step(n, g, float32(min(1, clip/norm)), float32(rate), float32(decay))
	}
	return nil
}

// run advances the shards side by side and reports whether any has more to do.
func run(all []chunk, length int) bool {
	var more [shards]bool
	if runtime.GOMAXPROCS(0) == 1 {
		for i := range all {
			more[i] = all[i].advance(length)
		}
		return slices.Contains(more[:], true)
	}
	var wait sync.WaitGroup
	for i := 1; i < len(all); i++ {
		wait.Go(func() { more[i] = all[i].advance(length) })
	}
	more[0] = all[0].advance(length)
	wait.Wait()
	return slices.Contains(more[:], true)
}

// Evaluate returns the network's loss on all tapes together. It returns an error
// of kind Invalid if a tape does not fit the network, and ctx's error if it ends.
func Evaluate(ctx context.Context, n *Network, tapes ...*Tape) (Loss, error) {
	return play(ctx, n, tapes, nil)
}

// Predict answers all questions of a tape and hands each to see, with its
// number and the log probabilities of its alternatives (nil where none were
// recorded), which are good only during the call. The order of the questions is
// any but always the same. It returns the errors of [Evaluate].
func Predict(ctx context.Context, n *Network, tape *Tape, see func(question int, a *Answer, choice [2][]float32)) error {
	_, err := play(ctx, n, []*Tape{tape}, func(q answered) {
		var a Answer
		a.set(q.raw, &q.tape.asked[q.number].offset)
		see(int(q.number), &a, q.choice)
	})
	return err
}

// play runs forwards over tapes. With see it stays on one goroutine.
func play(ctx context.Context, n *Network, tapes []*Tape, see func(answered)) (Loss, error) {
	var loss Loss
	const length, width = 32, 64
	var order []lane
	for _, tape := range tapes {
		if err := tape.fits(n.config); err != nil {
			return loss, invalid("answer the questions of a tape", err)
		}
		for i := range tape.sequences {
			order = append(order, newLane(tape, &tape.sequences[i]))
		}
	}
	slices.SortStableFunc(order, longestFirst)
	var all [shards]chunk
	used := all[:]
	if see != nil {
		used = all[:1]
		all[0].see = see
	}
	for len(order) > 0 {
		var lanes [shards][]lane
		some := order[:min(width*len(used), len(order))]
		order = order[len(some):]
		for i, l := range some {
			lanes[i%len(used)] = append(lanes[i%len(used)], l)
		}
		for i := range used {
			used[i].begin(n, lanes[i])
		}
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				return loss, err
			}
			more = run(used, length)
		}
		for i := range used {
			loss.add(&used[i].loss)
			used[i].loss = Loss{}
		}
	}
	return loss, nil
}
