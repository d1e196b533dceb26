package creep_test

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// thresholds are drift's defaults, which this package may not import.
var thresholds = [len(penumbra.Horizons)]float64{0.5, 0.5, 0.5, 0.5, 0.8}

// An alarm asks at a look, given what was seen so far, the newest last.
type alarm func(s *story, values []float64, now time.Duration, f *penumbra.Forecast) bool

func byModel(_ *story, _ []float64, _ time.Duration, f *penumbra.Forecast) bool {
	for i, p := range f.Leave {
		if p >= thresholds[i] {
			return true
		}
	}
	return false
}

// byLine draws a straight line through the values of the last two weeks and asks
// whether it passes the limit within 7 days.
func byLine(s *story, values []float64, _ time.Duration, _ *penumbra.Forecast) bool {
	const window = int(14 * day / look)
	values = values[max(0, len(values)-window):]
	n := float64(len(values))
	if n < 3 {
		return false
	}
	var sx, sy, sxx, sxy float64
	for i, v := range values {
		x := float64(i)
		sx, sy, sxx, sxy = sx+x, sy+v, sxx+x*x, sxy+x*v
	}
	slope := (n*sxy - sx*sy) / (n*sxx - sx*sx)
	return values[len(values)-1]+slope*float64(7*day/look) > s.max
}

// byShare is the usual alert at 80 % of the limit.
func byShare(s *story, values []float64, _ time.Duration, _ *penumbra.Forecast) bool {
	return values[len(values)-1] >= 0.8*s.max
}

// score is how an alarm did over many stories.
type score struct {
	passes, warned int       // limits passed, and those with an alarm on at the look before
	alarms, right  int       // times that an alarm went on, and those after which the limit was passed within 30 days
	lead           []float64 // days from the alarm that was on until the limit was passed
	before         []int     // steps between the two
	falseBy        map[string]int
}

func (s *score) precision() float64 { return float64(s.right) / float64(max(1, s.alarms)) }
func (s *score) recall() float64    { return float64(s.warned) / float64(max(1, s.passes)) }

func median[T cmp.Ordered](x []T) (m T) {
	if len(x) > 0 {
		x = slices.Sorted(slices.Values(x))
		m = x[len(x)/2]
	}
	return m
}

// asked is a forecast with what came of it, for one horizon.
type asked struct {
	p    float64
	true bool
}

// judge plays stories and asks all alarms at each look, before the next is seen.
func judge(all []story, alarms map[string]alarm) (map[string]*score, [len(penumbra.Horizons)][]asked) {
	scores := map[string]*score{}
	for name := range alarms {
		scores[name] = &score{falseBy: map[string]int{}}
	}
	var answers [len(penumbra.Horizons)][]asked
	for i := range all {
		s := &all[i]
		w := newWatch(penumbra.Number(s.max))
		passed := s.passed()
		on := map[string]time.Duration{}
		var values []float64
		for now := time.Duration(0); now <= watched && (passed == 0 || now < passed); now += look {
			v := s.at(now)
			values = append(values, v)
			o, r := seen(day0.Add(now), penumbra.Number(v))
			w.Observe(o)
			_, forecast := w.Apply(r, nil, nil, o.Time)
			f := &forecast[0]
			for h, span := range penumbra.Horizons {
				if now+span <= watched {
					answers[h] = append(answers[h], asked{f.Leave[h], passed != 0 && passed <= now+span})
				}
			}
			for name, ask := range alarms {
				is := ask(s, values, now, f)
				_, was := on[name]
				switch {
				case is && !was:
					on[name] = now
					if now+30*day > watched && passed == 0 {
						continue // nobody knows whether it was right
					}
					scores[name].alarms++
					if passed != 0 && passed <= now+30*day {
						scores[name].right++
					} else {
						scores[name].falseBy[s.kind]++
					}
				case !is && was:
					delete(on, name)
				}
			}
		}
		if passed == 0 {
			continue
		}
		for name := range alarms {
			scores[name].passes++
			if since, is := on[name]; is {
				scores[name].warned++
				scores[name].lead = append(scores[name].lead, (passed-since).Hours()/24)
				steps := 0
				for _, c := range s.changes {
					if c.at > since && c.at <= passed {
						steps++
					}
				}
				scores[name].before = append(scores[name].before, steps)
			}
		}
	}
	return scores, answers
}

// calibration prints what share of the forecasts came true, by their height.
func calibration(b *strings.Builder, horizon string, of []asked) (brier, base float64) {
	var n, hits [10]int
	var sum [10]float64
	rate := 0.0
	for _, a := range of {
		i := min(9, int(a.p*10))
		n[i]++
		sum[i] += a.p
		x := 0.0
		if a.true {
			hits[i]++
			x = 1
		}
		rate += x
		brier += (a.p - x) * (a.p - x)
	}
	total := float64(len(of))
	rate /= total
	brier /= total
	fmt.Fprintf(b, "%s: Brier %.4f, always the rate %.4f\n", horizon, brier, rate*(1-rate))
	for i := range n {
		if n[i] > 0 {
			fmt.Fprintf(b, "  said %.2f  came true %.2f  (%d)\n", sum[i]/float64(n[i]), float64(hits[i])/float64(n[i]), n[i])
		}
	}
	return brier, rate * (1 - rate)
}

// logLoss is what the prior was chosen by, on the training seeds.
func logLoss(of []asked) float64 {
	sum := 0.0
	for _, a := range of {
		p := min(1-1e-4, max(1e-4, a.p))
		if !a.true {
			p = 1 - p
		}
		sum -= math.Log(p)
	}
	return sum / float64(len(of))
}

// TestJudge holds the model against a straight line and the usual alert at 80 %,
// on generated settings of seeds that nothing was chosen on. The table in
// docs/model-creep.md is this test's with CREEP_STORIES=100; the prior was chosen
// with CREEP_SEED=1.
func TestJudge(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	seed, n := uint64(1001), 8
	if s := os.Getenv("CREEP_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	if s := os.Getenv("CREEP_STORIES"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	scores, answers := judge(stories(seed, n), map[string]alarm{"model": byModel, "line": byLine, "80 %": byShare})
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s %9s %7s %7s %9s %6s\n", "", "precision", "recall", "lead d", "steps", "alarms")
	for _, name := range []string{"model", "line", "80 %"} {
		s := scores[name]
		fmt.Fprintf(&b, "%-8s %9.2f %7.2f %7.1f %9d %6d   wrong: %v\n", name, s.precision(), s.recall(), median(s.lead), median(s.before), s.alarms, s.falseBy)
	}
	for h, name := range penumbra.HorizonNames {
		fmt.Fprintf(&b, "log loss %.4f  ", logLoss(answers[h]))
		brier, base := calibration(&b, name, answers[h])
		if h >= 2 && brier >= base {
			t.Errorf("within %s: Brier score %.4f, always the rate has %.4f", name, brier, base)
		}
	}
	t.Log("\n" + b.String())
	model := scores["model"]
	for _, name := range []string{"line", "80 %"} {
		if other := scores[name]; model.precision() <= other.precision() {
			t.Errorf("precision %.2f, %s has %.2f", model.precision(), name, other.precision())
		}
	}
	if model.recall() < 0.6 {
		t.Errorf("recall %.2f", model.recall())
	}
}
