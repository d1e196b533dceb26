// Package timelines holds the verbs that make histories, from what a daemon sees
// and from what a repository tells, and reads histories for those that learn of
// them.
package timelines

import (
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

// app is the program as the verbs of this package see it.
type app struct{ *console.Console }

// Commands returns the verbs.
func Commands(on *console.Console) []*cobra.Command {
	a := &app{on}
	return []*cobra.Command{a.recordCommand(), a.mineCommand()}
}
