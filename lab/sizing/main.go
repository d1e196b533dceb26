// Command sizing answers one question: what does a fleet of a given size need, and what is used
// up first? It reckons with rates that were measured (measured.json says with which
// command), with list prices (prices.json), and with a fleet that is assumed (its flags),
// and simulates the queues in front of what there is one of. It prints two tables:
//
//	go run ./lab/sizing
//	go run ./lab/sizing -every 1h -changes 0.5 -prices mine.json
//
// docs/sizing.md says what they mean and what is not in them.
package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// seed is that of the simulation: the same figures give the same tables.
const seed = 1

var scales = []float64{1e4, 1e5, 1e6, 1e7, 1e8}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	w := usual
	flags := flag.NewFlagSet("sizing", flag.ContinueOnError)
	every := flags.Duration("every", time.Duration(w.every*1e9), "time between two reads of a resource")
	for name, f := range map[string]struct {
		to   *float64
		what string
	}{
		"stack":     {&w.stack, "resources of a stack, which is read at once"},
		"changes":   {&w.changes, "changes a resource and day"},
		"heartbeat": {&w.heartbeat, "unchanged snapshots stored a resource and day"},
		"batch":     {&w.batch, "observations sent at once"},
		"peak":      {&w.peak, "the busiest hour over the mean"},
		"keep":      {&w.keep, "days that timelines are kept"},
		"nodes":     {&w.nodes, "nodes of one Penumbra at the most, of which one leads and all read"},
		"fill":      {&w.fill, "how much of anything may be used in the busiest hour"},
	} {
		flags.Float64Var(f.to, name, *f.to, f.what)
	}
	serves := flags.String("family", "pooled", "the family of models that keeps the shadow: pooled or mixture")
	measuredPath := flags.String("measured", "", "file of measured figures in place of measured.json")
	pricesPath := flags.String("prices", "", "file of prices in place of prices.json")
	if err := flags.Parse(args); err != nil {
		return err
	}
	w.every = every.Seconds()
	if w.every <= 0 || w.stack < 1 || w.batch < 1 || w.peak < 1 || w.keep <= 0 || w.heartbeat+w.changes <= 0 || w.changes < 0 || w.heartbeat < 0 || w.fill <= 0 || w.fill >= 1 || w.nodes < fewest || w.nodes > 100 {
		return fmt.Errorf("sizing: -every and -keep have to be above 0, -stack, -batch and -peak 1 or more, -fill between 0 and 1, -nodes between 2 and 100, and something has to be stored")
	}
	m, err := loadFiles(*measuredPath, *pricesPath, *serves)
	if err != nil {
		return err
	}
	m.workload = w
	m.printMost(out)
	m.printScales(out)
	return nil
}

func loadFiles(measuredPath, pricesPath, serves string) (*model, error) {
	measured, prices := measuredFile, pricesFile
	for _, x := range []struct {
		path string
		to   *[]byte
	}{{measuredPath, &measured}, {pricesPath, &prices}} {
		if x.path == "" {
			continue
		}
		data, err := os.ReadFile(x.path)
		if err != nil {
			return nil, err
		}
		*x.to = data
	}
	return load(measured, prices, serves)
}

// printMost prints how many resources one Penumbra carries on machines of each kind, with the
// fewest nodes, with twice as many, and with the most.
func (m *model) printMost(out io.Writer) {
	counts := slices.Compact([]int{fewest, min(2*fewest, int(m.nodes)), int(m.nodes)})
	fmt.Fprint(out, "| machine of each node |")
	for _, nodes := range counts {
		fmt.Fprintf(out, " reads, %d nodes: resources at most | ended by |", nodes)
	}
	fmt.Fprintf(out, " sent: resources at most | ended by |\n|%s\n", strings.Repeat("---|", 3+2*len(counts)))
	for _, on := range m.Machines {
		fmt.Fprintf(out, "| %s: %d processors, %g GB |", on.Name, on.Processors, on.MemoryGB)
		for _, nodes := range counts {
			read, end := m.most(reads, on, nodes)
			fmt.Fprintf(out, " %s | %s |", round(read), end)
		}
		got, end := m.most(sent, on, fewest)
		fmt.Fprintf(out, " %s | %s |\n", round(got), end)
	}
}

// printScales prints what fleets need.
func (m *model) printScales(out io.Writer) {
	fmt.Fprintln(out, "\n| resources | way | stored a second, mean | Penumbras | each on nodes | its database on | reading, judging, storing % | memory GB of each | delay p50, p99 | log of writes, network MB/s | disk GB a month | start | training pass | USD a month | first used up |\n|"+strings.Repeat("---|", 15))
	for _, n := range scales {
		for _, way := range []way{reads, sent} {
			s := m.size(way, n)
			s.delays(seed)
			part := map[string]string{"reading": "-", "judging": "-", "storing": "-"}
			for _, u := range s.uses() {
				if _, shown := part[u.what]; shown {
					part[u.what] = fmt.Sprintf("%.2g", 100*u.of)
				}
			}
			rate := m.stored(n)
			fmt.Fprintf(out, "| %s | %s | %s | %d | %d × %s | %s | %s, %s, %s | %s | %s, %s | %.2g, %.2g | %s | %s | %s | %s | %s |\n",
				round(n), way, round(rate), s.estates, s.nodes, s.machine.Name, s.database.Name, part["reading"], part["judging"], part["storing"],
				round(s.memory()), span(s.p50), span(s.p99), rate*m.peak*m.WALBytes.Value/1e6, rate*m.peak*(m.WireBytes.Value+m.WALBytes.Value)/1e6,
				round(rate*day*30*m.DiskBytes.Value/1e9), span(s.restart()), span(s.training()), round(s.month), s.saturation)
		}
	}
}

// round gives two digits that count, with commas.
func round(x float64) string {
	if x < 10 {
		return fmt.Sprintf("%.2g", x)
	}
	unit := math.Pow(10, math.Floor(math.Log10(x))-1)
	text := fmt.Sprintf("%.0f", math.Round(x/unit)*unit)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// span gives a time in the unit that fits.
func span(seconds float64) string {
	units := []struct {
		name string
		of   float64
	}{{"d", day}, {"h", 3600}, {"min", 60}, {"s", 1}}
	for _, u := range units {
		if seconds >= 2*u.of || u.of == 1 && seconds >= 1 {
			return round(seconds/u.of) + " " + u.name
		}
	}
	return round(seconds*1e3) + " ms"
}
