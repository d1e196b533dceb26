package tofu

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	tfjson "github.com/hashicorp/terraform-json"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/codepatch"
	"github.com/penumbra-iac/penumbra/internal/savedplan"
)

// Plan plans the targets, all if there are none, with the code as it is or, if
// patch is not nil, in a copy of the code with the patch applied. The plan is
// saved in the data folder; the working directory and the state stay untouched
// and unlocked. Errors are those of [Workspace.Read], and of kind Stale if the
// code is no longer what the patch is for. A plan that fails for one resource
// fails as a whole.
func (w *Workspace) Plan(ctx context.Context, targets []penumbra.Address, patch *penumbra.Patch) (penumbra.Plan, error) {
	known, err := w.schemas(ctx)
	if err != nil {
		return penumbra.Plan{}, err
	}
	flags, err := w.targetFlags(targets)
	if err != nil {
		return penumbra.Plan{}, err
	}
	dir := w.dir
	if patch != nil {
		copied, remove, err := w.code().Copy(patch, nil)
		if err != nil {
			return penumbra.Plan{}, err
		}
		defer remove()
		dir = copied
	}
	file, err := w.plans().New()
	if err != nil {
		return penumbra.Plan{}, err
	}
	p, err := w.planInto(ctx, dir, file, flags, known)
	if err == nil {
		err = w.plans().Lock(file)
	}
	if err != nil {
		os.Remove(file)
		return penumbra.Plan{}, err
	}
	p.Targets, p.PatchHash = targets, codepatch.Digest(patch)
	return p, nil
}

// Replan plans again what the plan planned, with the patch. If it gives other
// evidence the world has moved.
func (w *Workspace) Replan(ctx context.Context, plan penumbra.Plan, patch *penumbra.Patch) (penumbra.Plan, error) {
	return w.Plan(ctx, plan.Targets, patch)
}

func (w *Workspace) planInto(ctx context.Context, dir, file string, flags []string, known shapes) (penumbra.Plan, error) {
	what := "plan stack " + w.config.Stack
	out := &output{}
	if err := w.runIn(ctx, dir, out, &out.stdout, append(w.planFlags(file), flags...)...); err != nil {
		return penumbra.Plan{}, w.failure(what, out, err)
	}
	hash, err := codepatch.HashFile(file)
	if err != nil {
		return penumbra.Plan{}, &penumbra.Error{Kind: penumbra.Missing, What: "read the saved plan", Err: err, Remedy: "plan again"}
	}
	found, err := w.show(ctx, file, what, known, false)
	if err != nil {
		return penumbra.Plan{}, err
	}
	text, err := w.run(ctx, "show", "-no-color", file)
	if err != nil {
		return penumbra.Plan{}, w.failure(what, text, err)
	}
	p := penumbra.Plan{
		Hash: hash, File: filepath.Base(file), Stack: w.config.Stack, Created: w.config.Now().UTC(),
		Text: redact(text.stdout.String()),
	}
	p.Changes, p.Evidence = found.changes(w.config.Stack)
	return p, nil
}

func (w *Workspace) targetFlags(targets []penumbra.Address) ([]string, error) {
	var flags []string
	for _, t := range targets {
		if t.Stack() != w.config.Stack || t.Local() == "" {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("plan %s: not a resource of stack %s", t, w.config.Stack), Remedy: "name resources of one stack"}
		}
		flags = append(flags, "-target="+t.Local())
	}
	return flags, nil
}

// changes returns what the plan changes, the disruptive ones first, and a
// digest of it and of the values it starts from.
func (p *plan) changes(stack string) ([]penumbra.PlannedChange, string) {
	sorted := slices.SortedFunc(slices.Values(p.order), func(a, b *instance) int { return cmp.Compare(a.address, b.address) })
	h := sha256.New()
	var out []penumbra.PlannedChange
	for _, i := range sorted {
		if i.action == "" {
			continue // only drift, which the prior values of the changes tell
		}
		after := settingsOf(i.planned)
		fmt.Fprintf(h, "%q %q %q %q %q\n", i.address, i.action, i.actual.Digest(), after.Digest(), i.replacePaths)
		moves := i.importing != "" || i.from != ""
		if moves {
			fmt.Fprintf(h, "%q %q\n", i.importing, i.from)
		}
		if !moves && (i.action == penumbra.NoChange || i.action == penumbra.Read) {
			continue
		}
		c := penumbra.PlannedChange{
			Resource: penumbra.NewAddress(stack, i.address), Type: i.typ, Action: i.action,
			Changes: pathChanges(i.actual, after), ReplacePaths: i.replacePaths, Import: i.importing,
		}
		if i.from != "" {
			c.From = penumbra.NewAddress(stack, i.from)
		}
		out = append(out, c)
	}
	penumbra.DisruptiveFirst(out)
	return out, hex.EncodeToString(h.Sum(nil))
}

// pathChanges returns the settings that differ, by path.
func pathChanges(before, after penumbra.Settings) []penumbra.PathChange {
	var out []penumbra.PathChange
	add := func(path string, was, becomes penumbra.Value) {
		if was != becomes {
			out = append(out, penumbra.PathChange{Path: path, Before: was, After: becomes, Unknown: becomes.Kind() == penumbra.UnknownKind})
		}
	}
	for _, s := range before {
		add(s.Path, s.Value, after.Get(s.Path))
	}
	for _, s := range after {
		if _, was := before.Find(s.Path); !was {
			add(s.Path, penumbra.Null(), s.Value)
		}
	}
	slices.SortFunc(out, func(a, b penumbra.PathChange) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

func actionOf(actions tfjson.Actions) penumbra.PlanAction {
	switch {
	case actions.Replace():
		return penumbra.Replace
	case len(actions) == 1:
		return penumbra.PlanAction(actions[0])
	}
	return penumbra.NoChange
}

// replacePaths writes the paths that force a replacement as settings' paths
// are written, but with the index of a list's element rather than its key.
func replacePaths(paths []any) []string {
	var out []string
	for _, p := range paths {
		var path string
		steps, _ := p.([]any)
		for _, step := range steps {
			path = penumbra.JoinPath(path, fmt.Sprint(step))
		}
		if path != "" {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

func (w *Workspace) plans() savedplan.Folder {
	return savedplan.Folder{Stack: w.config.Stack, Data: w.data, Now: w.config.Now, Cipher: w.config.Cipher}
}
