package tofu

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	tfjson "github.com/hashicorp/terraform-json"

	"github.com/penumbra-iac/penumbra"
)

// keepPlans is how long a saved plan stays. One that nobody applied for that
// long is not the world's any more.
const keepPlans = 7 * 24 * time.Hour

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
		copied, remove, err := w.scratch(patch)
		if err != nil {
			return penumbra.Plan{}, err
		}
		defer remove()
		dir = copied
	}
	file, err := w.newPlanFile()
	if err != nil {
		return penumbra.Plan{}, err
	}
	p, err := w.planInto(ctx, dir, file, flags, known)
	if err != nil {
		os.Remove(file)
		return penumbra.Plan{}, err
	}
	p.Targets, p.PatchHash = targets, patchHash(patch)
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
	hash, err := hashFile(file)
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
		if i.action == penumbra.NoChange || i.action == penumbra.Read {
			continue
		}
		out = append(out, penumbra.PlannedChange{
			Resource: penumbra.NewAddress(stack, i.address), Type: i.typ, Action: i.action,
			Changes: pathChanges(i.actual, after), ReplacePaths: i.replacePaths,
		})
	}
	slices.SortStableFunc(out, func(a, b penumbra.PlannedChange) int {
		switch {
		case a.Action.Disrupts() == b.Action.Disrupts():
			return 0
		case a.Action.Disrupts():
			return -1
		}
		return 1
	})
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

// newPlanFile makes an empty file in the folder of plans that only its owner
// can read, for the tools keep the mode of a file that is there, and removes
// plans that are too old to be applied.
func (w *Workspace) newPlanFile() (string, error) {
	folder := w.planFolder()
	err := os.MkdirAll(folder, 0o700)
	if err == nil {
		w.prune()
		var f *os.File
		if f, err = os.CreateTemp(folder, w.config.Stack+"-*.plan"); err == nil {
			return f.Name(), f.Close()
		}
	}
	return "", &penumbra.Error{Kind: penumbra.Full, What: "save a plan", Err: err, Remedy: "make room in the data folder"}
}

func (w *Workspace) planFolder() string { return filepath.Join(w.data, "plans") }

// prune removes what is too old from the folder of plans, and folders that a
// process which was killed left behind.
func (w *Workspace) prune() {
	old := func(path string) bool {
		info, err := os.Lstat(path)
		return err == nil && w.config.Now().Sub(info.ModTime()) > keepPlans
	}
	for _, pattern := range [...]string{"plans/*", "read-*", "scratch-*"} {
		paths, _ := filepath.Glob(filepath.Join(w.data, pattern))
		for _, path := range paths {
			if old(path) {
				os.RemoveAll(path)
			}
		}
	}
}

// openPlan returns the path of a saved plan after checking that it is still
// the one that was approved.
func (w *Workspace) openPlan(p penumbra.Plan) (string, error) {
	if p.Stack != w.config.Stack || p.File == "" || p.File != filepath.Base(p.File) || strings.HasPrefix(p.File, ".") {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%q is not a saved plan of stack %s", p.File, w.config.Stack), Remedy: "plan again"}
	}
	file := filepath.Join(w.planFolder(), p.File)
	hash, err := hashFile(file)
	if err != nil {
		return "", &penumbra.Error{Kind: penumbra.Stale, What: "the plan is no longer saved", Err: pathless(err), Remedy: "plan again"}
	}
	if hash != p.Hash {
		return "", &penumbra.Error{Kind: penumbra.Stale, What: "the saved plan is not the one that was approved", Remedy: "plan again and decide again"}
	}
	return file, nil
}

// pathless drops the path from an error of a file that the user never named.
func pathless(err error) error {
	if e, ok := err.(*fs.PathError); ok {
		return e.Err
	}
	return err
}

func hashFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
