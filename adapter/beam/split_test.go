package beam_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/beam"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
)

// trainedHere lets one mixture learn a history in one process, up to a time unless
// that is zero, and returns the checkpoint of one that starts from what it learnt
// and knows no resource yet: what [beam.Train] makes in shards.
func trainedHere(t *testing.T, all []penumbra.Observation, until time.Time, seed uint64) []byte {
	t.Helper()
	var part []penumbra.Observation
	for _, o := range all {
		if until.IsZero() || !o.Time.After(until) {
			part = append(part, o)
		}
	}
	var knowledge, out bytes.Buffer
	if _, err := learnt(mixture.New(mixture.Options{Seed: seed}), part).(*mixture.Model).WriteKnowledge(&knowledge); err != nil {
		t.Fatal(err)
	}
	m, err := mixture.NewGoingOn(knowledge.Bytes(), mixture.Options{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// trainedThere trains a mixture in shards.
func trainedThere(t *testing.T, training beam.Training, r beam.Runner) []byte {
	t.Helper()
	training.Out = filepath.Join(t.TempDir(), "model")
	if _, err := beam.Train(context.Background(), training, r); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(training.Out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// reading returns the mixture of a checkpoint, one that knows nothing of nil.
func reading(t *testing.T, checkpoint []byte) *mixture.Model {
	t.Helper()
	m := mixture.New(mixture.Options{Seed: 1})
	if checkpoint != nil {
		if _, err := m.ReadFrom(bytes.NewReader(checkpoint)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// since is an estate from a time on: what is there then begins as it is, without
// its past. The history is one of commits alone.
func since(t *testing.T, all []penumbra.Observation, cut time.Time) []*penumbra.Observation {
	t.Helper()
	there := map[penumbra.Address]*penumbra.Observation{}
	var order []penumbra.Address
	var later []*penumbra.Observation
	for i := range all {
		o := &all[i]
		r := there[o.Resource]
		switch {
		case o.Time.After(cut):
			later = append(later, o)
		case !o.IsCodeChange():
			t.Fatalf("%s of %s is no commit", o.Kind, o.Resource)
		case o.Action == penumbra.ActionDelete:
			delete(there, o.Resource)
		case r == nil || o.Action == "create":
			if r == nil {
				order = append(order, o.Resource)
			}
			there[o.Resource] = &penumbra.Observation{Kind: penumbra.EventKind, Time: cut, Resource: o.Resource, Type: o.Type,
				Source: "git:introduced", Action: "create", Settings: penumbra.Settings(nil).Merge(o.Settings)}
		default:
			r.Settings = r.Settings.Merge(o.Settings)
		}
	}
	var out []*penumbra.Observation
	for _, a := range order {
		if r := there[a]; r != nil {
			delete(there, a) // one that came again is in the order twice
			out = append(out, r)
		}
	}
	return append(out, later...)
}

// judgedLater judges what trainings on an estate's earlier time left, on its later
// time: each starts with its weights and without a past, is asked first and learns
// afterwards. The split by time of the protocol, so that no question was learnt
// from, and no training is made good by learning the past again.
func judgedLater(t *testing.T, all []penumbra.Observation, cut time.Time, names []string, checkpoints [][]byte, o backtest.Options) *backtest.Change {
	t.Helper()
	var entrants []backtest.Entrant
	for i, name := range names {
		entrants = append(entrants, backtest.Entrant{Name: name, Model: reading(t, checkpoints[i])})
	}
	o.Warmup, o.Every, o.NoValues, o.Horizons = -1, 7*24*time.Hour, true, []int{len(penumbra.Horizons) - 1}
	r, err := backtest.Run(context.Background(), slices.Values(since(t, all, cut)), entrants, o)
	if err != nil {
		t.Fatal(err)
	}
	return &r.Change[0]
}
