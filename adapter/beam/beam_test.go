package beam_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/apache/beam/sdks/v2/go/pkg/beam"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/beam"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
	"github.com/penumbra-iac/penumbra/timeline"
)

func TestMain(m *testing.M) {
	sdk.Init()
	os.Exit(m.Run())
}

var prism = beam.Runner{Name: "prism"}

// fleet is an estate of n resources in two environments, for so many weeks: every
// third service moves its image weekly, one instance drifted.
func fleet(n, weeks int) []penumbra.Observation {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var all []penumbra.Observation
	for i := range n {
		for _, env := range []string{"dev", "prod"} {
			o := penumbra.Observation{
				Kind: penumbra.EventKind, Time: start, Type: "service", Source: "git:" + env, Action: "create",
				Resource: penumbra.Address(fmt.Sprintf("%s/service.s%02d", env, i)),
				Settings: penumbra.Settings{
					{Path: "cpu", Value: penumbra.Number(2)}, {Path: "image", Value: penumbra.String("v0")},
				},
			}
			all = append(all, o)
			for w := 1; w < weeks && i%3 == 0; w++ {
				o.Action, o.Time = "update", start.AddDate(0, 0, 7*w)
				o.Source = fmt.Sprintf("git:%s%d", env, w)
				o.Settings = penumbra.Settings{{Path: "image", Value: penumbra.String(fmt.Sprintf("v%d", w))}}
				all = append(all, o)
			}
		}
	}
	drifted := penumbra.Observation{
		Kind: penumbra.TemplateKind, Time: start, Type: "vm", Resource: "prod/vm.x",
		Settings: penumbra.Settings{{Path: "size", Value: penumbra.String("small")}},
	}
	all = append(all, drifted)
	drifted.Kind, drifted.Full = penumbra.SnapshotKind, true
	all = append(all, drifted)
	drifted.Time, drifted.Settings = start.AddDate(0, 0, 7*weeks), penumbra.Settings{{Path: "size", Value: penumbra.String("large")}}
	return append(all, drifted)
}

// write writes a timeline in two files, the second compressed, with a line that
// cannot be read.
func write(t testing.TB, all []penumbra.Observation) []string {
	t.Helper()
	folder := t.TempDir()
	var plain, packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	for i := range all {
		var to io.Writer = &plain
		if i%2 == 1 {
			to = z
		}
		if err := timeline.NewEncoder(to).Encode(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	plain.WriteString("no observation\n")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	names := []string{filepath.Join(folder, "a.jsonl"), filepath.Join(folder, "b.jsonl.gz")}
	for i, data := range [][]byte{plain.Bytes(), packed.Bytes()} {
		if err := os.WriteFile(names[i], data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func checkpoint(t testing.TB, m shadow.Model) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// scores reads what was written, by resource.
func scores(t *testing.T, folder string) map[penumbra.Address]beam.Scored {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "scores-*.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[penumbra.Address]beam.Scored{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		for d := json.NewDecoder(z); ; {
			var s beam.Scored
			if err := d.Decode(&s); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if _, twice := out[s.Resource]; twice {
				t.Errorf("%s was scored twice", s.Resource)
			}
			out[s.Resource] = s
		}
	}
	return out
}

// same holds scores to those that one process gives: probabilities to 1e-6,
// everything else exactly.
func same(t *testing.T, got, want beam.Scored) {
	t.Helper()
	if len(got.Forecasts) != len(want.Forecasts) || len(got.Expectations) != len(want.Expectations) {
		t.Fatalf("%s has %d forecasts and %d expectations, want %d and %d", want.Resource,
			len(got.Forecasts), len(got.Expectations), len(want.Forecasts), len(want.Expectations))
	}
	near := func(what string, x, y float64) {
		if !(math.Abs(x-y) <= 1e-6) {
			t.Errorf("%s %s: %v, want %v", want.Resource, what, x, y)
		}
	}
	for i := range want.Forecasts {
		for k := range want.Forecasts[i].Leave {
			near(want.Forecasts[i].Path, got.Forecasts[i].Leave[k], want.Forecasts[i].Leave[k])
		}
	}
	for i := range want.Expectations {
		x, y := &got.Expectations[i], &want.Expectations[i]
		if x.Path != y.Path || len(x.Values) != len(y.Values) || x.Novel != y.Novel {
			t.Errorf("%s: the set of %s is %v, want %v", want.Resource, y.Path, x, y)
			continue
		}
		near(y.Path+" novel", x.NovelProbability, y.NovelProbability)
		for k := range y.Values {
			if x.Values[k].Value != y.Values[k].Value {
				t.Errorf("%s: %s is expected to be %v, want %v", want.Resource, y.Path, x.Values[k].Value, y.Values[k].Value)
			}
			near(y.Path+" value", x.Values[k].Probability, y.Values[k].Probability)
		}
	}
	if len(got.Findings) != len(want.Findings) || got.NotChecked != want.NotChecked {
		t.Errorf("%s: %d findings, %q, want %d, %q", want.Resource, len(got.Findings), got.NotChecked, len(want.Findings), want.NotChecked)
	}
}

// scoredHere is what one process says of the whole fleet: one model, asked about
// resource after resource, each folded from the one history of all.
func scoredHere(m shadow.Model, all []penumbra.Observation, at time.Time) map[penumbra.Address]beam.Scored {
	by := map[penumbra.Address][]penumbra.Observation{}
	for _, o := range timeline.Order(all) {
		by[o.Resource] = append(by[o.Resource], o)
	}
	out := map[penumbra.Address]beam.Scored{}
	for a, past := range by {
		if s, ok := beam.ScoreResource(m, past, at, 0.95); ok {
			out[a] = s
		}
	}
	return out
}

func learnt(m shadow.Model, all []penumbra.Observation) shadow.Model {
	ordered := timeline.Order(all)
	for i := range ordered {
		m.Observe(&ordered[i])
	}
	return m
}

func TestScoresAreThoseOfOneProcess(t *testing.T) {
	all := fleet(9, 12)
	files := write(t, append(all, penumbra.Observation{
		Kind: penumbra.EventKind, Time: all[0].Time, Type: "vm", Source: "git:1", Action: "create", Resource: "prod/vm.secret",
		Settings: penumbra.Settings{{Path: "password", Value: penumbra.String("hunter2hunter2")}},
	}))
	at := all[len(all)-1].Time.Add(time.Hour)
	// The model knew nothing of the last snapshot when it was saved.
	m := learnt(shadow.NewPooled(shadow.Options{}), all[:len(all)-1])
	folder := t.TempDir()
	var told int64
	r := prism
	r.Progress = func(_ string, done int64) { told = done }
	result, err := beam.Score(context.Background(), beam.Scoring{Files: files, Checkpoint: checkpoint(t, m), At: at, Out: folder, Shards: 3}, r)
	if err != nil {
		t.Fatal(err)
	}
	if result.Observations != int64(len(all))+1 || result.LinesLeftOut != 1 {
		t.Errorf("read %+v, want %d and a line left out", result, len(all))
	}
	got := scores(t, folder)
	if told != int64(len(got)) || len(got) != 20 {
		t.Errorf("told of %d resources scored, %d were", told, len(got))
	}
	here := scoredHere(m, all, at)
	for a, want := range here {
		same(t, got[a], want)
	}
	weekly, still := got["prod/service.s00"], got["prod/service.s01"]
	if weekly.Leave[4] <= still.Leave[4] {
		t.Errorf("what moves weekly leaves with %v, what stands still with %v", weekly.Leave, still.Leave)
	}
	vm := got["prod/vm.x"]
	if !slices.ContainsFunc(vm.Findings, func(f penumbra.Finding) bool { return f.Path == "size" && f.Verdict == penumbra.Drifted }) {
		t.Errorf("the drift was not found: %+v", vm.Findings)
	}
	if text, _ := json.Marshal(got); strings.Contains(string(text), "hunter2") || !strings.Contains(string(text), penumbra.SecretPrefix) {
		t.Error("a password is in the scores, or is not sealed there")
	}
}

func TestTrainingAverages(t *testing.T) {
	files := write(t, fleet(24, 30))
	name := filepath.Join(t.TempDir(), "model")
	train := func() []byte {
		if _, err := beam.Train(context.Background(), beam.Training{Files: files, Out: name, Shards: 2, Rounds: 2, Seed: 1}, prism); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	first := train()
	m := mixture.New(mixture.Options{})
	if _, err := m.ReadFrom(bytes.NewReader(first)); err != nil {
		t.Fatal(err)
	}
	if m.Examples() == 0 || m.Resources() != 0 {
		t.Errorf("learnt from %v questions, knows %d resources", m.Examples(), m.Resources())
	}
	if !bytes.Equal(first, train()) {
		t.Error("the same training gave another model")
	}
}

func TestRefusals(t *testing.T) {
	ctx := context.Background()
	for name, err := range map[string]error{
		"no timeline": second(beam.Score(ctx, beam.Scoring{}, prism)),
		"no out":      second(beam.Train(ctx, beam.Training{Files: []string{"x"}}, prism)),
		"no runner":   second(beam.Train(ctx, beam.Training{Files: []string{"x"}, Out: "y"}, beam.Runner{Name: "dataflow"})),
		"no endpoint": second(beam.Train(ctx, beam.Training{Files: []string{"x"}, Out: "y"}, beam.Runner{Name: "spark"})),
	} {
		if penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second(_ beam.Result, err error) error { return err }
