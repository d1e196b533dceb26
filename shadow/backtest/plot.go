package backtest

import (
	"fmt"
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// palette are eight colours that the colour-blind tell apart (Okabe, Ito,
// "Color Universal Design", 2008), the most distinct first.
var palette = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0x56, 0xb4, 0xe9, 0xff}, {0xe6, 0x9f, 0x00, 0xff}, {0x8c, 0x7a, 0x00, 0xff}, {0x00, 0x00, 0x00, 0xff},
}

var (
	grey  = color.RGBA{0x8a, 0x8a, 0x8a, 0xff}
	light = color.RGBA{0xe4, 0xe4, 0xe4, 0xff}
	ink   = color.RGBA{0x22, 0x22, 0x22, 0xff}
)

// dashes tell lines apart without colour.
var dashes = [][]vg.Length{nil, {6, 3}, {2, 2}, {8, 3, 2, 3}}

// WriteSVG plots reliability, and precision by recall, at the longest horizon,
// side by side: models with thick lines, their experts with thin ones, the best
// naive predictors in grey.
func (r *Report) WriteSVG(w io.Writer) error {
	if len(r.Change) == 0 || r.Change[len(r.Change)-1].Left == 0 {
		return invalid("there is nothing to plot: no setting left within the horizon", "backtest on a longer history")
	}
	c := &r.Change[len(r.Change)-1]
	reliability, err := c.plotReliability()
	if err != nil {
		return fmt.Errorf("plot reliability: %w", err)
	}
	precision, err := c.plotPrecision()
	if err != nil {
		return fmt.Errorf("plot precision and recall: %w", err)
	}
	const width, height = 26 * vg.Centimeter, 11.5 * vg.Centimeter
	canvas := vgsvg.New(width, height)
	area := draw.New(canvas)
	area.SetColor(color.White)
	area.Fill(area.Rectangle.Path())
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: 8 * vg.Millimeter, PadTop: 3 * vg.Millimeter, PadBottom: 3 * vg.Millimeter, PadLeft: 3 * vg.Millimeter, PadRight: 4 * vg.Millimeter}
	plots := [][]*plot.Plot{{reliability, precision}}
	for i, part := range plot.Align(plots, tiles, area)[0] {
		plots[0][i].Draw(part)
	}
	if _, err := canvas.WriteTo(w); err != nil {
		return fmt.Errorf("write the plot: %w", err)
	}
	return nil
}

// newPlot returns an empty plot in the house's style.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = 3 * vg.Millimeter
	set := func(s *text.Style, size vg.Length) {
		s.Font = font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size)
		s.Color = ink
	}
	set(&p.Title.TextStyle, 11)
	set(&p.X.Label.TextStyle, 9)
	set(&p.Y.Label.TextStyle, 9)
	set(&p.X.Tick.Label, 8)
	set(&p.Y.Tick.Label, 8)
	set(&p.Legend.TextStyle, 8)
	p.Legend.ThumbnailWidth = 7 * vg.Millimeter
	p.Legend.Padding = 0.6 * vg.Millimeter
	p.Legend.Top, p.Legend.Left = true, true
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.LineStyle.Color, a.Tick.LineStyle.Color = ink, ink
		a.Label.Padding = 1.5 * vg.Millimeter
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = light, light
	p.Add(grid)
	return p
}

// logarithmic makes an axis of shares logarithmic, from a power of ten to all.
func logarithmic(a *plot.Axis, from float64) {
	a.Scale, a.Min, a.Max = plot.LogScale{}, from, 1
	var ticks []plot.Tick
	for x := 1.0; x > from*0.99; x /= 10 {
		ticks = append(ticks, plot.Tick{Value: x, Label: fmt.Sprintf("%g %%", math.Round(x*1e8)/1e6)})
		for k := 2.0; k < 10 && x < 1; k++ {
			ticks = append(ticks, plot.Tick{Value: k * x})
		}
	}
	a.Tick.Marker = plot.ConstantTicks(ticks)
}

// styles gives each shown predictor its line: the models first, so that they
// have the same colours in both plots.
func (c *Change) styles() map[string]draw.LineStyle {
	out := map[string]draw.LineStyle{}
	n := 0
	for _, kind := range []string{"model", "expert"} {
		for i := range c.Scores {
			s := &c.Scores[i]
			if s.Kind != kind {
				continue
			}
			style := draw.LineStyle{Color: palette[n%len(palette)], Width: 2, Dashes: dashes[n/len(palette)%len(dashes)]}
			if kind == "expert" {
				style.Width = 1
			}
			out[s.Name] = style
			n++
		}
	}
	out[naivePredictors[ownFrequency].name] = draw.LineStyle{Color: grey, Width: 1, Dashes: dashes[1]}
	out[naivePredictors[ownDecayed].name] = draw.LineStyle{Color: grey, Width: 1, Dashes: dashes[2]}
	return out
}

// powerBelow is the greatest power of ten that is not above x.
func powerBelow(x float64) float64 { return math.Pow(10, math.Floor(math.Log10(x)+1e-9)) }

func (c *Change) plotReliability() (*plot.Plot, error) {
	p := newPlot("Reliability within "+c.Horizon, "said", "happened")
	lowest := 0.1
	styles := c.styles()
	for i := range c.Scores {
		s := &c.Scores[i]
		if s.Kind == "naive" {
			continue
		}
		var points plotter.XYs
		for _, b := range s.Reliability {
			if b.Left > 0 { // a logarithm has no place for never
				points = append(points, plotter.XY{X: b.Said, Y: b.Left})
				lowest = min(lowest, b.Said, b.Left)
			}
		}
		if len(points) == 0 {
			continue
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.LineStyle = styles[s.Name]
		marks.Color, marks.Radius, marks.Shape = line.Color, line.Width+0.8, draw.CircleGlyph{}
		p.Add(line, marks)
		p.Legend.Add(s.Name, line, marks)
	}
	lowest = powerBelow(lowest)
	ideal, err := plotter.NewLine(plotter.XYs{{X: lowest, Y: lowest}, {X: 1, Y: 1}})
	if err != nil {
		return nil, err
	}
	ideal.LineStyle = draw.LineStyle{Color: grey, Width: 1}
	p.Add(ideal)
	p.Legend.Add("what is said happens", ideal)
	logarithmic(&p.X, lowest)
	logarithmic(&p.Y, lowest)
	return p, nil
}

func (c *Change) plotPrecision() (*plot.Plot, error) {
	p := newPlot("Precision by recall within "+c.Horizon, "recall", "precision")
	styles := c.styles()
	for i := range c.Scores {
		s := &c.Scores[i]
		style, shown := styles[s.Name]
		if !shown || len(s.Curve) == 0 {
			continue
		}
		points := plotter.XYs{{X: 0, Y: s.Curve[0].Precision}}
		for _, x := range s.Curve {
			points = append(points, plotter.XY{X: x.Recall, Y: x.Precision})
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.LineStyle = style
		p.Add(line)
		p.Legend.Add(fmt.Sprintf("%s, area %.3f", s.Name, s.PR), line)
	}
	base, err := plotter.NewLine(plotter.XYs{{X: 0, Y: c.Base}, {X: 1, Y: c.Base}})
	if err != nil {
		return nil, err
	}
	base.LineStyle = draw.LineStyle{Color: grey, Width: 1}
	p.Add(base)
	p.Legend.Add(fmt.Sprintf("by chance, %.3f", c.Base), base)
	p.X.Min, p.X.Max = 0, 1
	var ticks []plot.Tick
	for k := 0; k <= 10; k += 2 {
		ticks = append(ticks, plot.Tick{Value: float64(k) / 10, Label: fmt.Sprintf("%d %%", 10*k)})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	// The room below chance is the legend's: at its left edge no text, however
	// wide a viewer's font, can run into a line.
	p.Legend.Top = false
	logarithmic(&p.Y, powerBelow(c.Base)/10)
	return p, nil
}
