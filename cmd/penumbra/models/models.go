// Package models holds the verbs on the models that keep the shadow: they train
// them, judge them on histories and promote their versions. A daemon trains with
// what they train with.
package models

import (
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

// app is the program as the verbs of this package see it.
type app struct{ *console.Console }

// Commands returns the verbs.
func Commands(on *console.Console) []*cobra.Command {
	a := &app{on}
	return []*cobra.Command{a.backtestCommand(), a.scoreCommand(), a.trainCommand(), a.modelCommand()}
}
