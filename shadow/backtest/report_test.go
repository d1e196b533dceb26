package backtest_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

var update = flag.Bool("update", false, "write what was made into the golden files")

// TestPlot holds that the plot is well-formed XML with both curves of each
// predictor and their names.
func TestPlot(t *testing.T) {
	t.Parallel()
	r := judge(t, estate(7), nil, pooled(), backtest.Entrant{Name: "both", Model: ensemble{shadow.NewPooled(shadow.Options{})}})
	var b bytes.Buffer
	if err := r.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	if folder := os.Getenv("PENUMBRA_PLOTS"); folder != "" { // to look at
		if err := os.WriteFile(filepath.Join(folder, "backtest.svg"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	paths := map[string]int{} // by colour
	var text strings.Builder
	d := xml.NewDecoder(&b)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			for _, a := range x.Attr {
				if i := strings.Index(a.Value, "stroke:#"); x.Name.Local == "path" && a.Name.Local == "style" && i >= 0 {
					paths[a.Value[i+7:i+14]]++
				}
			}
		case xml.CharData:
			text.Write(x)
			text.WriteByte('\n')
		}
	}
	// A line in both plots and in both legends, but for who says the same of all:
	// one point is no line.
	for colour, lines := range map[string]int{"#0072B2": 4, "#D55E00": 4, "#009E73": 4, "#CC79A7": 3} {
		if paths[colour] < lines {
			t.Errorf("%d lines of colour %s: %v", paths[colour], colour, paths)
		}
	}
	for _, want := range []string{"Reliability within 30d", "Precision by recall within 30d", "said", "happened", "recall", "precision", "pooled", "both: dunno", "by chance"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the plot does not say %q:\n%s", want, text.String())
		}
	}
}

func TestNothingToPlot(t *testing.T) {
	t.Parallel()
	if err := (&backtest.Report{}).WriteSVG(io.Discard); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("an empty report: %v", err)
	}
}

// TestReportGolden holds the names and the shape of the report, as JSON and for
// a person. Figures are rounded: they may differ in the last bits by machine.
func TestReportGolden(t *testing.T) {
	t.Parallel()
	r := judge(t, estate(7), func(o *backtest.Options) { o.Horizons = []int{2, 4} })
	for i := range r.Change {
		for k := range r.Change[i].Scores {
			s := &r.Change[i].Scores[k]
			s.Curve = s.Curve[:min(2, len(s.Curve))]
		}
	}
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	rounded, err := json.MarshalIndent(round(tree), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", append(rounded, '\n'))
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", b.Bytes())
}

func round(x any) any {
	switch x := x.(type) {
	case map[string]any:
		for k := range x {
			x[k] = round(x[k])
		}
	case []any:
		for i := range x {
			x[i] = round(x[i])
		}
	case json.Number:
		if f, err := x.Float64(); err == nil && strings.ContainsAny(x.String(), ".e") {
			return float64(int64(f*1e4+0.5)) / 1e4
		}
	}
	return x
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", path, diff)
	}
}
