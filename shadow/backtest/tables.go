package backtest

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// WriteText writes the report as tables for a person.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	r.introduce(&b)
	for i := range r.Change {
		r.Change[i].write(&b, i == len(r.Change)-1)
	}
	r.writeAlerts(&b)
	for i := range r.Sets {
		s := &r.Sets[i]
		writeCoverage(&b, fmt.Sprintf("Prediction sets of %s, all settings", s.Name), s.All)
		writeCoverage(&b, fmt.Sprintf("Prediction sets of %s, settings that changed", s.Name), s.Changed)
	}
	writeChoices(&b, "The value that a setting changes to", r.Values)
	writeChoices(&b, "The same without unresolved expressions and places of modules", r.Resolved)
	r.writeNext(&b)
	r.writeDrift(&b)
	fmt.Fprintln(&b, r.Choice.Sentence)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) introduce(b *strings.Builder) {
	p := &r.Protocol
	fmt.Fprintf(b, "%d observations, scored from %s to %s, cut every %s, split by %s, seed %d",
		p.Observations, p.From.UTC().Format(time.DateOnly), p.To.UTC().Format(time.DateOnly), days(p.Every), p.Split, p.Seed)
	if p.Sample > 1 {
		fmt.Fprintf(b, ", one resource in %d", p.Sample)
	}
	fmt.Fprintf(b, ".\nEach model is asked first and learns afterwards. Intervals are 95 %% of %d resamples.\n\n", p.Bootstrap)
}

func days(d time.Duration) string {
	if d%day == 0 {
		return fmt.Sprintf("%d d", d/day)
	}
	return d.String()
}

// newTable returns a plain table whose columns but the first are numbers.
func newTable(b *strings.Builder, title string, header ...any) table.Writer {
	fmt.Fprintln(b, title)
	t := table.NewWriter()
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	style.Options = table.Options{SeparateHeader: true}
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	t.SetStyle(style)
	t.AppendHeader(table.Row(header))
	configs := make([]table.ColumnConfig, 0, len(header))
	for i := 2; i <= len(header); i++ {
		configs = append(configs, table.ColumnConfig{Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(configs)
	return t
}

func render(b *strings.Builder, t table.Writer) { fmt.Fprintf(b, "%s\n\n", t.Render()) }

func maybe(format string, x *float64) string {
	if x == nil {
		return "–"
	}
	return fmt.Sprintf(format, *x)
}

func (c *Change) write(b *strings.Builder, inFull bool) {
	t := newTable(b, fmt.Sprintf("Change within %s: %d questions at %d cuts, %d left in %d commits (%.3f %%; log loss of saying that of all %.5f)",
		c.Horizon, c.Questions, c.Cuts, c.Left, c.Commits, 100*c.Base, c.BaseLogLoss),
		"", "PR-AUC", "ROC-AUC", "lift 1 %", "within class", "all cuts", "log loss", "Brier")
	for i := range c.Scores {
		s := &c.Scores[i]
		t.AppendRow(table.Row{s.Name, fmt.Sprintf("%.4f", s.PR), fmt.Sprintf("%.3f", s.ROC), fmt.Sprintf("%.1f", s.Lift),
			maybe("%.3f", s.Within), maybe("%.3f", s.WithinAll), maybe("%.5f", s.LogLoss), maybe("%.5f", s.Brier)})
	}
	render(b, t)
	if !inFull {
		return
	}
	c.compare(b)
	for i := range c.Scores {
		if s := &c.Scores[i]; s.Kind == "model" {
			c.rely(b, s)
		}
	}
}

// compare writes the differences with their intervals.
func (c *Change) compare(b *strings.Builder) {
	if len(c.Comparisons) == 0 || c.Left == 0 {
		return
	}
	t := newTable(b, "Times as much as the other, by cut and [by commit]", "", "PR-AUC", "log loss", "within class, difference")
	for i := range c.Comparisons {
		x := &c.Comparisons[i]
		t.AppendRow(table.Row{x.Model + " over " + x.Over, x.PR.ratio(), x.Log.ratio(), x.Within.difference()})
	}
	render(b, t)
}

func (d *Difference) ratio() string {
	if d == nil {
		return "–"
	}
	return fmt.Sprintf("%.3f  %.3f to %.3f [%.3f to %.3f]", d.Ratio, d.RatioByCut.Low, d.RatioByCut.High, d.RatioByCommit.Low, d.RatioByCommit.High)
}

func (d *Difference) difference() string {
	if d == nil {
		return "–"
	}
	return fmt.Sprintf("%+.3f  %+.3f to %+.3f [%+.3f to %+.3f]", d.Value, d.ByCut.Low, d.ByCut.High, d.ByCommit.Low, d.ByCommit.High)
}

func (c *Change) rely(b *strings.Builder, s *Score) {
	t := newTable(b, fmt.Sprintf("Reliability of %s within %s", s.Name, c.Horizon), "said", "mean", "happened", "questions")
	for _, x := range s.Reliability {
		t.AppendRow(table.Row{fmt.Sprintf("%g to %g", x.Low, x.High), fmt.Sprintf("%.4f", x.Said), fmt.Sprintf("%.4f", x.Left), x.Questions})
	}
	render(b, t)
}

func (r *Report) writeAlerts(b *strings.Builder) {
	if len(r.Alerts) == 0 || r.Alerts[0].Events == 0 {
		return
	}
	t := newTable(b, fmt.Sprintf("At %g alerts a week, %d times that a setting left", r.Alerts[0].PerWeek, r.Alerts[0].Events),
		"", "alerts", "precision", "recall", "lead, median d", "10th percentile")
	for _, a := range r.Alerts {
		t.AppendRow(table.Row{a.Name, a.Alerts, fmt.Sprintf("%.3f", a.Precision), fmt.Sprintf("%.4f", a.Recall), fmt.Sprintf("%.1f", a.LeadMedian), fmt.Sprintf("%.1f", a.LeadTenth)})
	}
	render(b, t)
}

func writeCoverage(b *strings.Builder, title string, coverage []Coverage) {
	if len(coverage) == 0 || coverage[0].Sets == 0 {
		return
	}
	t := newTable(b, fmt.Sprintf("%s: %d", title, coverage[0].Sets), "confidence", "covered", "smoothed", "values", "something new", "worst quarter")
	for _, c := range coverage {
		t.AppendRow(table.Row{fmt.Sprintf("%.0f %%", 100*c.Confidence), fmt.Sprintf("%.4f", c.Covered), fmt.Sprintf("%.4f", c.Smoothed),
			fmt.Sprintf("%.2f", c.Size), fmt.Sprintf("%.3f", c.Novel), fmt.Sprintf("%.3f %s", c.Worst.Covered, c.Worst.Name)})
	}
	render(b, t)
}

func writeChoices(b *strings.Builder, title string, choices []Choices) {
	if len(choices) == 0 {
		return
	}
	t := newTable(b, fmt.Sprintf("%s: %d changes", title, choices[0].Changes), "", "first", "known", "log loss")
	for i := range choices {
		c := &choices[i]
		t.AppendRow(table.Row{c.Name, fmt.Sprintf("%.3f", c.First), fmt.Sprintf("%.3f", c.Known), maybe("%.3f", c.LogLoss)})
	}
	render(b, t)
	for i := range choices {
		writeCoverage(b, "Sets for the next value, "+choices[i].Name, choices[i].Sets)
	}
}

func (r *Report) writeNext(b *strings.Builder) {
	if len(r.Next) == 0 {
		return
	}
	t := newTable(b, fmt.Sprintf("The next change of a resource: asked %d times, %d settings", r.Next[0].Asked, r.Next[0].Settings),
		"", "hit at 1", "5", "9", "each at 1", "5", "9", "log loss")
	for i := range r.Next {
		x := &r.Next[i]
		row := table.Row{x.Name}
		for _, share := range []float64{x.Hit1, x.Hit5, x.Hit9, x.Each1, x.Each5, x.Each9} {
			row = append(row, fmt.Sprintf("%.3f", share))
		}
		t.AppendRow(append(row, maybe("%.3f", x.LogLoss)))
	}
	render(b, t)
}

func (r *Report) writeDrift(b *strings.Builder) {
	if len(r.Drift) == 0 {
		return
	}
	t := newTable(b, fmt.Sprintf("Verdicts on %d settings that left their template, %d of them drifts", r.Drift[0].Mismatches, r.Drift[0].Drifts),
		"", "precision", "recall", "tolerated", "foreseen", "lead, median d", "10th percentile", "false alerts", "per resource-day")
	share := func(x float64) string { return fmt.Sprintf("%.3f", x) }
	t.AppendRow(table.Row{"template diff", share(r.Drift[0].TemplatePrecision), share(1), share(0), share(0), "–", "–", 0, "–"})
	for _, d := range r.Drift {
		t.AppendRow(table.Row{d.Name, share(d.Precision), share(d.Recall), share(d.Tolerated), share(d.Foreseen),
			fmt.Sprintf("%.2f", d.LeadMedian), fmt.Sprintf("%.2f", d.LeadTenth), d.FalseAlerts, fmt.Sprintf("%.5f", d.FalsePerDay)})
	}
	render(b, t)
}
