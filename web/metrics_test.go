package web

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

func TestOverviewTellsOfMetrics(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	doc := signIn(t, s).page("/")
	drifts := all(signIn(t, s).page("/drifts"), "ul", "class=drifts")
	if got := text(drifts[0]); !shows(got, "latency_seconds 97x worse chance of coincidence 0.2 % cpu 75 % better") {
		t.Errorf("the critical drift: %s", got)
	}
	section := one(t, doc, "section", "aria-labelledby=anomalies")
	lines := all(section, "a", "class=cover")
	if len(lines) != 2 || attr(lines[0], "href") != "/anomaly?id=a-lat" || !shows(text(lines[0]), "97x worse latency_seconds") ||
		!shows(text(lines[0]), "likeliest cause instance_class") || !shows(text(lines[1]), "no values any more flows") {
		t.Errorf("anomalies: %s", text(section))
	}
	sources := signIn(t, s).page("/sources")
	inputs := text(one(t, sources, "section", "aria-labelledby=inputs"))
	for _, want := range []string{"db-log postgresql", "18\u202f450", "1\u202f210", "400ms", "connection refused <b>, 12 times in a row"} {
		if !shows(inputs, want) {
			t.Errorf("inputs do not show %q: %s", want, inputs)
		}
	}
	if got := text(one(t, sources, "section", "aria-labelledby=stacks")); !shows(got, "aws_db_instance.* 2 1m0s in 40 s") || !shows(got, "all others 91 5m0s") {
		t.Errorf("the cadence is not shown: %q", got)
	}
	if got := text(one(t, sources, "section", "aria-labelledby=stacks")); !shows(got, "postgres: too many connections, 3 times in a row") || !shows(got, "postgres 1m0s 4 min ago") {
		t.Errorf("sources: %s", got)
	}
	nodes := text(one(t, sources, "section", "aria-labelledby=nodes"))
	for _, want := range []string{"a leads https://a.internal:7676", "b stands by https://b.internal:7676", "c not heard of https://c.internal:7676/?a=<b>"} {
		if !shows(nodes, want) {
			t.Errorf("nodes do not show %q: %s", want, nodes)
		}
	}
	s.anomalies, s.status.Inputs, s.nodes = nil, nil, penumbra.Nodes{}
	if len(all(signIn(t, s).page("/sources"), "section", "aria-labelledby=nodes")) != 0 {
		t.Error("nodes are shown where there is one process")
	}
	doc = signIn(t, s).page("/")
	if len(all(doc, "section", "aria-labelledby=anomalies")) != 0 {
		t.Error("empty sections are shown")
	}
}

func TestDriftTellsOfItsImpact(t *testing.T) {
	t.Parallel()
	doc := signIn(t, newShop(t)).page("/drift?id=d-db")
	hits := all(doc, "article", "class=hit")
	if len(hits) != 2 {
		t.Fatalf("%d impacts", len(hits))
	}
	got := text(hits[0])
	for _, want := range []string{"latency_seconds 97x worse chance of coincidence 0.2 %", "0.012 before, 1.16 after", "86 % instance_class", "alice@example.com (user), ModifyDBInstance in cloudtrail", "changed 2 min before", "9 % something that was not seen", "3 % master_password (sensitive)", "restart"} {
		if !shows(got, want) {
			t.Errorf("the impact does not show %q: %s", want, got)
		}
	}
	plot := one(t, hits[0], "svg", "role=img")
	if len(all(plot, "rect", "class=trace-worse")) != 1 || len(all(plot, "line", "class=trace-mark")) != 3 || len(all(plot, "rect", "class=trace-band")) != 1 {
		t.Errorf("the plot has %d children", len(all(plot, "rect")))
	}
	if path := attr(one(t, plot, "path", "class=trace-line"), "d"); strings.Count(path, "L") < 50 || strings.Contains(path, "NaN") {
		t.Errorf("the line is %.200s", path)
	}
	// An anomaly that is no longer known leaves the words.
	if got := text(hits[1]); !shows(got, "cpu 75 % better") || len(all(hits[1], "svg", "role=img")) != 0 {
		t.Errorf("the other impact: %s", got)
	}
}

func TestResourceShowsItsMetrics(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := signIn(t, s)
	plotted := func() plot {
		var p plot
		if err := json.Unmarshal([]byte(one(t, v.page("/resource?window=1d&address="+string(mainDB)), "script", "id=plot-data").FirstChild.Data), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := plotted()
	var names []string
	for _, m := range p.Metrics {
		names = append(names, m.Name)
	}
	if got := strings.Join(names, " "); got != "cpu latency_seconds connections" {
		t.Fatalf("metrics in the order %s", got)
	}
	if cpu, latency := p.Metrics[0], p.Metrics[1]; len(cpu.Spans) != 1 || cpu.Spans[0].Worse || len(latency.Spans) != 1 || !latency.Spans[0].Worse || len(p.Metrics[2].Spans) != 0 {
		t.Error("anomalies are not marked where they were")
	}
	if got := slices.Index(p.Metrics[0].Mean, nil); got < 0 || slices.Contains(p.Metrics[1].Mean, nil) {
		t.Errorf("the gap is at %d", got)
	}
	for _, m := range p.Metrics {
		if m.Times[0] < p.From || m.Times[len(m.Times)-1] > p.Now {
			t.Errorf("%s is not on the axis", m.Name)
		}
	}
	s.unheard = errors.New("the store is busy")
	if p := plotted(); len(p.Metrics) != 0 {
		t.Errorf("%d metrics of which nothing is known", len(p.Metrics))
	}
	for _, target := range []string{"/", "/resource?address=" + string(mainDB), "/drift?id=d-db"} {
		if doc := v.page(target); len(all(doc, "figure")) != 0 {
			t.Errorf("%s shows a plot of nothing", target)
		}
	}
}

func TestAnomalyPage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := signIn(t, s)
	doc := v.page("/anomaly?id=a-lat")
	if got := text(one(t, doc, "h1")); got != "latency_seconds 97x worse" {
		t.Errorf("heading %q", got)
	}
	got := text(doc)
	for _, want := range []string{"1.16 where 0.012 was expected", "0.008 to 0.021", "0.0004", "drift d-db", "level shift going on", hostile} {
		if !shows(got, want) {
			t.Errorf("it does not show %q: %s", want, got)
		}
	}
	if got := text(v.page("/anomaly?id=a-quiet")); !shows(got, "flows no values any more") || shows(got, "was expected") || !shows(got, "No change or event before it is suspected") {
		t.Errorf("silence: %s", got)
	}
	if got := text(v.page("/anomaly?id=a-cpu")); !shows(got, "50 % better") || !shows(got, "over") || !shows(got, "Ended 8 h ago") {
		t.Errorf("an anomaly that is over: %s", got)
	}
	for _, target := range []string{"/anomaly?id=none", "/anomaly"} {
		if w := v.send("GET", target, nil); w.Code != http.StatusNotFound {
			t.Errorf("%s answers %d", target, w.Code)
		}
	}
}

// TestThinnedLosesNothing holds that joining spans keeps what they say together.
func TestThinnedLosesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 300).Draw(t, "values")
		rollups := make([]penumbra.Rollup, len(values))
		for i, v := range values {
			rollups[i] = penumbra.Rollup{Metric: "m", Start: fixedNow.Add(time.Duration(i) * time.Minute), Span: time.Minute, Count: 2, Sum: 2 * v, Min: v - 1, Max: v + 1, Last: v}
		}
		n := rapid.IntRange(1, 50).Draw(t, "n")
		out := thinned(rollups, n)
		if len(out) > n {
			t.Fatalf("%d of at most %d", len(out), n)
		}
		total := func(rs []penumbra.Rollup) (count int64, low, high float64, span time.Duration) {
			low, high = math.Inf(1), math.Inf(-1)
			for _, r := range rs {
				count, low, high, span = count+r.Count, min(low, r.Min), max(high, r.Max), span+r.Span
			}
			return count, low, high, span
		}
		c1, l1, h1, s1 := total(rollups)
		c2, l2, h2, s2 := total(out)
		if c1 != c2 || l1 != l2 || h1 != h2 || s1 != s2 || out[len(out)-1].Last != values[len(values)-1] {
			t.Fatalf("%d %g %g %v became %d %g %g %v", c1, l1, h1, s1, c2, l2, h2, s2)
		}
		x := traceOf("m", rollups, fixedNow, fixedNow.Add(time.Duration(len(values))*time.Minute), nil)
		if strings.Contains(x.Line+x.Range, "NaN") || strings.Contains(x.Line+x.Range, "Inf") {
			t.Fatalf("drawn as %s", x.Line)
		}
	})
}
