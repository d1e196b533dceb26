package web

import (
	"fmt"
	"html/template"
	"math"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// functions are what the templates call.
func functions(now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"asset":    asset,
		"ago":      func(t time.Time) string { return relative(now(), t) },
		"stamp":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"machine":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"percent":  percent,
		"slug":     func(v fmt.Stringer) string { return strings.ReplaceAll(v.String(), " ", "-") },
		"value":    shownValue,
		"resource": func(a penumbra.Address) string { return "/resource?address=" + url.QueryEscape(string(a)) },
		"setting": func(a penumbra.Address, path string) string {
			return "/resource?address=" + url.QueryEscape(string(a)) + "&path=" + url.QueryEscape(path) + "#history"
		},
		"link":       linkTo,
		"noticeLink": noticeLink,
		"expected":   expected,
		"bars":       bars,
		"scores":     scoresOf,
		"foresight":  foresight,
		"diff":       diffLines,
		"short":      func(hash string) string { return hash[:min(12, len(hash))] },
		"count":      count,
		"took":       func(d time.Duration) string { return d.Round(10 * time.Millisecond).String() },
		"number":     func(n any) string { return grouped(fmt.Sprint(n)) },
		"verdicts": func() []penumbra.Verdict {
			return []penumbra.Verdict{penumbra.Drifted, penumbra.Unexpected, penumbra.Impending, penumbra.NotChecked, penumbra.Pending, penumbra.Tolerated, penumbra.InSync}
		},
		"change":     func(a penumbra.Anomaly) string { return a.Change() },
		"impact":     func(x penumbra.Impact) string { return x.Change() },
		"suspect":    func(s penumbra.Suspect) string { return suspectWords(&s) },
		"gravest":    penumbra.GravestFirst,
		"chance":     penumbra.Chance,
		"hazardous":  func(d penumbra.Drift) bool { return d.Hazardous() },
		"snoozed":    func(d penumbra.Drift) bool { return d.Snoozed(now()) },
		"quantity":   penumbra.Quantity,
		"hundred":    func(p float64) float64 { return 100 * min(1, max(0, p)) },
		"clock":      func(t time.Time) string { return t.UTC().Format(clockLayout) },
		"notChecked": func() penumbra.Verdict { return penumbra.NotChecked },
		"foretold": func(c penumbra.Cause) bool {
			return c.Time.IsZero() && c.After.IsZero() && strings.HasPrefix(c.Key, "forecast ")
		},
		"flip":     func(y float64) float64 { return 200 - y },
		"fixed":    fixed,
		"decimals": func(x float64) string { return strconv.FormatFloat(x, 'f', 4, 64) },
		"times":    func(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) + "×" },
		"first":    first,
		"rest":     func(n int, list any) int { return max(0, reflect.ValueOf(list).Len()-n) },
		"ended":    func(r penumbra.Run) bool { return r.State.Ended() },
		"undoes":   func(r penumbra.Run) bool { return r.State == penumbra.Done || r.State == penumbra.Halted },
	}
}

// linkTo is the page of something with an identifier.
func linkTo(page, id string) string { return page + "?id=" + url.QueryEscape(id) }

// clockLayout is a time of a day, UTC, for axes.
const clockLayout = "2 Jan 15:04"

// relative says how far t is from now in the largest unit that fits.
func relative(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	form := "%s ago"
	if d < 0 {
		d, form = -d, "in %s"
	}
	switch {
	case d < 10*time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf(form, strconv.Itoa(int(d.Seconds()))+" s")
	case d < time.Hour:
		return fmt.Sprintf(form, strconv.Itoa(int(d.Minutes()))+" min")
	case d < 48*time.Hour:
		return fmt.Sprintf(form, strconv.Itoa(int(d.Hours()))+" h")
	default:
		return fmt.Sprintf(form, strconv.Itoa(int(d.Hours()/24))+" days")
	}
}

// percent never rounds a chance to certainty.
func percent(p float64) string {
	switch {
	case p > 0 && p < 0.01:
		return "<1 %"
	case p < 1 && p > 0.99:
		return ">99 %"
	default:
		return strconv.Itoa(int(math.Round(100*p))) + " %"
	}
}

// shownValue is a value as a person reads it. A value that is marked sensitive
// is shown only as being one, even if it came without being a secret.
func shownValue(v penumbra.Value, sensitive bool) string {
	if sensitive && !v.IsNull() && v.Kind() != penumbra.UnknownKind {
		return "(sensitive)"
	}
	return v.String()
}

// expected puts a prediction set into words.
func expected(e penumbra.Expectation, sensitive bool) []string {
	var out []string
	if e.Interval != nil {
		out = append(out, number(e.Interval.Low)+" to "+number(e.Interval.High))
	}
	for _, c := range e.Values {
		if f, ok := c.Value.Float(); ok && e.Interval != nil && e.Interval.Low <= f && f <= e.Interval.High {
			continue
		}
		out = append(out, shownValue(c.Value, sensitive)+" "+percent(c.Probability))
	}
	if e.Novel {
		out = append(out, "something new "+percent(e.NovelProbability))
	}
	return out
}

// fixed writes a share as percent with so many digits behind the point; a number
// that is no share stays one if digits is 0.
func fixed(digits int, x float64) string {
	if digits == 0 {
		return grouped(strconv.FormatFloat(x, 'f', 0, 64))
	}
	return strconv.FormatFloat(100*x, 'f', digits, 64)
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }

// bar is the chance of leaving within one horizon, drawn 24 units high.
type bar struct {
	Name, Percent  string
	X, Top, Height float64
	Width          float64 // in percent, for who draws it lying down
}

func bars(f penumbra.Forecast) []bar {
	out := make([]bar, len(f.Leave))
	for i, p := range f.Leave {
		// A chance that is not 0 stays visible.
		height := 24 * min(1, max(0, p))
		if p > 0 {
			height = max(height, 1)
		}
		out[i] = bar{penumbra.HorizonNames[i], percent(p), float64(12 * i), 24 - height, height, 100 * min(1, max(0, p))}
	}
	return out
}

// first returns the first n of a list.
func first(n int, list any) any {
	v := reflect.ValueOf(list)
	return v.Slice(0, min(n, v.Len())).Interface()
}

// score is one of a proposal's three.
type score struct {
	Name, Meaning, Text string
	Width               float64
}

func scoresOf(s penumbra.Scores) []score {
	of := func(name, meaning string, x float64) score {
		return score{name, meaning, percent(x), 100 * min(1, max(0, x))}
	}
	return []score{
		of("success", "chance of resolving the drift for good; more is better", s.Likelihood),
		of("risk", "risk of disruption; less is better", s.Risk),
		of("effort", "complexity; less is better", s.Complexity),
	}
}

// foresight says of an impending finding how likely it leaves, and by when.
func foresight(f penumbra.Finding) string {
	if f.Forecast == nil || f.Horizon < 0 || f.Horizon >= len(f.Forecast.Leave) {
		return ""
	}
	return percent(f.Forecast.Leave[f.Horizon]) + " within " + penumbra.HorizonNames[f.Horizon]
}

// diffLine is one line of a unified diff and what it does.
type diffLine struct{ Class, Text string }

func diffLines(diff string) []diffLine {
	var out []diffLine
	for line := range strings.Lines(diff) {
		class := "same"
		switch {
		case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"):
			class = "file"
		case strings.HasPrefix(line, "@@"):
			class = "hunk"
		case strings.HasPrefix(line, "+"):
			class = "added"
		case strings.HasPrefix(line, "-"):
			class = "removed"
		}
		out = append(out, diffLine{class, line})
	}
	return out
}

// root spreads out small shares.
func root(p float64) float64 { return math.Sqrt(min(1, max(0, p))) }

// count takes any whole number.
func count(n any, one, many string) string {
	digits := fmt.Sprint(n)
	if digits == "1" {
		return "1 " + one
	}
	return grouped(digits) + " " + many
}

// grouped writes a whole number with a thin space between thousands.
func grouped(digits string) string {
	var b strings.Builder
	for i, r := range digits {
		if i > 0 && r != '-' && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteRune('\u202f')
		}
		b.WriteRune(r)
	}
	return b.String()
}
