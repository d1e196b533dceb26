package words

import (
	"fmt"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// Impact says what a drift did to a metric: "latency 97x worse, chance of
// coincidence 0.2 %".
func Impact(x *penumbra.Impact) string {
	return fmt.Sprintf("%s %s, chance of coincidence %s", x.Metric, x.Change(), penumbra.Chance(x.Coincidence))
}

// RunOutcome says how a run ended, what it hurt first.
func RunOutcome(run *penumbra.Run) string {
	if run.Hurt() {
		return "hurt " + Impact(&run.Watch.Harm[0].Impact)
	}
	return run.Outcome
}

// Likeliest names the first suspect in a few words.
func Likeliest(x *penumbra.Anomaly) string {
	if len(x.Suspects) == 0 {
		return ""
	}
	s := &x.Suspects[0]
	return penumbra.Percent(s.Probability) + " " + Shorten(Suspect(s), 60)
}

// Suspect says what a suspect did.
func Suspect(s *penumbra.Suspect) string {
	switch {
	case s.Path != "":
		return fmt.Sprintf("%s %s → %s", s.Path, s.Before, s.After)
	case s.Action != "":
		return s.Action
	default:
		return "an event"
	}
}

// Expected writes a prediction set or interval: {100, 200} at 95 %.
func Expected(e *penumbra.Expectation) string {
	var parts []string
	for _, c := range e.Values {
		parts = append(parts, c.Value.String())
	}
	if e.Interval != nil {
		parts = append(parts, fmt.Sprintf("%.4g … %.4g", e.Interval.Low, e.Interval.High))
	}
	if e.Novel {
		parts = append(parts, "something new")
	}
	text := "{" + strings.Join(parts, ", ") + "}"
	if e.Habit {
		text += " by habit"
	}
	return text
}

// Summary writes what moved: "max_connections 100 → 200".
func Summary(d *penumbra.Drift) string {
	var parts []string
	for _, f := range d.Findings {
		parts = append(parts, f.Brief())
	}
	return strings.Join(parts, ", ")
}
