// Package daemon runs the daemon: on the configured stacks, and for as long as
// something is played on it, the demonstration or a recording.
package daemon

import (
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

// app is the program as the verbs of this package see it.
type app struct{ *console.Console }

// Commands returns the verbs.
func Commands(on *console.Console) []*cobra.Command {
	a := &app{on}
	return []*cobra.Command{a.serveCommand(), a.demoCommand()}
}
