package proposal

import (
	"fmt"
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

// explanation says what happened, who did it, what was expected and what the
// proposal does about it.
func explanation(p *penumbra.Proposal, ev *Evidence) string {
	parts := []string{happened(&ev.Drift), expected(&ev.Drift), does(p)}
	if ev.Drift.Critical {
		parts = append(parts, "It coincides with a drop in performance: it may be the reason for it, or somebody's remedy. Ask before you take it back.")
	}
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
	switch p.Kind {
	case penumbra.Revert:
		return "This applies the code as it is."
	case penumbra.Adopt:
		return "This writes the actual values into the code, and leaves the resource as it is."
	case penumbra.IgnoreRule:
		return "This keeps quiet about it in Penumbra; code and resource stay as they are, and a plan would still bring it back."
	case penumbra.IgnoreChanges:
		return "This has the technology itself leave these settings alone; later changes of them are not planned back."
	case penumbra.Custom:
		return "This sets the chosen values, in code and resource."
	default:
		return "This takes run " + p.Undoes + " back."
	}
}

// impact says what would happen, the destructive first.
func impact(p *penumbra.Proposal, ev *Evidence) string {
	var destroyed, replaced, rest []string
	if applies(p) {
		for _, c := range p.Plan.Changes {
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
			case penumbra.Create, penumbra.Update:
				rest = append(rest, actionWord(c.Action)+" "+string(c.Resource))
				rest = append(rest, settingLines(c)...)
			}
		}
		if len(ev.Dependants) > 0 {
			var names []string
			for _, a := range ev.Dependants {
				names = append(names, a.Local())
			}
			rest = append(rest, "Refers to "+ev.Drift.Resource.Local()+" and may notice: "+sentence(names))
		}
	} else {
		rest = append(rest, "Changes no resource.")
	}
	if p.Patch != nil {
		for _, f := range p.Patch.Files {
			added, removed := lines(f.Diff)
			rest = append(rest, fmt.Sprintf("Changes the code: %s (+%d −%d lines)", f.Path, added, removed))
		}
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
	if a == penumbra.Create {
		return "Creates"
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

// wayBack says how the proposal is undone, and what cannot be.
func wayBack(p *penumbra.Proposal) string {
	if applies(p) {
		var lost, made []string
		for _, c := range p.Plan.Changes {
			if c.Action.Disrupts() {
				lost = append(lost, string(c.Resource))
			}
			if c.Action == penumbra.Create {
				made = append(made, string(c.Resource))
			}
		}
		switch {
		case len(lost) > 0:
			return "CANNOT BE UNDONE: what " + sentence(lost) + " " + verb(len(lost), "holds", "hold") + " is lost. Settings can be set again, data only from a backup of yours."
		case len(made) > 0:
			return "Penumbra does not take back what it created (" + sentence(made) + "): remove it from the code, and apply."
		}
	}
	switch p.Kind {
	case penumbra.Adopt, penumbra.IgnoreChanges:
		return "The run's rollback puts the code back; once it is committed, `git revert` does."
	case penumbra.IgnoreRule:
		if !p.Rule.Expires.IsZero() {
			return "Delete the rule, or wait: it ends on " + p.Rule.Expires.Format(time.DateOnly) + "."
		}
		return "Delete the rule."
	case penumbra.Restore:
		return "The drift is open again afterwards: its proposals lead forward again."
	case penumbra.Custom:
		return "The run's rollback puts the code back and sets the values of before again. What the service did meanwhile stays done."
	default:
		return "The run's rollback sets the values of before again, and leaves the code as it is. What the service did meanwhile stays done. Secrets are not kept, so they cannot be set back."
	}
}
