package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
)

// Change writes in words how far out a metric is.
func (a *Console) Change(x *penumbra.Anomaly) string {
	text := x.Change()
	if x.Worse {
		return a.Paint(Red, text)
	}
	return text
}

// ShowDrift prints a drift with all its findings.
func (a *Console) ShowDrift(d *penumbra.Drift) {
	verdict := a.Gravity(d)
	fmt.Fprintf(a.Out, "%s  %s  %s\n", a.Paint(Bold, d.ID), verdict, d.Resource)
	fmt.Fprintf(a.Out, "  %-12s %s\n", "status", d.Status)
	if !d.Active() {
		fmt.Fprintf(a.Out, "  %-12s %s, %s\n", "resolved", d.ResolvedAt.Format(time.RFC3339), d.Resolution)
	}
	if d.Code != nil {
		fmt.Fprintf(a.Out, "  %-12s %s\n", "code", d.Code.Brief())
	}
	if !d.AcceptedUntil.IsZero() {
		fmt.Fprintf(a.Out, "  %-12s %s\n", "accepted", "until "+d.AcceptedUntil.Format(time.RFC3339))
	}
	if d.Snoozed(time.Now()) {
		fmt.Fprintf(a.Out, "  %-12s until %s by %s %s\n", "snoozed", d.SnoozedUntil.Format(time.RFC3339), d.SnoozedBy, d.SnoozeReason)
	}
	fmt.Fprintf(a.Out, "  %-12s %s\n", "opened", d.Opened.Format(time.RFC3339))
	if !d.Foreseen.IsZero() {
		fmt.Fprintf(a.Out, "  %-12s %s\n", "foreseen", d.Foreseen.Format(time.RFC3339))
	}
	fmt.Fprintf(a.Out, "  %-12s %s\n", "cause", d.Cause.Brief())
	for _, x := range penumbra.GravestFirst(d.Impact) {
		fmt.Fprintf(a.Out, "  %-12s %s\n", "impact", a.Impact(&x))
		fmt.Fprintf(a.Out, "  %-12s %s → %s at %s; `penumbra anomalies show %s`\n", "", penumbra.Quantity(x.Before), penumbra.Quantity(x.After), x.Time.Format(time.RFC3339), x.Anomaly)
	}
	fmt.Fprintln(a.Out)
	for i := range d.Findings {
		f := &d.Findings[i]
		fmt.Fprintf(a.Out, "  %s %s\n", a.Verdict(f.Verdict), f.Brief())
		if l := f.Expectation.Limit; l != nil {
			if l.Reason != "" {
				fmt.Fprintf(a.Out, "      the limit is there because: %s\n", l.Reason)
			}
		} else if len(f.Expectation.Values) > 0 || f.Expectation.Interval != nil {
			fmt.Fprintf(a.Out, "      the shadow expected %s at %s\n", words.Expected(&f.Expectation), penumbra.Percent(f.Expectation.Confidence))
		}
		if f.Forecast != nil && f.Forecast.Reason != "" {
			fmt.Fprintf(a.Out, "      because %s\n", f.Forecast.Reason)
		}
		if f.Hazard != "" {
			fmt.Fprintf(a.Out, "      %s %s\n", a.Paint(Red, "dangerous:"), f.Hazard)
		}
		if f.Rule != "" {
			fmt.Fprintf(a.Out, "      ignored by rule %s\n", f.Rule)
		}
	}
}

// Gravity writes a drift's verdict, with what makes it graver before it.
func (a *Console) Gravity(d *penumbra.Drift) string {
	text := a.Verdict(d.Verdict)
	if d.Hazardous() {
		text = a.Paint(Red, "DANGEROUS ") + text
	}
	if d.Critical {
		text = a.Paint(Red, "CRITICAL ") + text
	}
	return text
}

// Impact writes what a drift did to a metric.
func (a *Console) Impact(x *penumbra.Impact) string {
	if x.Worse {
		return a.Paint(Red, words.Impact(x))
	}
	return words.Impact(x)
}

// ShowProposal prints a proposal with its plan or patch.
func (a *Console) ShowProposal(p *penumbra.Proposal) {
	fmt.Fprintf(a.Out, "%s  %s\n", a.Paint(Bold, fmt.Sprintf("%d. %s", p.Rank, p.Title)), a.Paint(Faint, p.ID))
	if p.Plan != nil {
		for _, address := range p.Plan.Disrupts() {
			fmt.Fprintf(a.Out, "   %s\n", a.Paint(Red, "DESTROYS OR REPLACES "+string(address)))
		}
	}
	fmt.Fprintf(a.Out, "   likelihood %s   risk %s   complexity %s\n", penumbra.Percent(p.Scores.Likelihood), penumbra.Percent(p.Scores.Risk), penumbra.Percent(p.Scores.Complexity))
	if p.RankReason != "" {
		fmt.Fprintf(a.Out, "   %s\n", a.Paint(Faint, p.RankReason))
	}
	if p.State == penumbra.Scheduled {
		a.Paragraph("scheduled", "for "+p.Due.UTC().Format(time.RFC3339))
	}
	if len(p.ApprovedBy) > 0 {
		a.Paragraph("approved", fmt.Sprintf("by %s; %d of %d", strings.Join(p.ApprovedBy, ", "), len(p.ApprovedBy), p.Needs))
	}
	if p.Author != "" {
		a.Paragraph("author", p.Author+", in place of "+p.Customizes)
	}
	a.Paragraph("why", p.Explanation)
	if m := p.Message; m != nil {
		a.Paragraph("for", strings.Join(m.To, ", "))
	}
	a.Paragraph("impact", p.Impact)
	a.Paragraph("way back", p.WayBack)
	if p.Plan != nil && p.Plan.Back != nil {
		a.Paragraph("by hand", p.Plan.Back.Command)
	}
	a.Paragraph("script", p.Script)
	a.Paragraph("differs", p.Difference)
	fmt.Fprintf(a.Out, "   %-9s %s\n\n", "hash", p.Hash)
}

// ShowRun prints a run with what came of it.
func (a *Console) ShowRun(run *penumbra.Run) {
	fmt.Fprintf(a.Out, "%s  %s of %s\n", a.Paint(Bold, run.ID), run.State, run.Proposal)
	for _, s := range run.Steps {
		fmt.Fprintf(a.Out, "   %s  %-10s %s\n", s.Time.Format(time.TimeOnly), s.State, s.Note)
	}
	a.Paragraph("outcome", run.Outcome)
	a.ShowCode(run.Code)
	a.showWatch(run)
	switch {
	case run.State == penumbra.Done && run.Watch != nil && run.Watch.WayBack != "":
		fmt.Fprintf(a.Out, "   The way back is planned: `penumbra approve %s` takes it back.\n", run.Watch.WayBack)
	case run.State == penumbra.Done && run.Kind != penumbra.Restore:
		fmt.Fprintf(a.Out, "   `penumbra rollback %s` takes it back.\n", run.ID)
	}
}

// showWatch says what the watch over a run has seen.
func (a *Console) showWatch(run *penumbra.Run) {
	w := run.Watch
	if w == nil {
		return
	}
	for _, h := range w.Harm {
		a.Paragraph("hurt", fmt.Sprintf("%s: %s, since %s", h.Resource, a.Paint(Red, words.Impact(&h.Impact)), h.Impact.Time.UTC().Format(time.DateTime)))
	}
	until := w.Until.UTC().Format(time.DateTime)
	switch {
	case run.Watched():
		a.Paragraph("watch", "its metrics are watched until "+until)
	case !run.Hurt() && w.Note == "":
		a.Paragraph("watch", "its metrics were watched until "+until+": nothing got worse that is put down to it")
	}
	a.Paragraph("watch", w.Note)
}

// ShowCode shows where a patch was put for review.
func (a *Console) ShowCode(c *penumbra.CodeChange) {
	if c == nil {
		return
	}
	state := ""
	if c.State != "" {
		state = " (" + string(c.State)
		if !c.Seen.IsZero() {
			state += ", asked " + c.Seen.Local().Format(time.DateTime)
		}
		state += ")"
	}
	a.Paragraph("code", c.String()+state)
	base := ""
	if c.Base != "" {
		base = " for " + c.Base
	}
	a.Paragraph("branch", fmt.Sprintf("%s%s at %.12s", c.Branch, base, c.Commit))
	a.Paragraph("note", c.Note)
}
