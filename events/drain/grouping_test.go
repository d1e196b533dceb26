package drain

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// accuracy is the grouping accuracy (Zhu et al., Tools and Benchmarks for
// Automated Log Parsing, ICSE-SEIP 2019, section III.C): the share of lines whose
// group holds exactly the lines of their true template. broken are the templates
// of which that is not so.
func accuracy(truth []int, found []ID) (share float64, broken map[int]int) {
	type pair struct {
		of int
		id ID
	}
	pairs, ofTruth, ofFound := map[pair]int{}, map[int]int{}, map[ID]int{}
	for i := range truth {
		pairs[pair{truth[i], found[i]}]++
		ofTruth[truth[i]]++
		ofFound[found[i]]++
	}
	broken = map[int]int{}
	right := 0
	for p, n := range pairs {
		if n == ofTruth[p.of] && n == ofFound[p.id] {
			right += n
		} else {
			broken[p.of]++
		}
	}
	return float64(right) / float64(len(truth)), broken
}

// group learns the lines and returns what the miner said of each at once.
func group(m *Miner, lines []string) []ID {
	ids := make([]ID, len(lines))
	for i, line := range lines {
		ids[i] = m.Learn(line).ID
	}
	return ids
}

// regroup returns what the miner says of the lines at the end, which is what the
// literature scores.
func regroup(m *Miner, lines []string) []ID {
	ids := make([]ID, len(lines))
	for i, line := range lines {
		match, _ := m.Match(line)
		ids[i] = match.ID
	}
	return ids
}

// TestGrouping asserts what was measured with some room; -v prints the figures.
func TestGrouping(t *testing.T) {
	t.Parallel()
	for _, set := range []struct {
		name  string
		kinds map[string][]string
		least float64 // of the mean over kinds
	}{
		{"looked at", known, 0.80},
		{"held out", heldOut, 0.75},
		{"blind", blind, 0.70},
	} {
		var sum, sumAtOnce float64
		for _, kind := range slices.Sorted(maps.Keys(set.kinds)) {
			templates := set.kinds[kind]
			var mean, atOnce float64
			wrong := map[string]bool{}
			const seeds = 5
			for seed := range uint64(seeds) {
				r := rand.New(rand.NewPCG(seed, 17))
				lines, of := sample(r, templates, 2000)
				m := New(Options{})
				early, _ := accuracy(of, group(m, lines))
				share, broken := accuracy(of, regroup(m, lines))
				mean += share / seeds
				atOnce += early / seeds
				for k, n := range broken {
					wrong[fmt.Sprintf("%q as %d", templates[k], n)] = true
				}
			}
			sum += mean
			sumAtOnce += atOnce
			t.Logf("%s, %-10s %2d templates: %.4f at the end, %.4f at once", set.name, kind, len(templates), mean, atOnce)
			for _, w := range slices.Sorted(maps.Keys(wrong)) {
				t.Logf("    not as one: %s", w)
			}
		}
		mean := sum / float64(len(set.kinds))
		t.Logf("%s, mean: %.4f at the end, %.4f at once", set.name, mean, sumAtOnce/float64(len(set.kinds)))
		if mean < set.least {
			t.Errorf("%s: grouping accuracy %.4f, below %.2f", set.name, mean, set.least)
		}
	}
}
