package backtest

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// lossOf is the loss of a probability, in nats.
func lossOf(p float64, happened bool) float64 {
	if !happened {
		p = 1 - p
	}
	return logLoss(p)
}

// reportValues sums up which values were named.
func (p *correcting) reportValues(r *CorrectionReport) {
	draws := p.draws()
	half := len(p.named) / 2
	for who := range namers {
		v := NamedValue{Name: namerNames[who]}
		share := func(from int, weight []float64) float64 {
			var right, all float64
			for _, n := range p.named[from:] {
				w := 1.0
				if weight != nil {
					w = weight[n.departed]
				}
				all += w
				if n.right[who] {
					right += w
				}
			}
			return right / max(1e-9, all)
		}
		v.Share, v.Second = share(0, nil), share(half, nil)
		var shares []float64
		for _, w := range draws {
			shares = append(shares, share(0, w))
		}
		v.Interval = middle(shares)
		r.Values = append(r.Values, v)
	}
	for _, n := range p.named {
		r.LogLoss += n.log / float64(len(p.named))
		r.SetSize += float64(n.set) / float64(len(p.named))
	}
}

// WriteText writes the report as tables for a person.
func (r *CorrectionReport) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d departures that corrections tell of, %d corrections repeat one, %d are of what the code did not have.\n", r.Departed, r.Repeated, r.Unknown)
	if r.Cuts == 0 {
		fmt.Fprintln(&b, "The history ends too soon after the first of them to ask what departs within 90 days.")
	} else {
		fmt.Fprintf(&b, "%d cuts from %s to %s; %.0f settings of the estate might have departed at one.\n", r.Cuts, r.From.Format(time.DateOnly), r.To.Format(time.DateOnly), r.Estate)
	}
	for i := range r.Halves {
		r.Halves[i].write(&b)
	}
	t := newTable(&b, "\nThe value departed to", "named by", "share", "95 %", "second half")
	for _, v := range r.Values {
		t.AppendRow([]any{v.Name, fmt.Sprintf("%.3f", v.Share), bounds(v.Interval), fmt.Sprintf("%.3f", v.Second)})
	}
	b.WriteString(t.Render())
	fmt.Fprintf(&b, "\nThe model names %.1f values, with a log loss of %.3f.\n", r.SetSize, r.LogLoss)
	t = newTable(&b, "\nWhat the departure model has learnt of who departs, in log odds", "feature", "7 d", "30 d", "90 d")
	for _, f := range r.Weights {
		t.AppendRow([]any{f.Feature, fmt.Sprintf("%.2f", f.Weights[0]), fmt.Sprintf("%.2f", f.Weights[1]), fmt.Sprintf("%.2f", f.Weights[2])})
	}
	b.WriteString(t.Render())
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

func bounds(x penumbra.Interval) string { return fmt.Sprintf("%.3f to %.3f", x.Low, x.High) }

func (f *Foresight) write(b *strings.Builder) {
	fmt.Fprintf(b, "\nOver %s: %d questions about %d settings of %d classes; base rates %.4f in 7 d, %.4f in 30 d, %.4f in 90 d.\n",
		f.Part, f.Questions, f.Settings, f.Classes, f.Base["7d"], f.Base["30d"], f.Base["90d"])
	t := newTable(b, "Which setting departs, area under ROC", "predictor", "90 d, all cuts", "95 %", "mean of cuts", "95 %", "behind by", "95 %", "30 d", "mean of cuts", "log loss 90 d")
	for _, p := range f.Predictors {
		loss := ""
		if p.LogLoss > 0 {
			loss = fmt.Sprintf("%.4f", p.LogLoss)
		}
		t.AppendRow([]any{p.Name, fmt.Sprintf("%.3f", p.AUC), bounds(p.AUCInterval), fmt.Sprintf("%.3f", p.ByCut), bounds(p.ByCutInterval), fmt.Sprintf("%.3f", p.Behind), bounds(p.BehindInterval), fmt.Sprintf("%.3f", p.AUC30), fmt.Sprintf("%.3f", p.ByCut30), loss})
	}
	b.WriteString(t.Render())
	t = newTable(b, "\nAlerts", "predictor", "horizon", "a week", "alerts", "precision", "95 %", "by random", "recall", "95 %", "by random", "events", "lead, d", "a tenth below")
	for _, a := range f.Alerts {
		t.AppendRow([]any{a.Name, a.Horizon, fmt.Sprint(a.PerWeek), a.Alerts.Alerts, fmt.Sprintf("%.3f", a.Precision), bounds(a.PrecisionInterval), fmt.Sprintf("%.2f", a.OverRandom),
			fmt.Sprintf("%.3f", a.Recall), bounds(a.RecallInterval), fmt.Sprintf("%.2f", a.RecallOverRandom), a.Events, fmt.Sprintf("%.0f", a.LeadMedian), fmt.Sprintf("%.0f", a.LeadTenth)})
	}
	b.WriteString(t.Render())
	b.WriteByte('\n')
}
