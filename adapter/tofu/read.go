package tofu

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/penumbra-iac/penumbra"
)

// Read returns a template and a snapshot of each resource instance of the
// stack, as [ReadPlan] does of a normal plan. Nothing in the working
// directory is written and no lock is taken, so it needs none.
//
// A quick read costs little more than a refresh-only plan, also where nothing
// is remembered. It evaluates the code itself, in place of the provider's plan,
// to find the resources for which the code was changed and not applied; those
// and the drifted ones are planned and all others taken to be as applied. What
// it cannot evaluate counts as applied: a change in an argument that calls a
// function for networks, hashes or time, or one that follows from the provider
// alone, is not seen until it is applied or read without Quick. Where code is
// written in JSON or has override files a quick read is a full one.
//
// A resource that could not be read comes as a snapshot with the reason, and
// so do those that were not reached because of it. If none could be read the
// error is returned: Unavailable for providers and backends, Invalid with file
// and line for code, Missing for a tool or a folder without `tofu init`.
func (w *Workspace) Read(ctx context.Context) ([]penumbra.Observation, error) {
	from := reading{w.config.Stack, w.config.Now()}
	version, err := w.checkVersion(ctx)
	if err != nil {
		return nil, err
	}
	temp, err := w.readFolder()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	code := w.readCode(version)
	m := w.recall(code)
	if m == nil && w.config.Quick && code.plain {
		if out, err := w.readQuick(ctx, from, temp, code); out != nil || err != nil {
			return out, err
		}
	}
	known, err := w.schemas(ctx)
	if err != nil {
		return nil, err
	}
	if m != nil {
		if out, err := w.refresh(ctx, from, temp, code, m, known); out != nil || err != nil {
			return out, err
		}
	}
	file := filepath.Join(temp, "plan")
	found, err := w.readPlan(ctx, file, known)
	if err != nil {
		return nil, err
	}
	code.amend(found.declared)
	if !found.errored {
		w.remember(code, found, file, known)
	}
	return found.observations(from), nil
}

// readFolder makes a folder for the plan of one read; who asks for it removes it.
func (w *Workspace) readFolder() (string, error) {
	temp, err := os.MkdirTemp(w.data, "read-")
	if err != nil {
		return "", &penumbra.Error{Kind: penumbra.Full, What: "make a folder for a plan", Err: err, Remedy: "make room in the data folder"}
	}
	return temp, nil
}

// readPlan plans the code as it is and reads the plan.
func (w *Workspace) readPlan(ctx context.Context, file string, known shapes, more ...string) (*plan, error) {
	what := "read stack " + w.config.Stack
	out, failed := w.run(ctx, append(w.planFlags(file), more...)...)
	var happened events
	if failed != nil {
		happened = parseEvents(out.stdout.Bytes())
		if ctx.Err() != nil || len(happened.refreshed) == 0 || !exists(file) {
			return nil, w.failure(what, out, failed)
		}
	}
	found, err := w.show(ctx, file, what, known, failed != nil)
	if err != nil {
		return nil, err
	}
	if failed != nil {
		found.errored = true
		found.markUnread(happened)
	}
	return found, nil
}

// markUnread marks what a plan that failed did not read: the resources that an
// error names, and those that were not reached because of one.
func (p *plan) markUnread(happened events) {
	reasons := happened.reasons()
	rest := "not reached"
	if len(happened.errors) > 0 {
		rest += " because another read failed: " + sentence(happened.errors[0])
	}
	for _, i := range p.order {
		switch reason := reasons[i.address]; {
		case happened.refreshed[i.address]:
		case reason != "":
			i.notChecked = reason
		case i.exists:
			i.notChecked = rest
		}
	}
}

// show decodes a plan file through `show -json`, while it is being printed.
func (w *Workspace) show(ctx context.Context, file, what string, known shapes, partial bool) (*plan, error) {
	pr, pw := io.Pipe()
	out := &output{}
	done := make(chan error, 1)
	go func() {
		err := w.runIn(ctx, w.dir, out, pw, "show", "-json", file)
		pw.Close()
		done <- err
	}()
	found, err := decodePlan(pr, what, w.config.Key, known, partial)
	// A command whose output nobody takes would never end.
	_, _ = io.Copy(io.Discard, pr)
	if failed := <-done; failed != nil {
		return nil, w.failure(what, out, failed)
	}
	return found, err
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}
