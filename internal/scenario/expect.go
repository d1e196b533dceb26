package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/drift"
)

// fail notes that an expectation did not hold.
func (p *player) fail(line int, format string, args ...any) {
	p.failures = append(p.failures, fmt.Errorf("%s:%d: at %s: %s", p.file, line, p.now.Format("2006-01-02 15:04"), fmt.Sprintf(format, args...)))
}

func (p *player) expect(line int, args []string) error {
	if len(args) == 0 {
		return errors.New("want what is expected")
	}
	rest := args[1:]
	switch args[0] {
	case "drifts":
		return p.expectDrifts(line, rest)
	case "resolved":
		return p.expectResolved(line, strings.Join(rest, " "))
	case "opened":
		return p.expectOpened(line, rest)
	case "caused":
		return p.expectCause(line, rest)
	case "foreseen":
		return errors.Join(wantNothing(rest), p.expectForeseen(line))
	case "told":
		return p.expectTold(line, rest)
	default:
		return p.expectVerdict(line, args)
	}
}

func verdict(words []string) (v penumbra.Verdict, err error) {
	err = v.UnmarshalText([]byte(strings.Join(words, " ")))
	return v, err
}

func (p *player) expectVerdict(line int, args []string) error {
	w, rest, err := p.known(args)
	if err != nil {
		return err
	}
	want, err := verdict(rest)
	if err == nil {
		if got := w.last.Verdict(); got != want {
			p.fail(line, "%s is %s, want %s%s", w.Address, got, want, w.findings())
		}
		return nil
	}
	if len(rest) < 2 {
		return err
	}
	path := rest[0]
	if want, err = verdict(rest[1:]); err != nil {
		return err
	}
	if got := w.verdict(path); got != want {
		p.fail(line, "%s of %s is %s, want %s%s", path, w.Address, got, want, w.findings())
	}
	return nil
}

// verdict returns what the last assessment says of a setting.
func (w *watched) verdict(path string) penumbra.Verdict {
	if w.last.NotChecked != "" || w.last.Time.IsZero() {
		return penumbra.NotChecked
	}
	for _, f := range w.last.Findings {
		if f.Path == path || f.Path == "" {
			return f.Verdict
		}
	}
	return penumbra.InSync
}

// findings describes the last assessment for a person who looks for the reason
// of a failure.
func (w *watched) findings() string {
	var b strings.Builder
	if w.last.NotChecked != "" {
		fmt.Fprintf(&b, "\n\tnot checked: %s", w.last.NotChecked)
	}
	for _, f := range w.last.Findings {
		e := &f.Expectation
		fmt.Fprintf(&b, "\n\t%s: %s, template %s, actual %s, expected %v (novel %v, habit %v, support %.3g)",
			f.Path, f.Verdict, f.Template, f.Actual, e.Values, e.Novel, e.Habit, e.Support)
	}
	return b.String()
}

// active returns the active drifts of all resources, the newest first.
func (p *player) active() []penumbra.Drift {
	var out []penumbra.Drift
	for _, address := range p.order {
		out = append(out, p.resources[address].active...)
	}
	slices.SortStableFunc(out, func(a, b penumbra.Drift) int { return b.Changed.Compare(a.Changed) })
	return out
}

func describe(drifts []penumbra.Drift) string {
	var b strings.Builder
	for _, d := range drifts {
		fmt.Fprintf(&b, "\n\t%s on %s: %s, opened %s", d.ID, d.Resource, d.Verdict, d.Opened.Format("2006-01-02 15:04"))
		for _, f := range d.Findings {
			fmt.Fprintf(&b, "; %s %s, template %s, actual %s", f.Path, f.Verdict, f.Template, f.Actual)
		}
	}
	return b.String()
}

func (p *player) expectDrifts(line int, args []string) error {
	if len(args) == 0 {
		return errors.New("want COUNT [VERDICT]")
	}
	want, err := number(args[0])
	if err != nil {
		return err
	}
	found := p.active()
	if len(args) > 1 {
		of, err := verdict(args[1:])
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(d penumbra.Drift) bool { return d.Verdict != of })
	}
	if len(found) != want {
		p.fail(line, "%d drifts %s, want %d%s", len(found), strings.Join(args[1:], " "), want, describe(p.active()))
	}
	return nil
}

func (p *player) expectResolved(line int, word string) error {
	want := penumbra.Resolution(word)
	known := []penumbra.Resolution{penumbra.Returned, penumbra.TemplateChanged, penumbra.Accepted, penumbra.Receded, penumbra.Habitual, penumbra.Gone}
	if !slices.Contains(known, want) {
		return fmt.Errorf("%q is none of %q", word, known)
	}
	if len(p.resolved) == 0 {
		p.fail(line, "no drift was resolved, want %s%s", want, describe(p.active()))
	} else if got := p.resolved[len(p.resolved)-1]; got.Resolution != want {
		p.fail(line, "the last drift to be resolved was %s, want %s", got.Resolution, want)
	}
	return nil
}

func (p *player) expectOpened(line int, args []string) error {
	if len(args) != 2 || args[1] != "ago" {
		return errors.New("want DURATION ago")
	}
	want, err := duration(args[0])
	if err != nil {
		return err
	}
	active := p.active()
	if len(active) == 0 {
		p.fail(line, "no drift is active")
		return nil
	}
	oldest := slices.MinFunc(active, func(a, b penumbra.Drift) int { return a.Opened.Compare(b.Opened) })
	if got := p.now.Sub(oldest.Opened); got != want {
		p.fail(line, "the oldest drift was opened %s ago, want %s", got, want)
	}
	return nil
}

func (p *player) expectCause(line int, args []string) error {
	if len(args) != 2 || args[0] != "by" {
		return errors.New("want by NAME")
	}
	want, err := text(args[1])
	if err != nil {
		return err
	}
	if active := p.active(); len(active) == 0 {
		p.fail(line, "no drift is active")
	} else if got := active[0].Cause.Actor; got != want {
		p.fail(line, "the newest drift is put down to %q, want %q", got, want)
	}
	return nil
}

func (p *player) expectForeseen(line int) error {
	active := p.active()
	if len(active) == 0 {
		p.fail(line, "no drift is active")
	} else if lead, ok := drift.LeadTime(&active[0]); !ok || lead <= 0 {
		p.fail(line, "the newest drift was not foreseen%s", describe(active[:1]))
	}
	return nil
}

func (p *player) expectTold(line int, args []string) error {
	if len(args) != 1 {
		return errors.New("want COUNT")
	}
	want, err := number(args[0])
	if err != nil {
		return err
	}
	if p.told != want {
		p.fail(line, "a person was told of %d drifts, want %d%s", p.told, want, describe(p.active()))
	}
	p.told = 0
	return nil
}
