package tofu

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/procgroup"
	"github.com/penumbra-iac/penumbra/internal/savedplan"
)

// Apply applies the saved plan, that file and no other, holding the state's
// lock, and writes the tool's output to log, redacted, line by line while it runs. The
// plan is the tool's own check that the state has not changed since; a plan
// made with a patch carries the patched code in it and needs no file changed.
//
// An apply that has begun is never abandoned: ctx being cancelled does not
// stop it, and should Penumbra end the tool goes on by itself, which is why its
// output goes to a file rather than into a pipe. A cancelled ctx does keep it
// from starting.
//
// An error of kind Stale, Locked, Refused or Missing says that nothing was
// changed. After any other, something may have been.
func (w *Workspace) Apply(ctx context.Context, plan penumbra.Plan, log io.Writer) error {
	what := "apply to stack " + w.config.Stack
	if err := ctx.Err(); err != nil {
		return &penumbra.Error{Kind: penumbra.Refused, What: what + ": cancelled before it began", Err: err}
	}
	file, remove, err := w.plans().Open(plan)
	if err != nil {
		return err
	}
	defer remove()
	kept := filepath.Join(w.plans().Plans(), plan.File) + ".log"
	record, err := os.OpenFile(kept, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Refused, What: what + ": no log can be kept", Err: savedplan.Pathless(err), Remedy: "make room in the data folder"}
	}
	defer func() {
		_ = record.Close()
		_ = w.plans().Lock(kept) // tried again with the next plan
	}()
	env, err := w.credentials(cmp.Or(w.config.ApplyEnv, w.config.ReadEnv))
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Refused, What: what + ": nothing was changed", Err: err}
	}
	args := []string{"apply", "-input=false", "-no-color"}
	if w.config.Parallelism > 0 {
		args = append(args, fmt.Sprintf("-parallelism=%d", w.config.Parallelism))
	}
	cmd := exec.Command(w.binary, append(args, file)...)
	cmd.Dir, cmd.Env = w.dir, env
	procgroup.Own(cmd)
	var shown redactor
	var unlogged error
	failed, err := procgroup.RunRecorded(cmd, record, 0, func(line []byte) {
		if _, err := io.WriteString(log, penumbra.Redact(shown.line(string(line)))); unlogged == nil {
			unlogged = err
		}
	})
	text, unread := readBack(record)
	if failed != nil {
		return w.applyFailure(what, text, failed)
	}
	for _, err := range []error{err, unlogged, unread} {
		if err != nil {
			return &penumbra.Error{Kind: penumbra.Full, What: what + ": it was applied, and its log cannot be kept", Err: savedplan.Pathless(err)}
		}
	}
	return nil
}

// readBack returns what the tool wrote, redacted.
func readBack(record *os.File) (string, error) {
	if _, err := record.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	data, err := io.ReadAll(record)
	return redact(string(data)), err
}

// begun matches the lines that the tools print when they start on a resource.
var begun = regexp.MustCompile(`(?m): (Creating|Modifying|Destroying|Provisioning|Importing)\.\.\.`)

// applyFailure makes sure that no error of a kind that promises an untouched
// world follows an apply that had begun.
func (w *Workspace) applyFailure(what, text string, failed error) error {
	if _, exited := errors.AsType[*exec.ExitError](failed); !exited {
		return w.failure(what, &output{}, failed)
	}
	err := classify(what, w.dir, events{}, text)
	if begun.MatchString(text) {
		return &penumbra.Error{Kind: penumbra.Unavailable, What: what + ": " + firstError(events{}, text), Remedy: "look at the log and at what is there now"}
	}
	return err
}
