package beam_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/beam"
	"github.com/penumbra-iac/penumbra/internal/histories"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
	"github.com/penumbra-iac/penumbra/timeline"
)

func file(t *testing.T, history string) string {
	return filepath.Join(histories.Folder(t), history+".timeline.jsonl.gz")
}

// plain returns a history as it is in the file, by value.
func plain(t *testing.T, history string) []penumbra.Observation {
	var all []penumbra.Observation
	for _, o := range histories.Read(t, history) {
		all = append(all, *o)
	}
	return all
}

// elsewhere is the engine that scripts/jobserver.sh runs the tests beside, and Prism if it does not.
func elsewhere() beam.Runner {
	if name := os.Getenv("JOB_RUNNER"); name != "" {
		return beam.Runner{Name: name, Endpoint: os.Getenv("JOB_ENDPOINT")}
	}
	return prism
}

// TestScoresOfHistories scores a public history, by a model that learnt it, in
// the pipeline and in one process.
func TestScoresOfHistories(t *testing.T) {
	name := file(t, "govuk-aws")
	all := plain(t, "govuk-aws")
	m := learnt(shadow.NewPooled(shadow.Options{}), all)
	at := all[len(all)-1].Time.Add(time.Hour)
	folder := t.TempDir()
	if _, err := beam.Score(context.Background(), beam.Scoring{Files: []string{name}, Checkpoint: checkpoint(t, m), At: at, Out: folder}, elsewhere()); err != nil {
		t.Fatal(err)
	}
	got, here := scores(t, folder), scoredHere(m, all, at)
	if len(got) != len(here) || len(got) == 0 {
		t.Fatalf("%d resources were scored, want %d", len(got), len(here))
	}
	sealed := 0
	for a, want := range here {
		if hidden(want) != hidden(got[a]) {
			sealed++ // its plain secret is not in the scores
			continue
		}
		same(t, got[a], want)
	}
	t.Logf("on %s: %d resources, of which %d have plain secrets", elsewhere().Name, len(got), sealed)
	if sealed > len(got)/20 {
		t.Errorf("%d of %d resources could not be compared", sealed, len(got))
	}
}

// hidden counts the sealed values that are expected.
func hidden(s beam.Scored) (n int) {
	for i := range s.Expectations {
		for _, c := range s.Expectations[i].Values {
			if strings.Contains(fmt.Sprint(c.Value), penumbra.SecretPrefix) {
				n++
			}
		}
	}
	return n
}

// TestTrainingOnHistories trains on one public estate, in one process and in
// shards, and judges each on the first years of another, from the first day on:
// the split by estate of the protocol. It prints the table of docs/scale.md and
// holds the averages to losing little against one process, by log loss. It does not
// hold any of them to beating a model that starts untrained: on these two estates
// none does.
func TestTrainingOnHistories(t *testing.T) {
	if os.Getenv("PENUMBRA_SCALE") == "" {
		t.Skip("PENUMBRA_SCALE=1 trains for minutes")
	}
	name := file(t, "govuk-aws")
	trained := map[string][]byte{}
	names := []string{"untrained", "one process"}
	began := time.Now()
	trained["one process"] = trainedHere(t, plain(t, "govuk-aws"), time.Time{}, 1)
	fmt.Printf("one process: %v\n", time.Since(began).Round(time.Second))
	for _, x := range []struct{ shards, rounds int }{{1, 1}, {4, 1}, {4, 2}} {
		began := time.Now()
		data := trainedThere(t, beam.Training{Files: []string{name}, Shards: x.shards, Rounds: x.rounds, Seed: 1}, prism)
		title := fmt.Sprintf("%d shards, %d rounds", x.shards, x.rounds)
		names = append(names, title)
		trained[title] = data
		fmt.Printf("%s: %v\n", title, time.Since(began).Round(time.Second))
	}
	other := histories.Read(t, "home-ops-a")
	first, last := other[0].Time, other[len(other)-1].Time
	var entrants []backtest.Entrant
	for _, title := range names {
		entrants = append(entrants, backtest.Entrant{Name: title, Model: reading(t, trained[title])})
	}
	report, err := backtest.Run(context.Background(), slices.Values(other), entrants, backtest.Options{
		Warmup: -1, To: first.Add(last.Sub(first) / 4), Every: 7 * 24 * time.Hour, NoValues: true, Bootstrap: -1, Seed: 1, Horizons: []int{4},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &report.Change[0]
	fmt.Printf("%d questions, %d left\n", c.Questions, c.Left)
	for _, title := range names {
		s := c.Score(title)
		fmt.Printf("| %s | %.4f | %.4f |\n", title, s.PR, *s.LogLoss)
	}
	for _, title := range names[2:] {
		if *c.Score(title).LogLoss > 1.02**c.Score("one process").LogLoss {
			t.Errorf("%s lost more than a fiftieth by being trained in shards", title)
		}
	}
}

// TestSplitByTime trains on the earlier four fifths of a public estate's time, in
// one process and in shards, and judges what each left on the last fifth, see
// judgedLater. It prints the table of docs/scale.md, and holds the PR-AUC of shards to
// that of one process, to 1 %; whether training is worth anything on these estates is there
// to be read. Within scripts/jobserver.sh the shards are trained on its engine. PENUMBRA_SPLIT names
// the history, PENUMBRA_SHARE the earlier share of its time that is looked at at
// all, 1 if it is not set.
func TestSplitByTime(t *testing.T) {
	name := os.Getenv("PENUMBRA_SPLIT")
	if name == "" {
		t.Skip("PENUMBRA_SPLIT names no history to train on for minutes")
	}
	all := timeline.Order(plain(t, name))
	share := 1.0
	if text := os.Getenv("PENUMBRA_SHARE"); text != "" {
		var err error
		if share, err = strconv.ParseFloat(text, 64); err != nil {
			t.Fatal(err)
		}
	}
	first := all[0].Time
	end := first.Add(time.Duration(share * float64(all[len(all)-1].Time.Sub(first))))
	all = slices.DeleteFunc(all, func(o penumbra.Observation) bool { return o.Time.After(end) })
	cut := first.Add(end.Sub(first) * 4 / 5)
	began := time.Now()
	names := []string{"untrained", "one process"}
	checkpoints := [][]byte{nil, trainedHere(t, all, cut, 1)}
	fmt.Printf("one process: %v\n", time.Since(began).Round(time.Second))
	for _, shards := range []int{1, 4} {
		began := time.Now()
		names = append(names, fmt.Sprintf("%d shards, 1 round", shards))
		checkpoints = append(checkpoints, trainedThere(t, beam.Training{Files: []string{file(t, name)}, Until: cut, Shards: shards, Seed: 1}, elsewhere()))
		fmt.Printf("%s: %v\n", names[len(names)-1], time.Since(began).Round(time.Second))
	}
	c := judgedLater(t, all, cut, names, checkpoints, backtest.Options{Seed: 1, Bootstrap: 500})
	fmt.Printf("%s: %d observations, cut at %s, %d questions, %d left\n", name, len(all), cut.Format(time.DateOnly), c.Questions, c.Left)
	for _, title := range names {
		s := c.Score(title)
		fmt.Printf("| %s | %.4f | %.5f |\n", title, s.PR, *s.LogLoss)
	}
	for _, title := range names[2:] {
		x := c.Comparison(title, "one process").PR
		fmt.Printf("%s on %s: PR-AUC %.4f times that of one process, %.4f to %.4f by cut\n", title, elsewhere().Name, x.Ratio, x.RatioByCut.Low, x.RatioByCut.High)
		if math.Abs(x.Ratio-1) > 0.01 {
			t.Errorf("%s rank by more than 1 %% unlike one process", title)
		}
	}
}
