package procgroup

import (
	"os"
	"slices"
	"strings"
)

// Environ is this process's environment, without Penumbra's own variables: the keys
// and passwords among them are the daemon's, and a tool runs code that others wrote,
// a module, a provider, a hook.
func Environ() []string {
	return slices.DeleteFunc(os.Environ(), func(x string) bool { return strings.HasPrefix(x, "PENUMBRA_") })
}
