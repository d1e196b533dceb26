package ansible

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/codepatch"
	"github.com/penumbra-iac/penumbra/internal/savedplan"
)

// saved is a plan on disk: what to run, on which code, and the way back.
type saved struct {
	Format int               `json:"format"`
	Errand errand            `json:"errand"`
	Patch  *penumbra.Patch   `json:"patch,omitempty"`
	Code   map[string]string `json:"code"` // digest of each file, with the patch
	// Beside are the digests of roles and collections outside of the stack's folder.
	Beside map[string]string `json:"beside,omitempty"`
	// Evidence is the plan's. The run is refused where check mode gives another.
	Evidence string  `json:"evidence"`
	Back     *errand `json:"back,omitempty"`
	// Kept are the files that the way back puts back, with their digests.
	Kept map[string]string `json:"kept,omitempty"`
}

const savedFormat = 1

func (w *Workspace) plans() savedplan.Folder {
	return savedplan.Folder{Stack: w.config.Stack, Data: w.data, Now: w.config.Now, Cipher: w.config.Cipher}
}

// Plan runs the tasks that declare the targets, one or several, in check mode with
// diff: limited to their hosts, and to tags where some select those tasks. With a
// patch it does so in a copy of the code. What it would do is saved, with the way
// back from all of it, which was tried in check mode too. It returns an error of kind
// NotFound if no task tells of a target, Refused where the run could not be answered
// for, Stale if the code is not what the patch is for, and otherwise those of
// [Workspace.Read].
func (w *Workspace) Plan(ctx context.Context, targets []penumbra.Address, patch *penumbra.Patch) (penumbra.Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, w.config.Timeout)
	defer cancel()
	if err := w.canPlan(); err != nil {
		return penumbra.Plan{}, err
	}
	s, err := w.surveyed(ctx)
	if err != nil {
		return penumbra.Plan{}, err
	}
	if len(targets) == 0 {
		return penumbra.Plan{}, &penumbra.Error{Kind: penumbra.Invalid, What: "plan all of stack " + w.config.Stack, Remedy: "name resources"}
	}
	items := map[penumbra.Address]*item{}
	for _, target := range targets {
		it := s.items[target]
		if it == nil || len(it.origins) == 0 {
			return penumbra.Plan{}, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no task of %s tells of %s", w.config.Playbook, target), Remedy: "add one to the playbook"}
		}
		if it.notChecked != "" {
			return penumbra.Plan{}, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s was not checked: %s", target, it.notChecked), Remedy: "run the playbook by hand"}
		}
		items[target] = it
	}
	e, tagged := w.narrow(s, slices.Collect(maps.Values(items)))
	t, err := w.try(ctx, e, patch)
	if tagged && (err != nil || t.silentOn(items) != "") {
		// The tasks need others that the tags leave out, such as one that sets a fact.
		tagged, e.Tags = false, w.config.Tags
		t, err = w.try(ctx, e, patch)
	}
	if err != nil {
		return penumbra.Plan{}, err
	}
	if target := t.silentOn(items); target != "" {
		return penumbra.Plan{}, &penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("check mode, limited to %s, does not tell of %s", e.Limit, target), Remedy: "run it by hand: " + w.command(e, "--check", "--diff")}
	}
	p := penumbra.Plan{Stack: w.config.Stack, Targets: targets, PatchHash: codepatch.Digest(patch), Check: w.command(e, "--check", "--diff")}
	if !tagged {
		p.Notes = append(p.Notes, "No tag selects its tasks alone: the whole playbook runs on "+e.Limit+".")
	}
	return w.save(ctx, s, t, p, patch, nil)
}

func (w *Workspace) canPlan() error {
	if w.data == "" {
		return &penumbra.Error{Kind: penumbra.Refused, What: "stack " + w.config.Stack + " has no data folder to save plans in", Remedy: "give the workspace one"}
	}
	return nil
}

// Replan runs again, in check mode, what the plan would run. It returns an error
// of kind Stale if the code or the saved plan is not the one that was approved.
func (w *Workspace) Replan(ctx context.Context, plan penumbra.Plan, patch *penumbra.Patch) (penumbra.Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, w.config.Timeout)
	defer cancel()
	_, of, err := w.open(plan)
	if err != nil {
		return penumbra.Plan{}, err
	}
	if name := cmp.Or(changedFile(of.Code, w.codeFiles(patch)), changedFile(of.Beside, besideNow(of.Beside))); name != "" {
		return penumbra.Plan{}, w.codeChanged(name)
	}
	lock, err := w.unlock(of.Kept)
	if err != nil {
		return penumbra.Plan{}, err
	}
	t, err := w.try(ctx, of.Errand, patch)
	if err = errors.Join(err, lock()); err != nil {
		return penumbra.Plan{}, err
	}
	plan.Changes, plan.Evidence, plan.Created = t.changes, t.evidence, w.config.Now().UTC()
	return plan, nil
}

func (w *Workspace) codeChanged(name string) error {
	return &penumbra.Error{
		Kind: penumbra.Stale, What: fmt.Sprintf("%s of stack %s has changed since it was planned", name, w.config.Stack),
		Remedy: "look at the new proposals and decide again",
	}
}

// open reads a saved plan.
func (w *Workspace) open(plan penumbra.Plan) (file string, of saved, err error) {
	if err := w.canPlan(); err != nil {
		return "", of, err
	}
	data, err := w.plans().Read(plan)
	if err != nil {
		return "", of, err
	}
	if file, err = w.plans().Path(plan); err == nil {
		err = json.Unmarshal(data, &of)
	}
	if err != nil || of.Format != savedFormat {
		return "", of, &penumbra.Error{Kind: penumbra.Stale, What: "the saved plan cannot be read", Err: savedplan.Pathless(err), Remedy: "plan again"}
	}
	return file, of, nil
}

// trial is what an errand would do.
type trial struct {
	errand   errand
	book     *book
	tasks    map[string]*declared
	changes  []penumbra.PlannedChange
	evidence string
}

// try runs an errand in check mode.
func (w *Workspace) try(ctx context.Context, e errand, patch *penumbra.Patch) (*trial, error) {
	scratch, err := scratchFolder()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	dir, remove, err := w.folder(e, patch)
	if err != nil {
		return nil, err
	}
	defer remove()
	b := newBook(w.config.Stack, w.config.Key)
	tasks, err := w.check(ctx, dir, scratch, e, b)
	if err != nil {
		return nil, err
	}
	for host, why := range b.lost {
		kind := penumbra.Refused
		if strings.HasPrefix(why, "host unreachable") {
			kind = penumbra.Unavailable
		}
		for _, it := range b.items {
			if strings.HasPrefix(it.notChecked, "the task failed") && it.host == host {
				why = it.notChecked
			}
		}
		return nil, &penumbra.Error{Kind: kind, What: fmt.Sprintf("check mode on %s: %s", host, why), Remedy: "run it by hand: " + w.command(e, "--check", "--diff")}
	}
	w.secondLook(ctx, dir, scratch, b)
	t := &trial{errand: e, book: b, tasks: tasks}
	t.changes, t.evidence = b.changes(w.config.Now())
	return t, nil
}

// silentOn returns the first resource of which the trial did not tell all that a
// look at everything tells, "" if there is none.
func (t *trial) silentOn(items map[penumbra.Address]*item) penumbra.Address {
	for _, address := range slices.Sorted(maps.Keys(items)) {
		if !t.tells(address, items[address]) {
			return address
		}
	}
	return ""
}

// tells reports whether the trial told of a resource all that a look at
// everything tells.
func (t *trial) tells(address penumbra.Address, of *item) bool {
	it := t.book.items[address]
	if it == nil || it.notChecked != "" {
		return false
	}
	for path, p := range of.pairs {
		if _, ok := it.pairs[path]; p.declared && !ok {
			return false
		}
	}
	return true
}

// changes returns what the tasks would do, and a digest of it and of all that
// they found: what is in sync must stay so too.
func (b *book) changes(at time.Time) ([]penumbra.PlannedChange, string) {
	h := sha256.New()
	var out []penumbra.PlannedChange
	list := b.observations(at)
	for i, o := range list {
		fmt.Fprintf(h, "%q %q %q %t\n", o.Resource, o.Kind, o.Settings.Digest(), o.NotChecked != "")
		if o.Kind != penumbra.SnapshotKind {
			continue
		}
		it := b.items[o.Resource]
		if it.executes {
			out = append(out, penumbra.PlannedChange{Resource: o.Resource, Type: it.typ, Action: penumbra.Execute})
			fmt.Fprintf(h, "executes\n")
			continue
		}
		var want penumbra.Settings
		if i > 0 && list[i-1].Resource == o.Resource {
			want = list[i-1].Settings
		}
		if c := plannedChange(it, want, o.Settings); len(c.Changes) > 0 {
			c.Resource, c.Type = o.Resource, it.typ
			out = append(out, c)
		}
	}
	for _, a := range b.acts {
		out = append(out, penumbra.PlannedChange{Resource: a.address, Type: "ansible_service", Action: penumbra.Execute})
		fmt.Fprintf(h, "%q\n", a.address)
	}
	penumbra.DisruptiveFirst(out)
	return out, hex.EncodeToString(h.Sum(nil))
}

// plannedChange compares what the tasks declare with what they found.
func plannedChange(it *item, want, got penumbra.Settings) penumbra.PlannedChange {
	c := penumbra.PlannedChange{Action: penumbra.Update}
	for _, x := range want {
		is, seen := got.Find(x.Path)
		if !seen || is.Value == x.Value {
			continue
		}
		change := penumbra.PathChange{Path: x.Path, Before: is.Value, After: x.Value}
		if it.typ == "postgresql" && x.Value == penumbra.String(serverDefault) {
			change.After, change.Unknown = penumbra.Unknown(), true
		}
		if x.Path == "state" {
			switch {
			case x.Value == penumbra.String("absent"):
				c.Action = penumbra.Destroy
			case is.Value == penumbra.String("absent"):
				c.Action = penumbra.Create
			}
		}
		c.Changes = append(c.Changes, change)
	}
	return c
}

// save prepares the way back, unless it is given or nothing would be changed, and
// keeps the plan.
func (w *Workspace) save(ctx context.Context, s *survey, t *trial, p penumbra.Plan, patch *penumbra.Patch, kept map[string]string) (penumbra.Plan, error) {
	if err := t.restarts(); err != nil {
		return p, err
	}
	file, err := w.plans().New()
	if err != nil {
		return p, err
	}
	of := saved{Format: savedFormat, Errand: t.errand, Patch: patch, Code: w.codeFiles(patch), Beside: w.beside(t.tasks), Evidence: t.evidence, Kept: kept}
	p.File, p.Changes, p.Evidence, p.Created = filepath.Base(file), t.changes, t.evidence, w.config.Now().UTC()
	p.Command = w.command(t.errand)
	if kept == nil && !p.IsEmpty() {
		back := &wayBack{w: w, survey: s, trial: t, folder: file + ".back"}
		if err := back.prepare(ctx); err != nil {
			os.Remove(file)
			os.RemoveAll(back.folder)
			return p, err
		}
		of.Back, of.Kept, p.Back = back.errand, back.kept, back.words()
	}
	data, err := json.Marshal(of)
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err == nil {
		err = w.plans().Lock(append(slices.Sorted(maps.Keys(of.Kept)), file)...)
	}
	if err != nil {
		os.Remove(file)
		return p, &penumbra.Error{Kind: penumbra.Full, What: "save a plan", Err: savedplan.Pathless(err), Remedy: "make room in the data folder"}
	}
	p.Hash = codepatch.HashText(string(data))
	return p, nil
}

// unlock makes what was kept for a way back readable for the play that puts it back.
func (w *Workspace) unlock(kept map[string]string) (lock func() error, err error) {
	return w.plans().Unlock(slices.Sorted(maps.Keys(kept))...)
}

// restarts returns an error of kind Refused if a setting would take force at a
// restart only and nothing that runs restarts the server.
func (t *trial) restarts() error {
	if slices.ContainsFunc(t.changes, func(c penumbra.PlannedChange) bool { return c.Action == penumbra.Execute }) {
		return nil // what a handler does is not known; its name is shown
	}
	for _, c := range t.changes {
		for _, path := range t.book.items[c.Resource].restart {
			if slices.ContainsFunc(c.Changes, func(x penumbra.PathChange) bool { return x.Path == path }) {
				return &penumbra.Error{
					Kind: penumbra.Refused, What: path + " takes force at a restart only, and no handler of the play restarts the server: a run would leave it pending",
					Remedy: "run the play, restart the server, and look again; or notify a handler that restarts it",
				}
			}
		}
	}
	return nil
}

// PlanBack plans what was prepared as the way back from a plan, with a patch of
// the code if it is not nil. It returns an error of kind Missing if that is no
// longer kept, and Refused if there is none.
func (w *Workspace) PlanBack(ctx context.Context, plan penumbra.Plan, patch *penumbra.Patch) (penumbra.Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, w.config.Timeout)
	defer cancel()
	_, of, err := w.open(plan)
	if penumbra.KindOf(err) == penumbra.Stale {
		return penumbra.Plan{}, &penumbra.Error{Kind: penumbra.Missing, What: "the way back is no longer kept", Err: err, Remedy: "set the values by hand; the run's page has them as they were"}
	}
	if err != nil {
		return penumbra.Plan{}, err
	}
	if of.Back == nil {
		why := "nothing of it can be undone"
		if plan.Back != nil && len(plan.Back.Lost) > 0 {
			why = strings.Join(plan.Back.Lost, "; ")
		}
		return penumbra.Plan{}, &penumbra.Error{Kind: penumbra.Refused, What: "there is no way back: " + why, Remedy: "put it back by hand"}
	}
	for file, hash := range of.Kept {
		if is, err := w.plans().HashFile(file); err != nil || is != hash {
			return penumbra.Plan{}, &penumbra.Error{Kind: penumbra.Missing, What: "a file that was kept for the way back is gone or changed", Remedy: "restore it from a backup of yours"}
		}
	}
	lock, err := w.unlock(of.Kept)
	if err != nil {
		return penumbra.Plan{}, err
	}
	t, err := w.try(ctx, *of.Back, patch)
	if err = errors.Join(err, lock()); err != nil {
		return penumbra.Plan{}, err
	}
	kept := of.Kept
	if kept == nil {
		kept = map[string]string{}
	}
	return w.save(ctx, nil, t, penumbra.Plan{Stack: w.config.Stack, Targets: plan.Targets, PatchHash: codepatch.Digest(patch)}, patch, kept)
}
