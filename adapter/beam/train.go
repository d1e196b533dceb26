package beam

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
)

func init() {
	register.DoFn3x0[string, []byte, func(int, []byte)](&assignFn{})
	register.DoFn4x1[context.Context, int, func(*[]byte) bool, func(int, []byte), error](&learnFn{})
	register.DoFn3x1[context.Context, int, func(*[]byte) bool, error](&averageFn{})
}

// Training says what the mixture is trained from, and how.
type Training struct {
	Files  []string  // timelines: JSON Lines, which may be compressed with gzip, or Parquet
	Until  time.Time // observations after it are left out, none if zero
	Out    string    // file for the checkpoint
	Shards int       // parts of the fleet that learn by themselves, 4 if 0
	Rounds int       // of learning and averaging, 1 if 0
	Seed   uint64    // of all that is drawn
}

// looks is how many settings all shards together look at on a day: as many as one
// process does, so that a training costs as much in all.
const looks = 2000

// assignFn puts a resource and its copies in other environments into one shard.
type assignFn struct{ Shards int }

// ProcessElement assigns one observation.
func (f *assignFn) ProcessElement(family string, line []byte, emit func(int, []byte)) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(family))
	emit(int(h.Sum32()%uint32(f.Shards)), line)
}

// learnt is what a shard has learnt.
type learnt struct {
	Shard     int
	Knowledge []byte // see mixture's format.md
}

// learnFn lets a mixture learn the history of one shard.
type learnFn struct {
	Start  []byte // the knowledge of the round before, nil in the first
	Until  time.Time
	Shards int
	Seed   uint64
}

// ProcessElement learns one shard.
func (f *learnFn) ProcessElement(ctx context.Context, shard int, lines func(*[]byte) bool, emit func(int, []byte)) error {
	past, err := history(lines)
	if err != nil {
		return err
	}
	o := mixture.Options{Seed: f.Seed, Looks: max(1, looks/f.Shards)}
	m := mixture.New(o)
	if f.Start != nil {
		if m, err = mixture.NewGoingOn(f.Start, o); err != nil {
			return err
		}
	}
	for i := range past {
		if i%1000 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			progress.Add(int64(min(1000, len(past)-i)))
		}
		if f.Until.IsZero() || !past[i].Time.After(f.Until) {
			m.Observe(&past[i])
		}
	}
	var knowledge bytes.Buffer
	if _, err := m.WriteKnowledge(&knowledge); err != nil {
		return err
	}
	out, err := json.Marshal(learnt{shard, knowledge.Bytes()})
	if err != nil {
		return err
	}
	emit(0, out)
	return nil
}

// averageFn averages what the shards have learnt. In the order of shards, so that
// the sums do not depend on which came first.
type averageFn struct{ File string }

// ProcessElement averages one round.
func (f *averageFn) ProcessElement(_ context.Context, _ int, parts func(*[]byte) bool) error {
	var all []learnt
	for data := range yielded(parts) {
		var x learnt
		if err := json.Unmarshal(data, &x); err != nil {
			return err
		}
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b learnt) int { return cmp.Compare(a.Shard, b.Shard) })
	knowledge := make([][]byte, len(all))
	for i := range all {
		knowledge[i] = all[i].Knowledge
	}
	mean, err := mixture.Average(knowledge...)
	if err != nil {
		return err
	}
	return replace(f.File, mean)
}

// replace writes a file whole or not at all.
func replace(name string, data []byte) error {
	refused := func(err error) error {
		return &penumbra.Error{Kind: penumbra.Refused, What: "write " + filepath.Base(name), Remedy: "name a file that every worker may write", Err: err}
	}
	file, err := os.CreateTemp(filepath.Dir(name), ".penumbra-*")
	if err != nil {
		return refused(err)
	}
	defer os.Remove(file.Name()) // nothing is there once it is renamed
	_, err = file.Write(data)
	if err := cmp.Or(err, file.Chmod(0o644), file.Close()); err != nil {
		return refused(err)
	}
	if err := os.Rename(file.Name(), name); err != nil {
		return refused(err)
	}
	return nil
}

// Train lets a mixture learn each shard of a fleet by itself, averages what they
// have learnt, and in the next round starts each from that; then it writes the
// checkpoint of a mixture that starts from the last average and knows no resource
// yet. It returns an error of kind Invalid if the training lacks something.
func Train(ctx context.Context, t Training, r Runner) (Result, error) {
	if t.Shards <= 0 {
		t.Shards = 4
	}
	if t.Rounds <= 0 {
		t.Rounds = 1
	}
	switch {
	case len(t.Files) == 0:
		return Result{}, invalid("train without a timeline", "name timeline files")
	case t.Out == "":
		return Result{}, invalid("train without a file for the checkpoint", "name one")
	}
	out := absolute([]string{t.Out})[0]
	key := newKey()
	between, aside := out+".round", asideOf(out)
	defer os.Remove(between)
	_ = os.Remove(aside) // of an earlier training
	inputs, err := spread(ctx, absolute(t.Files))
	if err != nil {
		return Result{}, err
	}
	var result Result
	var mean []byte
	for round := range t.Rounds {
		p, root := beam.NewPipelineWithRoot()
		sharded := beam.ParDo(root.Scope("shard"), &assignFn{t.Shards}, observations(root, inputs, &readFn{Key: key, ByFamily: true}, aside))
		parts := beam.ParDo(root.Scope("learn"), &learnFn{Start: mean, Until: t.Until, Shards: t.Shards, Seed: t.Seed}, beam.GroupByKey(root, sharded))
		beam.ParDo0(root.Scope("average"), &averageFn{between}, beam.GroupByKey(root, parts))
		var err error
		if result, err = r.run(ctx, p, fmt.Sprintf("round %d of %d, observations learnt", round+1, t.Rounds)); err != nil {
			return result, err
		}
		if mean, err = os.ReadFile(between); err != nil {
			return result, &penumbra.Error{Kind: penumbra.Missing, What: "read what the shards learnt", Remedy: "name a file that is on every worker and here", Err: err}
		}
	}
	result.keptAside(aside)
	m, err := mixture.NewGoingOn(mean, mixture.Options{Seed: t.Seed})
	if err != nil {
		return result, err
	}
	var checkpoint bytes.Buffer
	if _, err := m.WriteTo(&checkpoint); err != nil {
		return result, err
	}
	return result, replace(out, checkpoint.Bytes())
}
