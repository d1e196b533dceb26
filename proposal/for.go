package proposal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// For returns the ways to resolve a drift, the best first, and the ways that
// are left out with the reason. A way that cannot be planned is left out and
// does not lose the others; the error is that of a cancelled context only.
func For(ctx context.Context, ev Evidence, ws Workspace) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	s := &search{Evidence: ev, ws: ws}
	if ev.Drift.Verdict == penumbra.NotChecked || len(ev.Drift.Findings) == 0 {
		s.omit(penumbra.Revert, "the resource could not be read: nothing is known that could be resolved")
		return nil, s.omitted, ctx.Err()
	}
	for _, way := range s.ways() {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		way(ctx)
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	Rank(s.found, s.Weights)
	return s.found, s.omitted, nil
}

// search collects the ways to resolve one drift.
type search struct {
	Evidence
	ws      Workspace
	found   []penumbra.Proposal
	omitted []penumbra.Omitted
}

// ways returns what to try. They are tried one after the other: each may plan,
// and plans of one stack lock each other out.
func (s *search) ways() []func(context.Context) {
	rules := func(context.Context) { s.ignoreRules() }
	switch {
	case s.Drift.Verdict == penumbra.Impending:
		return []func(context.Context){s.adoptAhead, s.adviseAhead, rules, s.ignoreChanges}
	case s.gone():
		return []func(context.Context){s.importAgain, s.revert, s.gonePatches, rules}
	default:
		ways := []func(context.Context){s.revert, s.revertAlike, s.adopt, s.adoptAlike, s.bestPractice, rules, s.ignoreChanges}
		if s.Returns >= leastReturns {
			ways = append(ways, func(context.Context) { s.guardPolicy() })
		}
		return ways
	}
}

// gone reports whether the resource was deleted outside of the code.
func (s *search) gone() bool {
	return len(s.Resource.Template) > 0 && (s.Resource.Deleted || len(s.Resource.Actual) == 0)
}

func (s *search) omit(kind penumbra.ProposalKind, reason string) {
	s.omitted = append(s.omitted, penumbra.Omitted{Kind: kind, Reason: penumbra.Redact(reason)})
}

func (s *search) targets() []penumbra.Address { return []penumbra.Address{s.Drift.Resource} }

// revert plans the code as it is.
func (s *search) revert(ctx context.Context) {
	if slices.ContainsFunc(s.found, func(p penumbra.Proposal) bool { return p.Kind == penumbra.Import }) {
		s.omit(penumbra.Revert, "the resource is still there: creating it again would fail, or make a second one")
		return
	}
	plan, err := s.ws.Plan(ctx, s.targets(), nil)
	if err != nil {
		if _, ok := s.ws.(Setter); ok && penumbra.KindOf(err) == penumbra.NotFound {
			s.revertBeside(ctx) // the code does not know it
			return
		}
		s.omit(penumbra.Revert, fmt.Sprintf("planning failed: %v", err))
		return
	}
	covered := s.covered(&plan)
	if covered == 0 {
		s.revertBeside(ctx)
		return
	}
	p := penumbra.Proposal{Kind: penumbra.Revert, Title: "Bring " + s.Drift.Resource.Local() + " back to the code", Plan: &plan}
	switch {
	case s.gone():
		p.Title = "Create " + s.Drift.Resource.Local() + " again"
	case s.Drift.Verdict == penumbra.Pending:
		p.Title = "Apply the code of " + s.Drift.Resource.Local()
	}
	s.add(p, float64(covered)/float64(len(s.Drift.Findings)))
}

// revertBeside sets what the code leaves open back to what was expected, where
// the technology can.
func (s *search) revertBeside(ctx context.Context) {
	ws, ok := s.ws.(Setter)
	if !ok {
		s.omit(penumbra.Revert, "applying the code would change none of these settings: it leaves them open")
		return
	}
	var values []penumbra.Setting
	for _, f := range s.Drift.Findings {
		x := penumbra.Setting{Path: f.Path, Value: f.Template, Sensitive: f.Sensitive}
		if !f.Declared {
			x.Value = f.Expectation.Likely()
		}
		if secretive(x) || secretive(penumbra.Setting{Path: f.Path, Value: f.Actual, Sensitive: f.Sensitive}) {
			s.omit(penumbra.Revert, secretRefused(f.Path).Error())
			return
		}
		values = append(values, x)
	}
	plan, err := ws.PlanSettings(ctx, s.Drift.Resource, values)
	if err == nil && plan.IsEmpty() {
		err = fmt.Errorf("applying the code would change none of these settings: it leaves them open")
	}
	if err != nil {
		s.omit(penumbra.Revert, err.Error())
		return
	}
	s.add(penumbra.Proposal{Kind: penumbra.Revert, Title: "Set " + s.settingsNamed() + " back, beside the code", Plan: &plan, Values: penumbra.NewSettings(values...)}, 1)
}

// covered counts the findings that the plan brings back.
func (s *search) covered(plan *penumbra.Plan) int {
	n := 0
	for _, c := range plan.Changes {
		if c.Resource != s.Drift.Resource || c.Action == penumbra.NoChange || c.Action == penumbra.Read {
			continue
		}
		if c.Action != penumbra.Update {
			return len(s.Drift.Findings)
		}
		for _, f := range s.Drift.Findings {
			if f.Path == "" || slices.ContainsFunc(c.Changes, func(x penumbra.PathChange) bool { return x.Path == f.Path }) {
				n++
			}
		}
	}
	return n
}

// adopt patches the code so that it declares what is there, and proves with a
// plan that nothing would change any more.
func (s *search) adopt(ctx context.Context) {
	declared, undeclared, secret := s.actual()
	if secret != "" {
		s.omit(penumbra.Adopt, secret+" is a secret, of which Penumbra keeps a hash only, and which it cannot write into the code")
		return
	}
	all := slices.Concat(declared, undeclared)
	patch, plan, err := s.follow(ctx, all)
	if err != nil && len(declared) > 0 && len(undeclared) > 0 {
		// What the code leaves open may be something that only the provider sets.
		patch, plan, err = s.follow(ctx, declared)
	}
	if err != nil {
		s.omit(penumbra.Adopt, err.Error())
		return
	}
	s.add(penumbra.Proposal{
		Kind: penumbra.Adopt, Title: "Write " + s.settingsNamed() + " into the code as " + pronoun(len(s.Drift.Findings)),
		Patch: &patch, Plan: &plan,
	}, 1)
}

func pronoun(n int) string {
	if n == 1 {
		return "it is"
	}
	return "they are"
}

// actual returns the drift's actual values, and the path of a secret among
// them.
func (s *search) actual() (declared, undeclared []penumbra.Setting, secret string) {
	for _, f := range s.Drift.Findings {
		x := penumbra.Setting{Path: f.Path, Value: f.Actual, Sensitive: f.Sensitive}
		switch {
		case secretive(x) || f.Template.Kind() == penumbra.SecretKind:
			secret = f.Path
		case f.Declared:
			declared = append(declared, x)
		default:
			undeclared = append(undeclared, x)
		}
	}
	return declared, undeclared, secret
}

func secretive(x penumbra.Setting) bool {
	return x.Sensitive || x.Value.Kind() == penumbra.SecretKind || penumbra.LooksSecret(x.Path, x.Value)
}

// follow returns a patch of the code after which a plan changes nothing of the
// resource.
func (s *search) follow(ctx context.Context, settings []penumbra.Setting) (penumbra.Patch, penumbra.Plan, error) {
	patch, err := s.ws.PatchValues(ctx, s.targets(), settings)
	if err != nil {
		return patch, penumbra.Plan{}, err
	}
	if len(patch.Files) == 0 {
		return patch, penumbra.Plan{}, fmt.Errorf("the code declares these values already")
	}
	plan, err := s.quiet(ctx, &patch)
	return patch, plan, err
}

// quiet plans with the patch and returns an error if the resource would still
// change.
func (s *search) quiet(ctx context.Context, patch *penumbra.Patch) (penumbra.Plan, error) {
	plan, err := s.ws.Plan(ctx, s.targets(), patch)
	if err != nil {
		return plan, fmt.Errorf("planning with the patch failed: %w", err)
	}
	for _, c := range plan.Changes {
		if c.Resource == s.Drift.Resource && c.Action != penumbra.NoChange && c.Action != penumbra.Read {
			return plan, fmt.Errorf("with the patch the code would still %s", changeWords(c))
		}
	}
	return plan, nil
}

// adoptAhead sets what an impending drift would bring, in code and world, while
// there is time to plan it.
func (s *search) adoptAhead(ctx context.Context) {
	var next []penumbra.Setting
	for _, f := range s.Drift.Findings {
		x := penumbra.Setting{Path: f.Path, Sensitive: f.Sensitive}
		if f.Forecast != nil {
			x.Value = f.Forecast.Next
		}
		if !x.Value.IsNull() && x.Value.Kind() != penumbra.UnknownKind && x.Value != f.Actual && !secretive(x) {
			next = append(next, x)
		}
	}
	s.omit(penumbra.Revert, "nothing has drifted yet: there is nothing to bring back")
	if len(next) == 0 {
		s.omit(penumbra.Custom, "the shadow does not know which value it would drift to")
		return
	}
	p, err := s.setting(ctx, penumbra.Custom, next)
	if err != nil {
		s.omit(penumbra.Custom, err.Error())
		return
	}
	p.Title = "Adopt ahead: " + lowerFirst(p.Title)
	s.add(p, 1)
}

// gonePatches says why the code cannot follow a deletion.
func (s *search) gonePatches(context.Context) {
	s.omit(penumbra.Adopt, "the resource is gone: to follow, remove its block, or its key of for_each, from the code by hand, and run `"+engine(&s.Evidence)+" state rm "+quote(s.Drift.Resource.Local())+"`")
	s.omit(penumbra.IgnoreChanges, "the resource is gone: ignore_changes holds for settings only")
}

// ignoreChanges has the technology itself leave the settings alone.
func (s *search) ignoreChanges(ctx context.Context) {
	var paths []string
	for _, f := range s.Drift.Findings {
		if f.Declared && f.Path != "" {
			paths = append(paths, f.Path)
		}
	}
	if len(paths) == 0 {
		s.omit(penumbra.IgnoreChanges, "the code declares none of these settings: it ignores their changes already")
		return
	}
	patch, err := s.ws.PatchIgnore(ctx, s.Drift.Resource, paths, s.habit())
	if err == nil && len(patch.Files) == 0 {
		err = fmt.Errorf("the code ignores changes of these settings already")
	}
	if err != nil {
		s.omit(penumbra.IgnoreChanges, err.Error())
		return
	}
	plan, err := s.quiet(ctx, &patch)
	if err != nil {
		s.omit(penumbra.IgnoreChanges, err.Error())
		return
	}
	s.add(penumbra.Proposal{
		Kind: penumbra.IgnoreChanges, Title: "Have the code ignore changes of " + s.settingsNamed(), Patch: &patch, Plan: &plan,
	}, float64(len(paths))/float64(len(s.Drift.Findings)))
}

// How long a proposed rule holds: long enough to decide in peace, not long
// enough to be forgotten. A habit stays.
const (
	ruleLasts      = 30 * 24 * time.Hour
	watchRuleLasts = 7 * 24 * time.Hour
)

// mostRules is how many rules for single settings are proposed side by side.
const mostRules = 3

// ignoreRules proposes rules that match exactly the drifted settings: one for
// each, or one for all if it can name the part of the resource they make up.
func (s *search) ignoreRules() {
	if whole := s.wholePart(); whole != "" {
		s.addRule(whole, nil, 1)
		return
	}
	if len(s.Drift.Findings) > mostRules {
		s.omit(penumbra.IgnoreRule, fmt.Sprintf("no one rule matches these %d settings without matching others: write rules for those that you mean", len(s.Drift.Findings)))
		return
	}
	for _, f := range s.Drift.Findings {
		var value *penumbra.Value
		if s.Drift.Verdict == penumbra.Drifted && !f.Actual.IsNull() && !secretive(penumbra.Setting{Path: f.Path, Value: f.Actual, Sensitive: f.Sensitive}) {
			value = &f.Actual
		}
		s.addRule(f.Path, value, 1/float64(len(s.Drift.Findings)))
	}
}

// wholePart returns the path below which all settings of the resource have
// drifted and none has that is elsewhere, "" if there is none.
func (s *search) wholePart() string {
	if len(s.Drift.Findings) < 2 {
		return ""
	}
	first := s.Drift.Findings[0].Path
	for cut := strings.LastIndexByte(first, '.'); cut > 0; cut = strings.LastIndexByte(first[:cut], '.') {
		part := first[:cut]
		under := slices.Concat(s.Resource.Template.Under(part), s.Resource.Actual.Under(part))
		inside := func(f penumbra.Finding) bool { return strings.HasPrefix(f.Path, part+".") }
		drifted := func(x penumbra.Setting) bool { _, found := s.Drift.Finding(x.Path); return found }
		if !slices.ContainsFunc(s.Drift.Findings, func(f penumbra.Finding) bool { return !inside(f) }) {
			if slices.ContainsFunc(under, func(x penumbra.Setting) bool { return !drifted(x) }) {
				return ""
			}
			return part
		}
	}
	return ""
}

func (s *search) addRule(path string, value *penumbra.Value, share float64) {
	rule := penumbra.Rule{Pattern: string(penumbra.JoinPath(string(s.Drift.Resource), path)), Reason: "drift " + s.Drift.ID, Value: value}
	if path == "" {
		rule.Pattern = string(s.Drift.Resource)
	}
	switch s.Drift.Verdict {
	case penumbra.Tolerated:
	case penumbra.Impending:
		rule.Expires = s.Now.Add(watchRuleLasts).UTC().Truncate(24 * time.Hour)
	default:
		rule.Expires = s.Now.Add(ruleLasts).UTC().Truncate(24 * time.Hour)
	}
	rule.ID = "i-" + shortDigest(s.Drift.ID, rule.Pattern)
	name := path
	if name == "" {
		name = s.Drift.Resource.Local()
	}
	title := "Ignore " + name
	if value != nil {
		title += " while it is " + value.String()
	}
	if !rule.Expires.IsZero() {
		title += " until " + rule.Expires.Format(time.DateOnly)
	}
	s.add(penumbra.Proposal{Kind: penumbra.IgnoreRule, Title: title, Rule: &rule}, share)
}

// add completes a proposal. share is the part of the drift's settings that it
// deals with.
func (s *search) add(p penumbra.Proposal, share float64) {
	s.found = append(s.found, complete(p, &s.Evidence, share))
}

// complete fills in what follows from kind, plan, patch and rule.
func complete(p penumbra.Proposal, ev *Evidence, share float64) penumbra.Proposal {
	p.Drift = ev.Drift.ID
	p.State = penumbra.Proposed
	p.Created = ev.Now
	if p.Patch != nil {
		p.Way = ev.Way
	}
	p.Hash = p.Digest()
	p.ID = "p-" + shortDigest(p.Drift, string(p.Kind), p.Hash)
	p.Facts = facts(&p, ev)
	p.Script = script(&p, ev)
	p.Predictions = predictions(&p, ev)
	p.Otherwise = otherwise(ev)
	p.Explanation = explanation(&p, ev)
	p.Impact = impact(&p, ev)
	p.WayBack = wayBack(&p)
	p.Scores, p.ScoreReasons = score(&p, ev, share)
	return p
}

// shortDigest is 8 hexadecimal digits over the texts.
func shortDigest(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		fmt.Fprintf(h, "%q,", t)
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}
