package rnn

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/penumbra-iac/penumbra"
	"pgregory.net/rapid"
)

// Untrained, the network says what the offsets say, whatever it has seen.
func TestUntrainedIsTheOffset(t *testing.T) {
	t.Parallel()
	n := must[*Network](t)(New(small))
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		state := make([]float32, small.Hidden)
		x := &Scratch{}
		for range rapid.IntRange(0, 5).Draw(t, "steps") {
			n.Step(state, &Step{Dense: normals(rng, small.Dense), Tokens: hashes(rng, 3)}, x)
		}
		q := Question{Dense: normals(rng, small.Query), Tokens: hashes(rng, 2)}
		copy(q.Offset[:], normals(rng, Horizons))
		var a Answer
		n.Ask(state, &q, &a, x)
		if a.Hazard != q.Offset {
			t.Fatalf("the hazard is %v, the offset %v", a.Hazard, q.Offset)
		}
		alternatives := make([]Alternative, rapid.IntRange(1, 6).Draw(t, "alternatives"))
		sum := 0.0
		for i := range alternatives {
			alternatives[i] = Alternative{Dense: normals(rng, small.Alternative), Tokens: hashes(rng, 2), Offset: float32(rng.NormFloat64())}
			sum += math.Exp(float64(alternatives[i].Offset))
		}
		out := make([]float32, len(alternatives))
		n.Choose(state, &q, Next, alternatives, out, x)
		for i, p := range out {
			if want := math.Exp(float64(alternatives[i].Offset)) / sum; math.Abs(math.Exp(float64(p))-want) > 1e-5 {
				t.Fatalf("alternative %d has the probability %v, want %v", i, math.Exp(float64(p)), want)
			}
		}
	})
}

// Whatever is asked: probabilities rise with the horizon, quantiles with the
// level, and those of a choice sum to 1.
func TestAnswersAreLawful(t *testing.T) {
	t.Parallel()
	n := stirred(t, small)
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Float32Range(-1e4, 1e4)
		numbers := func(name string, count int) []float32 {
			return rapid.SliceOfN(number, count, count).Draw(t, name)
		}
		tokens := rapid.SliceOfN(rapid.Uint32(), 0, 5)
		state, x := make([]float32, small.Hidden), &Scratch{}
		n.Step(state, &Step{Dense: numbers("step", small.Dense), Tokens: tokens.Draw(t, "step tokens")}, x)
		for _, v := range state {
			if !(v >= -1 && v <= 1) {
				t.Fatalf("the state is %v", state)
			}
		}
		q := Question{Dense: numbers("question", small.Query), Tokens: tokens.Draw(t, "question tokens")}
		var a Answer
		n.Ask(state, &q, &a, x)
		within := a.Within()
		last := 0.0
		for _, p := range within {
			if !(p >= last && p <= 1) {
				t.Fatalf("the probabilities are %v", within)
			}
			last = p
		}
		if w := a.Quantiles(); !slices.IsSorted(w[:]) {
			t.Fatalf("the quantiles are %v", w)
		}
		alternatives := make([]Alternative, rapid.IntRange(0, 6).Draw(t, "alternatives"))
		for i := range alternatives {
			alternatives[i] = Alternative{Dense: numbers("alternative", small.Alternative), Offset: number.Draw(t, "offset")}
		}
		out := make([]float32, len(alternatives))
		n.Choose(state, &q, Value, alternatives, out, x)
		sum := 0.0
		for _, p := range out {
			sum += math.Exp(float64(p))
		}
		if len(out) > 0 && math.Abs(sum-1) > 1e-4 {
			t.Fatalf("the probabilities of a choice sum to %v", sum)
		}
	})
}

func TestServingDoesNotAllocate(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	n, x := stirred(t, served), &Scratch{}
	state, s, q := make([]float32, n.Config().Hidden), servedStep(rng), servedQuestion(rng)
	questions := []Question{q, q, q}
	alternatives := []Alternative{{Dense: normals(rng, served.Alternative)}, {Dense: normals(rng, served.Alternative), Tokens: hashes(rng, 2)}}
	answers, out := make([]Answer, len(questions)), make([]float32, len(alternatives))
	var a Answer
	serve := func() {
		n.Step(state, s, x)
		n.Ask(state, &q, &a, x)
		n.AskAll(state, questions, answers, x)
		n.Choose(state, &q, Value, alternatives, out, x)
	}
	serve()
	if got := testing.AllocsPerRun(100, serve); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestStateIsSmall(t *testing.T) {
	t.Parallel()
	for hidden, want := range map[int]int{0: 128, maxHidden: 2048} {
		n := must[*Network](t)(New(Config{Hidden: hidden, Rows: 1, Embed: 1, Width: 1}))
		if size := n.Config().Hidden * int(unsafe.Sizeof(float32(0))); size != want {
			t.Errorf("a state takes %d bytes, want %d", size, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"negative":    {Dense: -1},
		"no power":    {Rows: 100},
		"wide":        {Query: maxWidth + 1},
		"large state": {Hidden: maxHidden + 1},
		"too large":   {Rows: maxRows, Embed: maxWidth},
	} {
		if _, err := New(c); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

func TestTapeRefuses(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	tape := NewTape(Config{Dense: 1, Query: 1, Alternative: 1})
	s := tape.Open(nil)
	q := must[int](t)(tape.Ask(s, &Question{Dense: []float32{0}}))
	record(t, tape.Choose(q, Next, []Alternative{{Dense: []float32{0}}}, 0))
	asks := func(q Question) error {
		_, err := tape.Ask(s, &q)
		return err
	}
	for name, err := range map[string]error{
		"short step":           tape.Step(s, &Step{}),
		"step of NaN":          tape.Step(s, &Step{Dense: []float32{nan}}),
		"long question":        asks(Question{Dense: []float32{0, 0}}),
		"question of NaN":      asks(Question{Dense: []float32{nan}}),
		"offset of NaN":        asks(Question{Dense: []float32{0}, Offset: [Horizons]float32{nan}}),
		"negative weight":      tape.Weigh(q, -1),
		"weight of NaN":        tape.Weigh(q, nan),
		"survived too long":    tape.Answer(q, Outcome{Survived: Horizons + 1}),
		"after the last":       tape.Answer(q, Outcome{Survived: Horizons, Happened: true}),
		"survived negative":    tape.Answer(q, Outcome{Survived: -1}),
		"ratio of NaN":         tape.Size(q, nan),
		"no alternative":       tape.Choose(q, Value, nil, 0),
		"none of them":         tape.Choose(q, Value, []Alternative{{Dense: []float32{0}}}, 1),
		"short alternative":    tape.Choose(q, Value, []Alternative{{}}, 0),
		"alternative of NaN":   tape.Choose(q, Value, []Alternative{{Dense: []float32{0}, Offset: nan}}, 0),
		"chosen a second time": tape.Choose(q, Next, []Alternative{{Dense: []float32{0}}}, 0),
		"no such head":         tape.Choose(q, heads, []Alternative{{Dense: []float32{0}}}, 0),
	} {
		if penumbra.KindOf(err) != penumbra.Invalid || err == nil {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	if tape.Steps() != 0 || tape.Questions() != 1 || len(tape.scores) != 1 || len(tape.alternatives.ends) != 1 {
		t.Error("what was refused is on the tape")
	}
}

// A tape that is reset and recorded again is as good as new.
func TestTapeReset(t *testing.T) {
	t.Parallel()
	n := stirred(t, small)
	fill := func(tape *Tape) float64 {
		rng := rand.New(rand.NewPCG(1, 1))
		for range 3 {
			s := tape.Open(normals(rng, small.Hidden))
			record(t, tape.Step(s, &Step{Dense: normals(rng, small.Dense), Tokens: hashes(rng, 2)}))
			ask(t, tape, s, rng)
		}
		loss, _ := gradientOf(n, tape, 4)
		return loss
	}
	tape := mixed(t, small, rand.New(rand.NewPCG(2, 2)), 5, 3)
	tape.Reset()
	if tape.Sequences() != 0 || tape.Steps() != 0 || tape.Questions() != 0 {
		t.Error("it is not empty")
	}
	if again, fresh := fill(tape), fill(NewTape(small)); again != fresh {
		t.Errorf("the loss is %v, on a new tape %v", again, fresh)
	}
}

// Tokens are used by their lowest bits and their highest: both have to be
// spread evenly, and fields kept apart.
func TestTokensAreMixed(t *testing.T) {
	t.Parallel()
	const rows, count = 64, 64 * 400
	var in [rows]int
	signs := 0
	for i := range count {
		h := Token("path", "setting_"+string(rune('a'+i%26))+"."+string(rune(0x4e00+i)))
		in[h%rows]++
		signs += int(h >> 31)
	}
	// A standard deviation is about 20 in a row and 80 in the signs.
	for r, n := range in {
		if n < 280 || n > 520 {
			t.Errorf("row %d has %d of %d tokens", r, n, count)
		}
	}
	if signs < count/2-400 || signs > count/2+400 {
		t.Errorf("%d of %d are negative", signs, count)
	}
	if Token("ab", "c") == Token("a", "bc") || Token("a", "") == Token("", "a") {
		t.Error("fields run together")
	}
}
