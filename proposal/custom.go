package proposal

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/penumbra-iac/penumbra"
)

// An Editor is a workspace whose code a person may write anew.
type Editor interface {
	// PatchFiles returns the patch after which files of the code are as given. It
	// returns an error of kind Invalid that names file and line if one cannot be
	// read, and of kind Refused if one is not of the code or holds a secret.
	PatchFiles(ctx context.Context, files []penumbra.FileEdit) (penumbra.Patch, error)
}

// Customized returns a proposal with what a person would have in place of what
// the original would do, in code and world, planned anew, and how the two differ.
// It returns an error of kind Invalid without values or files, Refused if one is
// a secret or the code cannot be edited so, and the planner's otherwise.
func Customized(ctx context.Context, original penumbra.Proposal, edit penumbra.Edit, ev Evidence, ws Workspace) (penumbra.Proposal, error) {
	if len(edit.Values) == 0 && len(edit.Files) == 0 {
		return penumbra.Proposal{}, &penumbra.Error{Kind: penumbra.Invalid, What: "customise " + original.ID + ": no value and no file is given", Remedy: "name at least one setting and its value"}
	}
	for _, v := range edit.Values {
		if secretive(v) {
			return penumbra.Proposal{}, secretRefused(v.Path)
		}
	}
	s := &search{Evidence: ev, ws: ws}
	var p penumbra.Proposal
	var err error
	if len(edit.Files) > 0 {
		p, err = s.edited(ctx, original.ID, edit.Files)
	} else {
		p, err = s.setting(ctx, penumbra.Custom, edit.Values)
	}
	if err != nil {
		return p, err
	}
	p = complete(p, &ev, 1)
	p.Rank = 1
	p.Customizes = original.ID
	p.Difference = udiff.Unified("proposed "+original.ID, "customised "+p.ID, outline(&original), outline(&p))
	return p, nil
}

// edited plans the code with files as a person wrote them.
func (s *search) edited(ctx context.Context, original string, files []penumbra.FileEdit) (penumbra.Proposal, error) {
	p := penumbra.Proposal{Kind: penumbra.Custom}
	editor, ok := s.ws.(Editor)
	if !ok {
		return p, &penumbra.Error{Kind: penumbra.Refused, What: "the code of stack " + s.Drift.Resource.Stack() + " cannot be edited by way of Penumbra", Remedy: "give values, or edit the code where it is kept"}
	}
	patch, err := editor.PatchFiles(ctx, files)
	if err != nil {
		return p, err
	}
	if len(patch.Files) == 0 {
		return p, &penumbra.Error{Kind: penumbra.Invalid, What: "customise " + original + ": the files are as the code has them already", Remedy: "change something, or approve the proposal as it is"}
	}
	var names []string
	for _, f := range patch.Files {
		names = append(names, f.Path)
	}
	p.Title, p.Patch = "Edit "+sentence(names), &patch
	plan, err := s.ws.Plan(ctx, s.targets(), &patch)
	if err != nil {
		return p, fmt.Errorf("planning with the edited code failed: %w", err)
	}
	p.Plan = &plan
	return p, nil
}

// outline says in lines what a proposal would do, to be held against another.
func outline(p *penumbra.Proposal) string {
	var b strings.Builder
	fmt.Fprintln(&b, p.Title)
	if p.Rule != nil {
		fmt.Fprintln(&b, "rule", p.Rule.Pattern)
	}
	if p.Applies() {
		for _, c := range p.Plan.Changes {
			if c.Action == penumbra.NoChange || c.Action == penumbra.Read {
				continue
			}
			fmt.Fprintln(&b, c.Action, c.Resource)
			for _, line := range settingLines(c) {
				fmt.Fprintln(&b, line)
			}
		}
	} else {
		fmt.Fprintln(&b, "changes no resource")
	}
	if p.Patch != nil {
		b.WriteString(p.Patch.Diff())
	}
	return b.String()
}

func secretRefused(path string) error {
	return &penumbra.Error{
		Kind: penumbra.Refused, What: path + " is a secret, which Penumbra does not keep",
		Remedy: "set it where your secrets are kept, and apply the code",
	}
}

// setting plans the code with the values written into it.
func (s *search) setting(ctx context.Context, kind penumbra.ProposalKind, values []penumbra.Setting) (penumbra.Proposal, error) {
	p := penumbra.Proposal{Kind: kind, Title: "Set " + assignments(values), Values: penumbra.NewSettings(values...)}
	patch, err := s.ws.PatchValues(ctx, s.targets(), values)
	if err != nil {
		return p, err
	}
	var with *penumbra.Patch
	if len(patch.Files) > 0 {
		p.Patch, with = &patch, &patch
	}
	plan, err := s.ws.Plan(ctx, s.targets(), with)
	if err != nil {
		return p, fmt.Errorf("planning with the patch failed: %w", err)
	}
	p.Plan = &plan
	return p, nil
}

func assignments(values []penumbra.Setting) string {
	var words []string
	for _, v := range values {
		words = append(words, v.Path+" to "+shown(v.Value, v.Sensitive))
	}
	return sentence(words)
}

// Restoring returns the way back from a run. From a revert it sets the values
// that were there before and leaves the code as it is; from an adoption or an
// ignore_changes it puts the code back; from a rule it deletes it; from a
// custom proposal, or one of good practice, it does both of the first. What was
// put up for review is withdrawn, or reverted in the same way if it is merged. It
// returns an error of kind
// Refused, with the reason, where there is no way back.
func Restoring(ctx context.Context, run penumbra.Run, original penumbra.Proposal, ev Evidence, ws Workspace) (penumbra.Proposal, error) {
	s := &search{Evidence: ev, ws: ws}
	p := penumbra.Proposal{Kind: penumbra.Restore, Title: "Take run " + run.ID + " back", Undoes: run.ID}
	if original.Kind == penumbra.Restore {
		return p, &penumbra.Error{Kind: penumbra.Refused, What: "run " + run.ID + " is a way back itself", Remedy: "look at the proposals of the drift, which is open again"}
	}
	if original.Kind == penumbra.TellOwner {
		return p, &penumbra.Error{Kind: penumbra.Refused, What: "run " + run.ID + " told somebody something, which cannot be taken back", Remedy: "tell them that it is settled"}
	}
	if original.Kind == penumbra.IgnoreRule {
		p.Rule = original.Rule
	}
	p.Attention, p.Policy = original.Attention, original.Policy
	switch {
	case run.Code != nil && run.Code.State != penumbra.ReviewMerged:
		p.Withdraws = run.Code
	case original.Patch != nil:
		back := reversed(original.Patch)
		p.Patch = &back
	}
	sets := original.Kind == penumbra.Revert || original.Kind == penumbra.Custom || original.Kind == penumbra.BestPractice
	if sets && run.Code == nil {
		if err := s.restoreValues(ctx, &p, run, &original); err != nil {
			return p, err
		}
	}
	p = complete(p, &ev, 1)
	p.Rank = 1
	return p, nil
}

// restoreValues plans the values that were there before the run, in a copy of
// the code.
func (s *search) restoreValues(ctx context.Context, p *penumbra.Proposal, run penumbra.Run, original *penumbra.Proposal) error {
	refused := func(what, remedy string) error {
		return &penumbra.Error{Kind: penumbra.Refused, What: "there is no way back from run " + run.ID + ": " + what, Remedy: remedy}
	}
	before := run.Before[s.Drift.Resource]
	if len(before) == 0 {
		return refused("it created "+string(s.Drift.Resource), "remove it from the code, and apply")
	}
	var values []penumbra.Setting
	for _, path := range touched(s.Drift, original) {
		was, _ := before.Find(path)
		was.Path = path
		if secretive(was) {
			return secretRefused(path)
		}
		if was.Value.Kind() == penumbra.UnknownKind || s.Resource.Actual.Get(path) == was.Value {
			continue
		}
		values = append(values, was)
	}
	if len(values) == 0 {
		return refused("the values of before are those of now", "")
	}
	if ws, ok := s.ws.(Keeper); ok && original.Plan != nil {
		plan, err := ws.PlanBack(ctx, *original.Plan, p.Patch)
		if err != nil {
			return fmt.Errorf("planning the way back failed: %w", err)
		}
		if plan.IsEmpty() {
			return refused("it would change nothing", "look at a plan of the code")
		}
		p.Plan, p.Values = &plan, penumbra.NewSettings(values...)
		for i, id := range original.Also { // what cannot be undone of them was told before the run
			if slices.ContainsFunc(plan.Changes, func(c penumbra.PlannedChange) bool {
				return i+1 < len(original.Plan.Targets) && c.Resource == original.Plan.Targets[i+1]
			}) {
				p.Also = append(p.Also, id)
			}
		}
		return nil
	}
	targets := s.targets()
	var patch penumbra.Patch
	var err error
	if len(original.Also) > 0 && original.Plan != nil && len(original.Plan.Targets) > 1 {
		// They left alike, so that the values of before are those of all.
		targets, p.Also = original.Plan.Targets, original.Also
		patch, err = s.ws.PatchValues(ctx, targets, values)
	} else {
		patch, err = s.ws.PatchInstance(ctx, s.Drift.Resource, values)
	}
	if err != nil {
		return err
	}
	if len(patch.Files) > 0 {
		p.Scratch = &patch
	}
	plan, err := s.ws.Plan(ctx, targets, p.Scratch)
	if err != nil {
		return fmt.Errorf("planning the way back failed: %w", err)
	}
	if plan.IsEmpty() {
		return refused("a plan with the values of before changes nothing", "look at the plan of the code")
	}
	p.Plan, p.Values = &plan, penumbra.NewSettings(values...)
	return nil
}

// touched returns the paths that a run of the proposal set: those of its values
// or of the drift.
func touched(d penumbra.Drift, p *penumbra.Proposal) []string {
	var paths []string
	if len(p.Values) > 0 {
		for _, v := range p.Values {
			paths = append(paths, v.Path)
		}
		return paths
	}
	for _, f := range d.Findings {
		paths = append(paths, f.Path)
	}
	return paths
}

// reversed returns the patch that takes one back, with its diffs.
func reversed(patch *penumbra.Patch) penumbra.Patch {
	back := patch.Reverse()
	for i, f := range patch.Files {
		back.Files[i].Diff = reverseDiff(f.Diff)
	}
	return back
}

// reverseDiff turns a unified diff around: additions become deletions.
func reverseDiff(diff string) string {
	var b, added, removed strings.Builder
	last := &b
	flush := func() {
		b.WriteString(removed.String())
		b.WriteString(added.String())
		removed.Reset()
		added.Reset()
	}
	var labels [2]string
	inHunk := false
	for line := range strings.Lines(diff) {
		switch {
		case strings.HasPrefix(line, "@@ -"):
			flush()
			inHunk = true
			var old, now, rest string
			old, rest, _ = strings.Cut(strings.TrimPrefix(line, "@@ -"), " +")
			now, rest, _ = strings.Cut(rest, " @@")
			b.WriteString("@@ -" + now + " +" + old + " @@" + rest)
		case !inHunk && strings.HasPrefix(line, "--- "):
			labels[0] = strings.TrimPrefix(line, "--- ")
		case !inHunk && strings.HasPrefix(line, "+++ "):
			labels[1] = strings.TrimPrefix(line, "+++ ")
			b.WriteString("--- " + labels[1] + "+++ " + labels[0])
		case strings.HasPrefix(line, "+"):
			last = &removed
			last.WriteString("-" + line[1:])
		case strings.HasPrefix(line, "-"):
			last = &added
			last.WriteString("+" + line[1:])
		case strings.HasPrefix(line, `\`):
			last.WriteString(line) // "no newline" belongs to the line before it
		default:
			flush()
			last = &b
			b.WriteString(line)
		}
	}
	flush()
	return b.String()
}
