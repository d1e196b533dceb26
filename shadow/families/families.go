// Package families answers one question: which families of models can keep the
// shadow?
//
// Use it where a model is named by its family, or where a checkpoint is read of
// which the family is not known. The daemon, the verbs and the workers of a
// distributed job have the same ones by it.
package families

import (
	"bytes"
	"maps"
	"slices"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/bayes"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
)

// Starts are the families by the name that the configuration gives. The seed is
// that of what is drawn.
var Starts = map[string]func(seed uint64) shadow.Model{
	"pooled":  func(uint64) shadow.Model { return shadow.NewPooled(shadow.Options{}) },
	"bayes":   func(uint64) shadow.Model { return bayes.NewModel(bayes.ModelOptions{}) },
	"mixture": func(seed uint64) shadow.Model { return mixture.NewShipped(mixture.Options{Seed: seed}) },
}

// Untrained makes a model of a family that knows nothing, not even what ships.
func Untrained(family string, seed uint64) shadow.Model {
	if family == "mixture" {
		return mixture.New(mixture.Options{Seed: seed})
	}
	return Starts[family](seed)
}

// Read makes the model that a checkpoint is of, and names its family. It returns
// an error of kind Damaged if the checkpoint is of none.
func Read(checkpoint []byte) (family string, m shadow.Model, err error) {
	for _, name := range slices.Sorted(maps.Keys(Starts)) {
		m := Starts[name](0)
		if _, err := m.ReadFrom(bytes.NewReader(checkpoint)); err == nil {
			return name, m, nil
		}
	}
	return "", nil, &penumbra.Error{
		Kind: penumbra.Damaged, What: "read a checkpoint: it is no whole one of any family of models",
		Remedy: "write it again with `penumbra train --file`, or with the version of Penumbra that reads it",
	}
}
