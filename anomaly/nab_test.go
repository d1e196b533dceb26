package anomaly

import (
	"encoding/csv"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/anomaly/nab"
	"github.com/penumbra-iac/penumbra/internal/histories"
)

// nabFile is one file of the benchmark with its labels.
type nabFile struct {
	name    string
	points  []penumbra.Point
	windows []nab.Window
}

const nabTime = "2006-01-02 15:04:05"

func readNAB(t testing.TB) []nabFile {
	t.Helper()
	folder := filepath.Join(histories.Folder(t), "nab")
	data, err := os.ReadFile(filepath.Join(folder, "combined_windows.json"))
	if err != nil {
		t.Fatal(err)
	}
	var labels map[string][][2]string
	if err := json.Unmarshal(data, &labels); err != nil {
		t.Fatal(err)
	}
	var out []nabFile
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		f := nabFile{name: name}
		r, err := os.Open(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(r).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		for _, row := range rows[1:] {
			at, err := time.Parse(nabTime, row[0])
			if err != nil {
				t.Fatal(err)
			}
			v, err := strconv.ParseFloat(row[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			f.points = append(f.points, penumbra.Point{Time: at, Value: v})
		}
		for _, w := range labels[name] {
			begin, err := time.Parse(nabTime, w[0])
			if err != nil {
				t.Fatal(err)
			}
			end, err := time.Parse(nabTime, w[1])
			if err != nil {
				t.Fatal(err)
			}
			first := slices.IndexFunc(f.points, func(p penumbra.Point) bool { return !p.Time.Before(begin) })
			last := len(f.points) - 1
			for f.points[last].Time.After(end) {
				last--
			}
			f.windows = append(f.windows, nab.Window{First: first, Last: last})
		}
		out = append(out, f)
	}
	return out
}

// hold lets a row alarm only if none of the 64 rows before it did, or it is much more
// surprising: twice as long as the longest means remember. A detector that alarms at
// each row of one anomaly is charged for each outside the windows.
func hold(scores []float64, more float64) []float64 {
	const rows = 64
	out := make([]float64, len(scores))
	last, high := -rows, 0.0
	for i, x := range scores {
		if x > 0 && (i-last >= rows || x >= high+more) {
			out[i] = x
			last, high = i, x
		}
	}
	return out
}

// surprise returns a Monitor's scores: the false alarms a week that a row's p-value
// stands for, from a thousand down, by logarithm from 0 to 1.
func surprise(t testing.TB, points []penumbra.Point) []float64 {
	const decades = 20
	m := NewMonitor(Options{})
	out := make([]float64, len(points))
	for i, x := range points {
		if _, err := m.Observe("r", "m", penumbra.Either, x); err != nil {
			t.Fatal(err)
		}
		if p, ok := m.PValue("r", "m"); ok {
			interval := m.series[key{"r", "m"}].Interval
			out[i] = min(1, max(0, (3-math.Log10(p*float64(week)/interval))/decades))
		}
	}
	return hold(out, 1.0/decades)
}

// opened returns 1 at each row at which a Monitor opened an anomaly.
func opened(t testing.TB, points []penumbra.Point) []float64 {
	m := NewMonitor(Options{})
	out := make([]float64, len(points))
	seen := map[string]bool{}
	for i, x := range points {
		got, err := m.Observe("r", "m", penumbra.Either, x)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range got {
			if !seen[a.ID] {
				seen[a.ID] = true
				out[i] = 1
			}
		}
	}
	return out
}

// sizes turns z-scores into scores: 3 becomes 0.5.
func sizes(z []float64) []float64 {
	for i, x := range z {
		z[i] = x / (x + 3)
	}
	return z
}

func zScore(x, sum, squares, n float64) float64 {
	mean := sum / n
	return math.Abs(x-mean) / max(math.Sqrt(max(0, squares/n-mean*mean)), 1e-9)
}

// plain is a plain threshold: how far a value is from the mean of the probation, in
// its standard deviations.
func plain(points []penumbra.Point) []float64 {
	var sum, squares float64
	n := nab.Probation(len(points))
	for _, p := range points[:n] {
		sum += p.Value
		squares += p.Value * p.Value
	}
	out := make([]float64, len(points))
	for i, p := range points {
		out[i] = zScore(p.Value, sum, squares, float64(n))
	}
	return sizes(out)
}

// moving is a moving z-score: the same over the last rows before the value.
func moving(points []penumbra.Point, rows int) []float64 {
	out := make([]float64, len(points))
	var sum, squares float64
	for i, p := range points {
		if n := min(i, rows); n >= 10 {
			out[i] = zScore(p.Value, sum, squares, float64(n))
		}
		sum += p.Value
		squares += p.Value * p.Value
		if i >= rows {
			x := points[i-rows].Value
			sum -= x
			squares -= x * x
		}
	}
	return sizes(out)
}

// TestNAB scores a Monitor with its default options by the rules of the benchmark,
// next to a plain threshold and a moving z-score, each with the threshold that is
// best for it over all files, as the benchmark does, and with the threshold that is
// best over the other files.
func TestNAB(t *testing.T) {
	files := readNAB(t)
	detectors := []struct {
		name   string
		scores func(points []penumbra.Point) []float64
	}{
		{"Monitor, p-value", func(x []penumbra.Point) []float64 { return surprise(t, x) }},
		{"Monitor, anomalies as opened", func(x []penumbra.Point) []float64 { return opened(t, x) }},
		{"plain threshold", plain},
		{"plain threshold, held", func(x []penumbra.Point) []float64 { return hold(plain(x), 0.05) }},
		{"moving z-score, 288 rows", func(x []penumbra.Point) []float64 { return moving(x, 288) }},
		{"moving z-score, 288 rows, held", func(x []penumbra.Point) []float64 { return hold(moving(x, 288), 0.05) }},
		{"moving z-score, 2000 rows, held", func(x []penumbra.Point) []float64 { return hold(moving(x, 2000), 0.05) }},
	}
	best := map[string]float64{}
	for _, d := range detectors {
		var all []nab.Series
		for _, f := range files {
			all = append(all, nab.Series{Name: f.name, Scores: d.scores(f.points), Windows: f.windows})
		}
		r, left := nab.Standard.Best(all), nab.Standard.LeaveOneOut(all)
		best[d.name] = r.Score
		t.Logf("%-32s %5.1f at %.3f: %2d of %d windows, %3d false; threshold of the others: %5.1f, %2d, %3d false",
			d.name, r.Score, r.Threshold, r.Found, r.Windows, r.False, left.Score, left.Found, left.False)
		if d.name == "plain threshold" {
			three := nab.Standard.At(all, 0.5)
			t.Logf("%-32s %5.1f: %2d windows, %3d false", d.name+", 3 deviations", three.Score, three.Found, three.False)
		}
		if d.name == detectors[0].name {
			for i := range all {
				x := nab.Standard.At(all[i:i+1], r.Threshold)
				t.Logf("    %-60s raw %5.2f, %d of %d, %2d false", all[i].Name, x.Raw, x.Found, x.Windows, x.False)
			}
		}
	}
	ours := best[detectors[0].name]
	if ours < 60 {
		t.Errorf("%.1f is below 60", ours)
	}
	for name, other := range best {
		if name != detectors[0].name && name != detectors[1].name && other >= ours-10 {
			t.Errorf("%s: %.1f, the Monitor %.1f", name, other, ours)
		}
	}
}

// TestNABQuiet counts the anomalies that a Monitor opens outside the windows and
// after the probation. Not all of them are false: labels are not complete.
func TestNABQuiet(t *testing.T) {
	var alarms, weeks float64
	for _, f := range readNAB(t) {
		scores := opened(t, f.points)
		n, span := 0, time.Duration(0)
		for i := nab.Probation(len(scores)); i < len(scores); i++ {
			if slices.ContainsFunc(f.windows, func(w nab.Window) bool { return w.First <= i && i <= w.Last }) {
				continue
			}
			span += min(f.points[i].Time.Sub(f.points[i-1].Time), 2*time.Hour)
			if scores[i] > 0 {
				n++
			}
		}
		t.Logf("%-60s %2d in %4.1f weeks", f.name, n, span.Hours()/week.Hours())
		alarms += float64(n)
		weeks += span.Hours() / week.Hours()
	}
	t.Logf("%.0f in %.0f weeks: %.3f a week", alarms, weeks, alarms/weeks)
	if alarms/weeks > 0.5 {
		t.Errorf("%.3f a week", alarms/weeks)
	}
}
