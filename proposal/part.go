package proposal

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// Part returns a proposal that writes only some of the drift's settings into the
// code: those at the paths, and below them. The rest stays drifted, and the
// proposal's plan shows what the code still wants of it; with revert it is
// brought back in the same run. It returns an error of kind Invalid for a path
// that has not drifted, Refused for a secret or where the code cannot be edited
// so, and the planner's otherwise.
func Part(ctx context.Context, only []string, revert bool, ev Evidence, ws Workspace) (penumbra.Proposal, error) {
	s := &search{Evidence: ev, ws: ws}
	chosen, rest, err := s.choose(only)
	if err != nil {
		return penumbra.Proposal{}, err
	}
	p := penumbra.Proposal{Kind: penumbra.Adopt, Title: "Write " + pathsOf(chosen) + " into the code as " + pronoun(len(chosen)), Values: penumbra.NewSettings(chosen...)}
	patch, err := ws.PatchValues(ctx, s.targets(), chosen)
	if err != nil {
		return p, err
	}
	if len(patch.Files) == 0 {
		return p, &penumbra.Error{Kind: penumbra.Refused, What: "the code declares these values already", Remedy: "look at the drift again"}
	}
	plan, err := ws.Plan(ctx, s.targets(), &patch)
	if err != nil {
		return p, fmt.Errorf("planning with the patch failed: %w", err)
	}
	p.Patch, p.Plan = &patch, &plan
	left, err := s.leftOver(&plan, chosen)
	if err != nil {
		return p, err
	}
	switch {
	case len(rest) == 0:
	case !revert:
		p.Title += ", and leave " + pathsOf(rest) + " open"
	case len(left) == 0:
		return p, &penumbra.Error{Kind: penumbra.Refused, What: "applying the code would not bring back " + pathsOf(rest), Remedy: "adopt without --revert-rest, and ignore what the code leaves open"}
	default:
		p.Kind = penumbra.Custom
		p.Title += ", and bring " + pathsOf(left) + " back"
		p.Values = penumbra.NewSettings(slices.Concat(chosen, left)...)
	}
	p = complete(p, &ev, float64(len(p.Values))/float64(len(ev.Drift.Findings)))
	p.Rank = 1
	return p, nil
}

func pathsOf(settings []penumbra.Setting) string {
	var words []string
	for _, x := range settings {
		words = append(words, x.Path)
	}
	return sentence(words)
}

// choose parts the drift's actual values.
func (s *search) choose(only []string) (chosen, rest []penumbra.Setting, err error) {
	var all []string
	found := map[string]bool{}
	for _, f := range s.Drift.Findings {
		all = append(all, f.Path)
		x := penumbra.Setting{Path: f.Path, Value: f.Actual, Sensitive: f.Sensitive}
		i := slices.IndexFunc(only, func(p string) bool { return f.Path == p || strings.HasPrefix(f.Path, p+".") })
		if i < 0 || f.Path == "" {
			rest = append(rest, x)
			continue
		}
		if secretive(x) || f.Template.Kind() == penumbra.SecretKind {
			return nil, nil, secretRefused(f.Path)
		}
		found[only[i]] = true
		chosen = append(chosen, x)
	}
	for _, p := range only {
		if !found[p] {
			return nil, nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("drift %s has no setting %q", s.Drift.ID, p), Remedy: "choose among " + strings.Join(all, ", ")}
		}
	}
	if len(chosen) == 0 {
		return nil, nil, &penumbra.Error{Kind: penumbra.Invalid, What: "no setting is chosen", Remedy: "choose among " + strings.Join(all, ", ")}
	}
	return chosen, rest, nil
}

// leftOver returns the values that the plan would give the drift's other
// settings, or an error if it would still change a chosen one.
func (s *search) leftOver(plan *penumbra.Plan, chosen []penumbra.Setting) ([]penumbra.Setting, error) {
	var left []penumbra.Setting
	for _, c := range plan.Changes {
		if c.Resource != s.Drift.Resource {
			continue
		}
		for _, x := range c.Changes {
			if slices.ContainsFunc(chosen, func(y penumbra.Setting) bool { return x.Path == y.Path }) {
				return nil, &penumbra.Error{Kind: penumbra.Refused, What: "with the patch the code would still change " + x.Path, Remedy: "change the code by hand"}
			}
			if f, drifted := s.Drift.Finding(x.Path); drifted && !x.Unknown {
				left = append(left, penumbra.Setting{Path: x.Path, Value: x.After, Sensitive: f.Sensitive || x.After.Kind() == penumbra.SecretKind})
			}
		}
	}
	return left, nil
}

// mostAlike bounds how many resources one proposal takes in.
const mostAlike = 100

// adoptAlike writes the values of all resources that left alike into the code
// with one patch: at the place that they share, if they share one. A plan of the
// whole stack proves that none of them would change any more and that nobody
// else does.
func (s *search) adoptAlike(ctx context.Context) {
	if len(s.Alike) == 0 {
		return
	}
	declared, undeclared, secret := s.actual()
	if secret != "" || len(undeclared) > 0 {
		return // adopt says why
	}
	targets := s.targets()
	also := make([]string, 0, len(s.Alike))
	for _, d := range s.Alike[:min(len(s.Alike), mostAlike)] {
		targets = append(targets, d.Resource)
		also = append(also, d.ID)
	}
	failed := func(err error) {
		s.omit(penumbra.Adopt, fmt.Sprintf("for all %s at once: %v", count(len(targets), "resource"), err))
	}
	patch, err := s.ws.PatchValues(ctx, targets, declared)
	if err == nil && len(patch.Files) == 0 {
		err = fmt.Errorf("the code declares these values already")
	}
	if err != nil {
		failed(err)
		return
	}
	before, err := s.ws.Plan(ctx, nil, nil)
	if err != nil {
		failed(fmt.Errorf("planning failed: %w", err))
		return
	}
	plan, err := s.ws.Plan(ctx, nil, &patch)
	if err != nil {
		failed(fmt.Errorf("planning with the patch failed: %w", err))
		return
	}
	for _, c := range plan.Changes {
		switch {
		case slices.Contains(targets, c.Resource):
			failed(fmt.Errorf("with the patch the code would still %s", changeWords(c)))
			return
		case !slices.ContainsFunc(before.Changes, func(b penumbra.PlannedChange) bool { return sameChange(&b, &c) }):
			failed(fmt.Errorf("with the patch the code would also %s", changeWords(c)))
			return
		}
	}
	s.add(penumbra.Proposal{
		Kind: penumbra.Adopt, Title: fmt.Sprintf("Write %s of all %s that left alike into the code as %s", s.settingsNamed(), count(len(targets), "resource"), pronoun(2)),
		Patch: &patch, Plan: &plan, Also: also,
	}, 1)
}

// revertAlike plans the code as it is for all resources that left alike: one cause,
// taken back in one run. The plan must bring every one of them back, and touch
// nothing that the plan of the drifted one alone does not.
func (s *search) revertAlike(ctx context.Context) {
	if len(s.Alike) == 0 || s.Drift.Verdict == penumbra.Pending {
		return
	}
	alone := slices.IndexFunc(s.found, func(p penumbra.Proposal) bool {
		return p.Kind == penumbra.Revert && p.Plan != nil && len(p.Values) == 0
	})
	if alone < 0 {
		return // revert says why
	}
	alike := s.Alike[:min(len(s.Alike), mostAlike)]
	targets := s.targets()
	also := make([]string, 0, len(alike))
	for _, d := range alike {
		targets = append(targets, d.Resource)
		also = append(also, d.ID)
	}
	failed := func(err error) {
		s.omit(penumbra.Revert, fmt.Sprintf("of all %s at once: %v", count(len(targets), "resource"), err))
	}
	plan, err := s.ws.Plan(ctx, targets, nil)
	if err != nil {
		failed(err)
		return
	}
	for _, d := range append([]penumbra.Drift{s.Drift}, alike...) {
		one := search{Evidence: Evidence{Drift: d}}
		if one.covered(&plan) < len(d.Findings) {
			failed(fmt.Errorf("a plan of them would not bring all of %s back", d.Resource.Local()))
			return
		}
	}
	for _, c := range plan.Changes {
		other := !slices.Contains(targets, c.Resource) && c.Action != penumbra.NoChange && c.Action != penumbra.Read
		if other && !slices.ContainsFunc(s.found[alone].Plan.Changes, func(b penumbra.PlannedChange) bool {
			return sameChange(&b, &c) || sameElsewhere(&b, &c, targets)
		}) {
			failed(fmt.Errorf("a plan of them would also %s", changeWords(c)))
			return
		}
	}
	s.add(penumbra.Proposal{
		Kind: penumbra.Revert, Title: fmt.Sprintf("Bring all %s that left alike back to the code", count(len(targets), "resource")), Plan: &plan, Also: also,
	}, 1)
}

// sameChange reports whether two plans do the same to a resource.
func sameChange(a, b *penumbra.PlannedChange) bool {
	return a.Resource == b.Resource && a.Action == b.Action && slices.Equal(a.Changes, b.Changes)
}

// sameElsewhere reports whether a plan does on the host of one of the targets what
// that of the first alone does on its host, such as to run the handler of its play.
func sameElsewhere(alone, c *penumbra.PlannedChange, targets []penumbra.Address) bool {
	at, what := hostOf(alone.Resource)
	on, same := hostOf(c.Resource)
	first, _ := hostOf(targets[0])
	return at != "" && at == first && what == same && alone.Action == c.Action && slices.Equal(alone.Changes, c.Changes) &&
		slices.ContainsFunc(targets, func(t penumbra.Address) bool { host, _ := hostOf(t); return host == on })
}

// hostOf parts an address into the host that the resource is on and the rest: "web1"
// and "file[/etc/x]" of "stack/web1/file[/etc/x]". Both are "" where a technology has
// no hosts.
func hostOf(a penumbra.Address) (host, rest string) {
	host, rest, ok := strings.Cut(a.Local(), "/")
	if !ok || strings.ContainsRune(host, '[') { // a key of for_each may hold a slash
		return "", ""
	}
	return host, rest
}
