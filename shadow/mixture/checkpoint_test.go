package mixture_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
)

// history is an estate of so many days with a metric now and then.
func history(days int) []*penumbra.Observation {
	var all []*penumbra.Observation
	n := 0
	estate(days, func(o *penumbra.Observation) {
		all = append(all, o)
		if n++; n%7 == 0 {
			all = append(all, &penumbra.Observation{
				Kind: penumbra.MetricKind, Time: o.Time.Add(time.Minute), Resource: o.Resource, Type: o.Type,
				Metrics: []penumbra.Metric{{Name: "cpu", Value: float64(n % 13)}},
			})
		}
	})
	slices.SortStableFunc(all, func(a, b *penumbra.Observation) int { return a.Time.Compare(b.Time) })
	return all
}

func written(tb testing.TB, m *mixture.Model) []byte {
	tb.Helper()
	var b bytes.Buffer
	n, err := m.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		tb.Fatalf("wrote %d of %d bytes: %v", n, b.Len(), err)
	}
	return b.Bytes()
}

// TestReadBackGoesOn holds a model that is read back to what the one that was
// written goes on to say, questions that were open at the time included.
func TestReadBackGoesOn(t *testing.T) {
	t.Parallel()
	all := history(160)
	half := len(all) * 3 / 5
	a := mixture.New(mixture.Options{Seed: 3})
	for _, o := range all[:half] {
		a.Observe(o)
	}
	b := mixture.New(mixture.Options{Seed: 9, Looks: 5})
	if n, err := b.ReadFrom(bytes.NewReader(written(t, a))); err != nil || n == 0 {
		t.Fatal(err)
	}
	for _, o := range all[half:] {
		a.Observe(o)
		b.Observe(o)
	}
	at := all[len(all)-1].Time.Add(time.Hour)
	for i := range 5 {
		r := resource("prod", i)
		if x, y := fmt.Sprint(a.Choose(r, "image", at), a.ChooseSet(r, "image", at, 0.9), a.Next(r, at, 3)), fmt.Sprint(b.Choose(r, "image", at), b.ChooseSet(r, "image", at, 0.9), b.Next(r, at, 3)); x != y {
			t.Fatalf("read back it chooses\n%s\nnot\n%s", y, x)
		}
		undeclared := *r
		undeclared.Template, undeclared.Actual = nil, r.Template
		if x, y := fmt.Sprint(a.Expect(&undeclared, at, 0.9)), fmt.Sprint(b.Expect(&undeclared, at, 0.9)); x != y {
			t.Fatalf("read back it expects\n%s\nnot\n%s", y, x)
		}
		if x, y := fmt.Sprint(a.Forecast(r, at), a.Expect(r, at, 0.9)), fmt.Sprint(b.Forecast(r, at), b.Expect(r, at, 0.9)); x != y {
			t.Fatalf("read back it says\n%s\nnot\n%s", y, x)
		}
	}
	if x, y := written(t, a), written(t, b); !bytes.Equal(x, y) {
		t.Error("the same state gave different bytes")
	}
}

func small(tb testing.TB) *mixture.Model {
	tb.Helper()
	m := mixture.New(mixture.Options{Seed: 3, Looks: 20})
	for _, o := range history(70) {
		m.Observe(o)
	}
	return m
}

// reworked returns a checkpoint whose sections were changed and that is whole.
func reworked(tb testing.TB, good []byte, change func(sections map[string][]any)) []byte {
	tb.Helper()
	const magic = "penumbra mixture"
	payload, err := envelope.Open(magic, 1, good)
	if err != nil {
		tb.Fatal(err)
	}
	var sections map[string][]any
	if err := cbor.Unmarshal(payload, &sections); err != nil {
		tb.Fatal(err)
	}
	change(sections)
	if payload, err = cbor.Marshal(sections); err != nil {
		tb.Fatal(err)
	}
	return envelope.Seal(magic, 1, payload)
}

func TestDamagedCheckpointIsRefused(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	m := small(t)
	good := written(t, m)
	bad := map[string][]byte{
		"empty": nil, "foreign": []byte("{}"), "short": good[:len(good)-1], "long": append(bytes.Clone(good), 0),
		"unknown and required": reworked(t, good, func(s map[string][]any) { s["oracle"] = []any{true, []byte{1}} }),
		"without its counts":   reworked(t, good, func(s map[string][]any) { delete(s, "counts") }),
	}
	for _, name := range []string{"options", "counts", "experts", "network", "learner", "memories", "questions", "values", "next", "durations", "departures", "sets"} {
		bad["cut "+name] = reworked(t, good, func(s map[string][]any) {
			data := s[name][1].([]byte)
			s[name][1] = data[:len(data)/2]
		})
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 10 {
		i := random.IntN(len(good))
		b := bytes.Clone(good)
		b[i] ^= 1 << random.IntN(8)
		bad[fmt.Sprint("bit of byte ", i)] = b
	}
	for name, data := range bad {
		if _, err := m.ReadFrom(bytes.NewReader(data)); penumbra.KindOf(err) != penumbra.Damaged {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(written(t, m), good) {
			t.Fatalf("%s: the state did not stay as it was", name)
		}
	}
}

// TestOtherProgramsSections skips what need not be known, and starts afresh
// what is missing and need not be there.
func TestOtherProgramsSections(t *testing.T) {
	t.Parallel()
	good := written(t, small(t))
	m := mixture.New(mixture.Options{})
	added := reworked(t, good, func(s map[string][]any) { s["oracle"] = []any{false, []byte{1}} })
	if _, err := m.ReadFrom(bytes.NewReader(added)); err != nil {
		t.Errorf("with a section that may be skipped: %v", err)
	}
	if !bytes.Equal(written(t, m), good) {
		t.Error("a section that was skipped left a trace")
	}
	less := reworked(t, good, func(s map[string][]any) {
		for _, name := range []string{"learner", "memories", "questions", "values", "next", "durations", "departures", "sets"} {
			delete(s, name)
		}
	})
	if _, err := m.ReadFrom(bytes.NewReader(less)); err != nil {
		t.Errorf("without sections that may be missing: %v", err)
	}
	m.Forecast(resource("prod", 0), begin.Add(100*24*time.Hour))
}

// TestNewExpertStartsFresh reads a checkpoint of a program that lacked an
// expert, and one of a program that had another.
func TestNewExpertStartsFresh(t *testing.T) {
	t.Parallel()
	older := reworked(t, written(t, small(t)), func(s map[string][]any) {
		var x map[string]any
		if err := cbor.Unmarshal(s["experts"][1].([]byte), &x); err != nil {
			t.Fatal(err)
		}
		delete(x["Learnt"].(map[any]any), "tempered logistic")
		w := x["Weights"].(map[any]any)
		w["oracle"] = w["tempered logistic"]
		delete(w, "tempered logistic")
		data, err := cbor.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		s["experts"][1] = data
	})
	m := mixture.New(mixture.Options{})
	if _, err := m.ReadFrom(bytes.NewReader(older)); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, w := range m.Weights() {
		sum += w
		if mixture.Experts[i] == "tempered logistic" && w != 1.0/float64(len(mixture.Experts)) {
			t.Errorf("the new expert begins with the weight %v", w)
		}
	}
	if sum < 1-1e-9 || sum > 1+1e-9 {
		t.Errorf("the weights sum to %v", sum)
	}
}

// TestKnowledgeGoesElsewhere holds what is taken to another estate: it says
// something there, and names nothing of where it was learnt.
func TestKnowledgeGoesElsewhere(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	m := mixture.New(mixture.Options{Seed: 1})
	for _, o := range history(300) {
		m.Observe(o)
	}
	var b bytes.Buffer
	if _, err := m.WriteKnowledge(&b); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"service", "image", "e/dev", "prod", "v12"} {
		if strings.Contains(b.String(), name) {
			t.Errorf("what was learnt names %q", name)
		}
	}
	other, err := mixture.NewFrom(b.Bytes(), mixture.Options{Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(other.Weights()), fmt.Sprint(m.Weights()); got != want {
		t.Errorf("the weights are %s, were %s", got, want)
	}
	if diff := cmp.Diff(0, other.Resources()); diff != "" {
		t.Error("it knows resources:", diff)
	}
	if _, err := mixture.NewFrom(b.Bytes()[:b.Len()-1], mixture.Options{}); penumbra.KindOf(err) != penumbra.Damaged {
		t.Errorf("cut short: %v", err)
	}
}

func FuzzReadFrom(f *testing.F) {
	good := written(f, small(f))
	payload, err := envelope.Open("penumbra mixture", 1, good)
	if err != nil {
		f.Fatal(err)
	}
	var sections map[string][]any
	if err := cbor.Unmarshal(payload, &sections); err != nil {
		f.Fatal(err)
	}
	for name, s := range sections {
		f.Add(name, s[1].([]byte))
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if sections[name] == nil {
			return
		}
		m := mixture.New(mixture.Options{Looks: 20})
		changed := reworked(t, good, func(s map[string][]any) { s[name][1] = data })
		if _, err := m.ReadFrom(bytes.NewReader(changed)); err != nil {
			if penumbra.KindOf(err) != penumbra.Damaged {
				t.Fatal(err)
			}
			return
		}
		// Whatever was read can go on.
		o := history(2)[0]
		o.Time = begin.Add(200 * 24 * time.Hour)
		m.Observe(o)
		m.Forecast(resource("prod", 0), o.Time)
		written(t, m)
	})
}
