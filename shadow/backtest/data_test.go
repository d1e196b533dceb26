package backtest_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// history reads one of the public histories in the folder that PENUMBRA_DATA
// names.
func history(t testing.TB, name string) []*penumbra.Observation {
	t.Helper()
	folder := os.Getenv("PENUMBRA_DATA")
	if folder == "" {
		t.Skip("PENUMBRA_DATA does not name the folder of the histories")
	}
	f, err := os.Open(filepath.Join(folder, name+".timeline.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []*penumbra.Observation
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var x struct {
			Time                           time.Time
			Resource, Type, Source, Action string
			Actor                          string
			ActorKind                      penumbra.ActorKind `json:"actor_kind"`
			Settings                       map[string]penumbra.Value
		}
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			t.Fatal(err)
		}
		settings := make([]penumbra.Setting, 0, len(x.Settings))
		for path, v := range x.Settings {
			settings = append(settings, penumbra.Setting{Path: path, Value: v})
		}
		out = append(out, &penumbra.Observation{
			Kind: penumbra.EventKind, Time: x.Time, Resource: penumbra.Address(x.Resource), Type: x.Type, Source: x.Source,
			Action: x.Action, Actor: x.Actor, ActorKind: x.ActorKind, Settings: penumbra.NewSettings(settings...),
		})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(out, func(a, b *penumbra.Observation) int { return a.Time.Compare(b.Time) })
	return out
}

// at returns the time at a share of the history's span.
func at(observations []*penumbra.Observation, share float64) time.Time {
	first, last := observations[0].Time, observations[len(observations)-1].Time
	return first.Add(time.Duration(share * float64(last.Sub(first))))
}
