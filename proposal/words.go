package proposal

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/penumbra-iac/penumbra"
)

// listed is how many settings a sentence names before it only counts them.
const listed = 4

// shown is a value as a text may show it: never a secret.
func shown(v penumbra.Value, sensitive bool) string {
	if sensitive && !v.IsNull() {
		return "(sensitive)"
	}
	return v.String()
}

func sentence(words []string) string {
	if len(words) > listed {
		words = append(words[:listed:listed], fmt.Sprintf("%d more", len(words)-listed))
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

func count(n int, noun string) string { return fmt.Sprintf("%d %s", n, verb(n, noun, noun+"s")) }

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func lowerFirst(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[size:]
}

func (s *search) settingsNamed() string {
	var words []string
	for _, f := range s.Drift.Findings {
		words = append(words, f.Path)
	}
	return sentence(words)
}

// habit says in one line what automation does to the settings by habit, "" where
// it has none: what a reader of the code would ask of its ignore_changes.
func (s *search) habit() string {
	var words []string
	for _, f := range s.Drift.Findings {
		if !f.Expectation.Habit || f.Sensitive {
			continue
		}
		var values []string
		for _, v := range f.Expectation.Values {
			values = append(values, shown(v.Value, false))
		}
		word := f.Path + ": set by automation as a habit"
		if s.Drift.Cause.Actor != "" && s.Drift.Cause.ActorKind == penumbra.Automation {
			word = f.Path + ": set by " + s.Drift.Cause.Actor + " as a habit"
		}
		switch {
		case f.Expectation.Interval != nil:
			word += fmt.Sprintf(", between %g and %g", f.Expectation.Interval.Low, f.Expectation.Interval.High)
		case len(values) > 0:
			word += ", to " + sentence(values)
		}
		words = append(words, word)
	}
	return penumbra.Redact(strings.Join(words, "; "))
}

// explanation says what happened, who did it, what was expected and what the
// proposal does about it.
func explanation(p *penumbra.Proposal, ev *Evidence) string {
	parts := []string{happened(&ev.Drift), expected(&ev.Drift), does(p)}
	if ev.Drift.Critical {
		parts = append(parts, "It coincides with a drop in performance: it may be the reason for it, or somebody's remedy. Ask before you take it back.")
	}
	parts = append(parts, advice(p)...)
	for _, patch := range []*penumbra.Patch{p.Patch, p.Scratch} {
		if patch != nil && patch.Note != "" {
			parts = append(parts, "Note: "+patch.Note)
		}
	}
	return penumbra.Redact(strings.Join(parts, " "))
}

func happened(d *penumbra.Drift) string {
	if d.Verdict == penumbra.Impending {
		return "Nothing has changed yet. " + forecast(d.Findings)
	}
	var words []string
	for _, f := range d.Findings {
		switch {
		case f.Path == "":
			words = append(words, "the resource itself")
		case f.Template == f.Actual:
			return fmt.Sprintf("%s is %s, as the code says, and yet not as it usually is by now.", f.Path, shown(f.Actual, f.Sensitive))
		case f.Template.IsNull():
			words = append(words, fmt.Sprintf("%s, which the code leaves open and which is now %s", f.Path, shown(f.Actual, f.Sensitive)))
		default:
			words = append(words, fmt.Sprintf("%s from %s to %s", f.Path, shown(f.Template, f.Sensitive), shown(f.Actual, f.Sensitive)))
		}
	}
	return fmt.Sprintf("%s changed %s%s.", who(d.Cause), sentence(words), when(d.Cause))
}

func who(c penumbra.Cause) string {
	if c.Actor == "" {
		return "Somebody or something that no log names"
	}
	if c.ActorKind == penumbra.UnknownActor {
		return c.Actor
	}
	return fmt.Sprintf("%s (%s)", c.Actor, c.ActorKind)
}

func when(c penumbra.Cause) string {
	const layout = "2006-01-02 15:04 UTC"
	var text string
	switch {
	case !c.Time.IsZero() && c.Actor != "":
		text = " on " + c.Time.UTC().Format(layout)
	case !c.Time.IsZero() && !c.After.IsZero():
		return fmt.Sprintf(" between %s and %s", c.After.UTC().Format(layout), c.Time.UTC().Format(layout))
	case !c.Time.IsZero():
		return " by " + c.Time.UTC().Format(layout)
	}
	if c.Action != "" {
		text += " with " + c.Action
	}
	if c.Source != "" {
		text += ", says " + c.Source
	}
	return text
}

func expected(d *penumbra.Drift) string {
	var words []string
	for _, f := range d.Findings {
		e := f.Expectation
		if len(e.Values) == 0 && e.Interval == nil {
			continue
		}
		what := shown(e.Likely(), f.Sensitive)
		if e.Interval != nil && !f.Sensitive {
			what = fmt.Sprintf("%g to %g", e.Interval.Low, e.Interval.High)
		}
		if len(e.Values) > 0 {
			what += fmt.Sprintf(" (%.0f %% likely)", 100*e.Values[0].Probability)
		}
		if e.Habit {
			what += ", which automation leaves by habit"
		}
		words = append(words, fmt.Sprintf("%s for %s at %.0f %% confidence", what, f.Path, 100*e.Confidence))
	}
	if len(words) == 0 {
		return "The shadow had nothing to expect by."
	}
	return "The shadow expected " + sentence(words) + "."
}

func forecast(findings []penumbra.Finding) string {
	var words []string
	for _, f := range findings {
		if f.Forecast == nil {
			continue
		}
		h := min(max(f.Horizon, 0), len(penumbra.Horizons)-1)
		word := fmt.Sprintf("%s leaves %s within %s with a chance of %.0f %%", f.Path, shown(f.Template, f.Sensitive), penumbra.HorizonNames[h], 100*f.Forecast.Leave[h])
		if !f.Forecast.Next.IsNull() {
			word += ", most likely for " + shown(f.Forecast.Next, f.Sensitive)
		}
		if f.Forecast.Reason != "" {
			word += " (" + f.Forecast.Reason + ")"
		}
		words = append(words, word)
	}
	return "The shadow foresees that " + sentence(words) + "."
}

func does(p *penumbra.Proposal) string {
	if p.Publishes() {
		return doesForReview(p)
	}
	if p.Withdraws != nil {
		return "This withdraws " + p.Withdraws.String() + " of run " + p.Undoes + ", which is not merged."
	}
	switch p.Kind {
	case penumbra.Revert:
		if len(p.Values) > 0 {
			return "This sets what was expected, beside the code, which leaves it open."
		}
		if len(p.Also) > 0 {
			return fmt.Sprintf("This applies the code as it is, and resolves %s that left alike too: %s.", count(len(p.Also), "drift"), sentence(slices.Clone(p.Also)))
		}
		return "This applies the code as it is."
	case penumbra.Adopt:
		text := "This writes the actual values into the code, and leaves the resource as it is."
		if len(p.Also) > 0 {
			text += fmt.Sprintf(" It resolves %s that left alike too: %s.", count(len(p.Also), "drift"), sentence(slices.Clone(p.Also)))
		}
		return text
	case penumbra.Import:
		return "The plan has found it where it was: it is gone from the state only. This takes it into the state again, and sets what the code wants otherwise."
	case penumbra.WatchCloser:
		return "This has the resource read more often for a time, within the budget of its source, so that what happens is seen soon after. It keeps nothing from happening."
	case penumbra.Guard:
		return guardWords(p)
	case penumbra.GuardPolicy:
		return guardPolicyWords(p)
	case penumbra.TellOwner:
		return "This is for those who have changed it before: what is foreseen, the evidence, and what is asked of them. Approving it sends the message where notifications are configured, and records that they were told. Whether the changes stop is seen later, and counts."
	case penumbra.IgnoreRule:
		return "This keeps quiet about it in Penumbra; code and resource stay as they are, and a plan would still bring it back."
	case penumbra.IgnoreChanges:
		return "This has the technology itself leave these settings alone; later changes of them are not planned back."
	case penumbra.Custom:
		return "This sets the chosen values, in code and resource."
	case penumbra.BestPractice:
		return "This sets what is held to be good practice, in code and resource, for neither has it."
	default:
		return "This takes run " + p.Undoes + " back."
	}
}

// guardWords say what a guard does, and how it was tried.
func guardWords(p *penumbra.Proposal) string {
	var words []string
	for _, b := range p.Bounds {
		words = append(words, refusedWords(&b))
	}
	return "This writes a condition into the code, by which a plan or a run fails that would have " + sentence(words) + ". Both were tried: as the code is it changes nothing, and with the foreseen value it fails with the guard's message. Whoever changes the resource beside the code is not stopped; the next plan takes that back as ever."
}

// doesForReview says what a proposal does whose patch people review first.
func doesForReview(p *penumbra.Proposal) string {
	how := "This commits a change on a branch of its own, and leaves the working tree as it is: "
	if p.Way == penumbra.PullRequestWay {
		how = "This opens a pull request, and leaves the working tree as it is: "
	}
	switch p.Kind {
	case penumbra.Adopt:
		how += "with it the code says what is there."
	case penumbra.Guard:
		return how + "with it " + lowerFirst(strings.TrimPrefix(guardWords(p), "This "))
	case penumbra.IgnoreChanges:
		how += "with it the technology itself leaves these settings alone."
	case penumbra.Custom:
		how += "with it the code says the chosen values. Penumbra applies nothing: who applies the merged code does."
	case penumbra.BestPractice:
		how += "with it the code says what is held to be good practice. Penumbra applies nothing: who applies the merged code does."
	default:
		how += "with it the code is as it was before run " + p.Undoes + "."
	}
	return how
}

// impact says what would happen, the destructive first.
func impact(p *penumbra.Proposal, ev *Evidence) string {
	var destroyed, replaced, rest []string
	if p.Applies() {
		for _, c := range p.Plan.Changes {
			if c.Import != "" {
				rest = append(rest, "Imports "+string(c.Resource)+" as "+c.Import)
			}
			switch c.Action {
			case penumbra.Destroy:
				destroyed = append(destroyed, "DESTROYS "+string(c.Resource)+" and what it holds")
			case penumbra.Replace:
				line := "REPLACES " + string(c.Resource) + ": it is destroyed and created anew"
				if len(c.ReplacePaths) > 0 {
					line += ", for " + sentence(c.ReplacePaths) + " cannot change in place"
				}
				replaced = append(replaced, line)
				rest = append(rest, settingLines(c)...)
			case penumbra.Create, penumbra.Update, penumbra.Execute:
				rest = append(rest, actionWord(c.Action)+" "+string(c.Resource))
				rest = append(rest, settingLines(c)...)
			}
		}
		rest = append(rest, predictionLines(p.Predictions)...)
		rest = append(rest, p.Plan.Notes...)
		if len(ev.Dependants) > 0 {
			var names []string
			for _, a := range ev.Dependants {
				names = append(names, a.Local())
			}
			rest = append(rest, "Refers to "+ev.Drift.Resource.Local()+" and may notice: "+sentence(names))
		}
		oneWay, felt := consequences(p)
		replaced, rest = append(replaced, oneWay...), append(rest, felt...)
	} else {
		rest = append(rest, "Changes no resource.")
		if p.Plan != nil && !p.Plan.IsEmpty() {
			rest = append(rest, "What the code still wants afterwards, and is not done:")
			for _, c := range p.Plan.Changes {
				rest = append(rest, "  "+changeWords(c))
			}
		}
	}
	if p.Patch != nil {
		for _, f := range p.Patch.Files {
			added, removed := lines(f.Diff)
			what := "Changes the code"
			if p.Publishes() {
				what = "Proposes for the code"
			}
			rest = append(rest, fmt.Sprintf("%s: %s (+%d −%d lines)", what, f.Path, added, removed))
		}
		if p.Publishes() && (p.Kind == penumbra.Custom || p.Kind == penumbra.BestPractice) && p.Plan != nil {
			for _, c := range p.Plan.Changes {
				if c.Action != penumbra.NoChange && c.Action != penumbra.Read {
					rest = append(rest, "Once merged, an apply would "+changeWords(c))
				}
			}
			oneWay, felt := consequences(p)
			rest = append(append(rest, oneWay...), felt...)
		}
	}
	if p.Withdraws != nil {
		rest = append(rest, "Withdraws "+p.Withdraws.String())
	}
	if a := p.Attention; a != nil {
		if p.Kind == penumbra.Restore {
			rest = append(rest, fmt.Sprintf("Reads %s every %s again", a.Resource, span(a.Usually)))
		} else {
			rest = append(rest, fmt.Sprintf("Reads %s %.0f times as often until %s", a.Resource, a.Usually.Seconds()/max(1, a.Every.Seconds()), stamp(a.Until)))
		}
	}
	if f := p.Policy; f != nil {
		what := "Adds the policies of "
		if p.Kind == penumbra.Restore {
			what = "Takes away the policies of "
		}
		rest = append(rest, what+f.Path())
	}
	if m := p.Message; m != nil {
		rest = append(rest, "Tells "+sentence(slices.Clone(m.To)))
	}
	if p.Rule != nil {
		if p.Kind == penumbra.Restore {
			rest = append(rest, "Deletes the rule "+p.Rule.Pattern)
		} else {
			rest = append(rest, "Adds the rule "+p.Rule.Pattern)
		}
	}
	return strings.Join(append(append(destroyed, replaced...), rest...), "\n")
}

func actionWord(a penumbra.PlanAction) string {
	switch a {
	case penumbra.Create:
		return "Creates"
	case penumbra.Execute:
		return "Runs, and no plan foresees what it does:"
	}
	return "Updates"
}

func settingLines(c penumbra.PlannedChange) []string {
	var out []string
	for _, x := range c.Changes {
		after := x.After
		if x.Unknown {
			after = penumbra.Unknown()
		}
		out = append(out, fmt.Sprintf("  %s: %s → %s", x.Path, x.Before, after))
	}
	return out
}

// changeWords is a planned change as part of a sentence.
func changeWords(c penumbra.PlannedChange) string {
	var words []string
	for _, x := range c.Changes {
		words = append(words, x.Path)
	}
	text := string(c.Action) + " " + string(c.Resource)
	if len(words) > 0 {
		text += " (" + sentence(words) + ")"
	}
	return text
}

// lines counts what a unified diff adds and removes.
func lines(diff string) (added, removed int) {
	inHunk := false
	for line := range strings.Lines(diff) {
		switch {
		case strings.HasPrefix(line, "@@"):
			inHunk = true
		case inHunk && strings.HasPrefix(line, "+"):
			added++
		case inHunk && strings.HasPrefix(line, "-"):
			removed++
		}
	}
	return added, removed
}

// preparedBack says what of a way back that was prepared cannot be undone, and how
// it was tried.
func preparedBack(p *penumbra.Proposal, back *penumbra.WayBack) string {
	var parts []string
	if len(back.Lost) > 0 {
		parts = append(parts, "CANNOT BE UNDONE: "+strings.Join(back.Lost, "; ")+".")
	}
	if back.Command != "" {
		code := ""
		if p.Patch != nil {
			code = "puts the code back and "
		}
		parts = append(parts, "The run's rollback "+code+"sets the values of before again. What the service did meanwhile stays done. It is prepared and was tried: "+back.Checked+".")
	}
	return strings.Join(parts, " ")
}

// wayBack says how the proposal is undone, and what cannot be.
func wayBack(p *penumbra.Proposal) string {
	if p.Applies() {
		return forGood(p) + undone(p)
	}
	return undone(p)
}

func undone(p *penumbra.Proposal) string {
	if p.Applies() {
		var lost, made []string
		for _, c := range p.Plan.Changes {
			if c.Action.Disrupts() {
				lost = append(lost, string(c.Resource))
			}
			if c.Action == penumbra.Create {
				made = append(made, string(c.Resource))
			}
		}
		if back := p.Plan.Back; back != nil {
			return preparedBack(p, back)
		}
		switch {
		case len(lost) > 0:
			return "CANNOT BE UNDONE: what " + sentence(lost) + " " + verb(len(lost), "holds", "hold") + " is lost. Settings can be set again, data only from a backup of yours."
		case len(made) > 0:
			return "Penumbra does not take back what it created (" + sentence(made) + "): remove it from the code, and apply."
		}
	}
	switch {
	case p.Publishes() && p.Way == penumbra.PullRequestWay:
		return "The run's rollback closes the pull request and deletes the branch; once it is merged, the rollback opens one that reverts it."
	case p.Publishes():
		return "The run's rollback deletes the branch; once it is merged, the rollback makes one that reverts it."
	case p.Withdraws != nil:
		return "Approve the drift's proposal again: it is put up for review anew."
	}
	switch p.Kind {
	case penumbra.WatchCloser:
		return "The run's rollback has it read as before; by itself that comes on " + stamp(p.Attention.Until) + "."
	case penumbra.GuardPolicy:
		return "The run's rollback takes the file away again, unless somebody has edited it."
	case penumbra.TellOwner:
		return "CANNOT BE UNDONE: what was said is said. Say that it is settled."
	case penumbra.Adopt, penumbra.IgnoreChanges, penumbra.Guard:
		return "The run's rollback puts the code back; once it is committed, `git revert` does."
	case penumbra.Import:
		return "The run's rollback takes the import block out of the code; the state keeps the resource until `state rm`. What an update set stays set."
	case penumbra.IgnoreRule:
		if !p.Rule.Expires.IsZero() {
			return "Delete the rule, or wait: it ends on " + p.Rule.Expires.Format(time.DateOnly) + "."
		}
		return "Delete the rule."
	case penumbra.Restore:
		return "The drift is open again afterwards: its proposals lead forward again."
	case penumbra.Custom, penumbra.BestPractice:
		return "The run's rollback puts the code back and sets the values of before again. What the service did meanwhile stays done."
	default:
		return "The run's rollback sets the values of before again, and leaves the code as it is. What the service did meanwhile stays done. Secrets are not kept, so they cannot be set back."
	}
}
