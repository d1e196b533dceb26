package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables in docs/sizing.md")

func committed(t *testing.T, serves string) *model {
	t.Helper()
	m, err := load(measuredFile, pricesFile, serves)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestFiguresNameTheirSource wants of each figure what it is of and where it is from.
func TestFiguresNameTheirSource(t *testing.T) {
	t.Parallel()
	m := committed(t, "pooled")
	var walk func(name string, x any)
	figures := 0
	walk = func(name string, x any) {
		of := x.(map[string]any)
		value, isFigure := of["value"]
		if !isFigure {
			for inner, y := range of {
				walk(name+"/"+inner, y)
			}
			return
		}
		figures++
		if value.(float64) <= 0 || of["unit"] == "" || of["source"] == "" {
			t.Errorf("%s: %v", name, of)
		}
	}
	text, err := json.Marshal(m.measured)
	if err != nil {
		t.Fatal(err)
	}
	var all any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	walk("", all)
	if figures != 8+2*7 {
		t.Errorf("%d figures", figures)
	}
	if m.Date == "" || m.Source == "" {
		t.Error("prices without source or date")
	}
	if _, err := load([]byte(`{"read_secs": {"value": 1}}`), pricesFile, "pooled"); err == nil {
		t.Error("a figure that nothing knows was read")
	}
	if _, err := load(measuredFile, pricesFile, "oracle"); err == nil {
		t.Error("a family without figures was found")
	}
}

// TestMeansAreThoseDrawn holds the mean that loads are reckoned with against what the
// simulation draws.
func TestMeansAreThoseDrawn(t *testing.T) {
	t.Parallel()
	m := committed(t, "pooled")
	for _, changes := range []float64{0.065, 20} { // next to nothing in a look, and a lot
		m.changes = changes
		for _, way := range []way{reads, sent} {
			stations, means, names := estate{m, way, 100_000, m.Machines[3], fewest}.stations()
			r := rand.New(rand.NewPCG(1, 1))
			for i, s := range stations {
				const draws = 200_000
				sum := 0.0
				for range draws {
					sum += s.service(r)
				}
				if got := sum / draws; math.Abs(got-means[i]) > 0.01*means[i] {
					t.Errorf("%v, %v changes: %s takes %v s as drawn, %v as reckoned", way, changes, names[i], got, means[i])
				}
			}
		}
	}
}

// TestMostIsWhereSomethingIsUsedUp looks at both sides of the largest fleet.
func TestMostIsWhereSomethingIsUsedUp(t *testing.T) {
	t.Parallel()
	for _, family := range []string{"pooled", "mixture"} {
		m := committed(t, family)
		for _, x := range []struct {
			way   way
			nodes int
		}{{reads, fewest}, {reads, 5}, {sent, fewest}} {
			before := 0.0
			for _, on := range m.Machines {
				n, what := m.most(x.way, on, x.nodes)
				if _, near := (estate{m, x.way, n, on, x.nodes}).first(); near > 1 {
					t.Errorf("%s, %+v on %s: %v resources are too many", family, x, on.Name, n)
				}
				if got, near := (estate{m, x.way, n * 1.001, on, x.nodes}).first(); near <= 1 || got != what {
					t.Errorf("%s, %+v on %s: of %v resources %s is used by %v of what it may, not %s", family, x, on.Name, n*1.001, got, near, what)
				}
				if n < before {
					t.Errorf("%s, %+v: %s carries less than a smaller machine", family, x, on.Name)
				}
				before = n
			}
		}
	}
}

// TestWhatIsUsedUpFirstCounts makes what ends a fleet twice as fast.
func TestWhatIsUsedUpFirstCounts(t *testing.T) {
	t.Parallel()
	m := committed(t, "pooled")
	on := m.Machines[3]
	before, what := m.most(reads, on, fewest)
	if what != "reading" {
		t.Fatalf("%s is used up first on %s", what, on.Name)
	}
	m.ReadMS.Value /= 2
	if after, _ := m.most(reads, on, fewest); math.Abs(after/before-2) > 0.01 {
		t.Errorf("%v resources, %v where reading takes half as long", before, after)
	}
}

// TestNodesReadWhatOneCannot adds nodes where reading is used up first, and where judging is.
func TestNodesReadWhatOneCannot(t *testing.T) {
	t.Parallel()
	m := committed(t, "pooled")
	on := m.Machines[0]
	two, _ := m.most(reads, on, 2)
	for nodes := 3; nodes <= 8; nodes++ {
		// One may be gone: of two, one reads; of the n others each has one processor less than it
		// has, which follows, as the one that leads has one less, which judges.
		n, what := m.most(reads, on, nodes)
		if want := two * float64(nodes-1); what != "reading" || math.Abs(n/want-1) > 0.01 {
			t.Errorf("%d nodes carry %v resources, ended by %s; want %v", nodes, n, what, want)
		}
	}
	m = committed(t, "mixture")
	on = m.Machines[4]
	if two, what := m.most(reads, on, 2); what != "judging" {
		t.Errorf("%s ends two nodes that judge %v", what, two)
	} else if four, _ := m.most(reads, on, 4); math.Abs(four/two-1) > 0.001 {
		t.Errorf("four nodes judge %v resources, two %v", four, two)
	}
	// What is sent no node reads.
	if s := m.size(sent, 1e8); s.nodes != fewest {
		t.Errorf("%d nodes for what is sent", s.nodes)
	}
}

// TestSizes holds the sizing of fleets against what each Penumbra carries, and the
// simulated delay against its bounds.
func TestSizes(t *testing.T) {
	t.Parallel()
	m := committed(t, "pooled")
	for _, way := range []way{reads, sent} {
		cost := 0.0
		for _, n := range scales {
			s := m.size(way, n)
			if _, near := s.first(); near > 1 || float64(s.estates)*s.n < n*0.999 {
				t.Errorf("%v, %v resources: %d Penumbras of %v, %v used", way, n, s.estates, s.n, near)
			}
			if s.month < cost {
				t.Errorf("%v: %v resources cost less than fewer do", way, n)
			}
			cost = s.month
		}
		s := m.size(way, 1e5)
		s.delays(seed)
		_, means, _ := s.stations()
		least := means[0] + means[1]
		if way == reads {
			// A change is seen after half the period in the middle, and hardly later than
			// after all of it where nothing is near to used up.
			least += m.every / 2
			if s.p99 > m.every+60 {
				t.Errorf("99th percentile %v s", s.p99)
			}
		}
		if s.p50 < 0.9*least || s.p99 < s.p50 {
			t.Errorf("%v: p50 %v s, p99 %v s; without waiting for others it is %v", way, s.p50, s.p99, least)
		}
	}
}

func TestRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-every", "0s"}, {"-fill", "1"}, {"-stack", "0"}, {"-heartbeat", "0", "-changes", "0"}, {"-nodes", "1"}, {"-family", "oracle"}, {"-prices", "none.json"}} {
		if err := run(args, new(bytes.Buffer)); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

// TestDocs holds docs/sizing.md to what the program prints.
func TestDocs(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "sizing.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	for mark, args := range map[string][]string{"go run ./lab/sizing": nil, "go run ./lab/sizing -family mixture": {"-family", "mixture"}} {
		var out bytes.Buffer
		if err := run(args, &out); err != nil {
			t.Fatal(err)
		}
		begin, end := "<!-- "+mark+" -->\n", "<!-- end -->\n"
		before, rest, found := strings.Cut(got, begin)
		was, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("%s has no %q", path, begin)
		}
		if was == out.String() {
			continue
		}
		if !*update {
			t.Errorf("%s does not show what %s prints: go test ./lab/sizing -update", path, mark)
		}
		got = before + begin + out.String() + end + after
	}
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
