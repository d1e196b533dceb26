package tofu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"

	"github.com/penumbra-iac/penumbra"
)

// Apply applies the saved plan, that file and no other, holding the state's
// lock, and writes the tool's output to log, redacted, when it has ended. The
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
	file, err := w.openPlan(plan)
	if err != nil {
		return err
	}
	record, err := os.OpenFile(file+".log", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Refused, What: what + ": no log can be kept", Err: pathless(err), Remedy: "make room in the data folder"}
	}
	defer record.Close()
	args := []string{"apply", "-input=false", "-no-color"}
	if w.config.Parallelism > 0 {
		args = append(args, fmt.Sprintf("-parallelism=%d", w.config.Parallelism))
	}
	cmd := exec.Command(w.binary, append(args, file)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.dir, w.environment(), record, record
	ownGroup(cmd)
	failed := cmd.Run()
	text, err := readBack(record)
	if failed == nil && err == nil {
		_, err = io.WriteString(log, text)
	} else {
		_, _ = io.WriteString(log, text)
	}
	if failed == nil {
		if err != nil {
			return &penumbra.Error{Kind: penumbra.Full, What: what + ": it was applied, and its log cannot be kept", Err: pathless(err)}
		}
		return nil
	}
	return w.applyFailure(what, text, failed)
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
