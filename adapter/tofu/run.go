package tofu

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra/internal/envfile"
	"github.com/penumbra-iac/penumbra/internal/procgroup"
)

// output is what a command wrote.
type output struct {
	stdout, stderr bytes.Buffer
}

// run executes a command that only reads, in the working directory, and returns
// its output. When ctx ends the command and its providers are killed and not
// interrupted: on an interrupt OpenTofu writes the state that it has read to its
// local file once more, without a lock as it reads without one, over what somebody
// else may have applied in the meantime. Nothing is held that would have to be
// released.
func (w *Workspace) run(ctx context.Context, args ...string) (*output, error) {
	out := &output{}
	return out, w.runIn(ctx, w.dir, out, &out.stdout, args...)
}

func (w *Workspace) runIn(ctx context.Context, dir string, out *output, stdout io.Writer, args ...string) error {
	env, err := w.credentials(w.config.ReadEnv)
	if err != nil {
		return err
	}
	cmd := procgroup.CommandContext(ctx, w.binary, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.Stdout, cmd.Stderr = stdout, &out.stderr
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// noCredentials are names that say what the code is, or how the tool is run: they
// would make a plan of one thing and an apply of another.
var noCredentials = []string{"TF_VAR_", "TF_CLI_ARGS", "TF_WORKSPACE", "TF_DATA_DIR", "TF_LOG"}

// credentials is the environment with what a file of credentials has over it.
func (w *Workspace) credentials(file string) ([]string, error) {
	held, err := envfile.Read(file, noCredentials...)
	if err != nil {
		return nil, err
	}
	return append(w.environment(), held...), nil
}

// environment is the process's own, with the stack's settings over it and what
// keeps the output readable by a program. Logging would mix into the errors.
func (w *Workspace) environment() []string {
	env := slices.DeleteFunc(procgroup.Environ(), func(s string) bool { return strings.HasPrefix(s, "TF_LOG") })
	for _, name := range slices.Sorted(maps.Keys(w.config.Env)) {
		env = append(env, name+"="+w.config.Env[name])
	}
	return append(env, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_INPUT=0")
}
