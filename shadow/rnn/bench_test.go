package rnn

import (
	"context"
	"math/rand/v2"
	"testing"
)

// served is the shape that the benchmarks take: steps of 24 numbers and 12
// tokens, questions of 60 and 6, alternatives of 12 and 3.
var served = Config{Dense: 24, Query: 60, Alternative: 12, Seed: 1}

func servedStep(rng *rand.Rand) *Step {
	return &Step{Dense: normals(rng, served.Dense), Tokens: hashes(rng, 12)}
}

func servedQuestion(rng *rand.Rand) Question {
	q := Question{Dense: normals(rng, served.Query), Tokens: hashes(rng, 6)}
	for i := range q.Offset {
		q.Offset[i] = float32(rng.NormFloat64()) - 4
	}
	return q
}

// servedTape has one question for each step; half of the sequences are short,
// half have a length of 1 to 200.
func servedTape(b testing.TB, steps int, rng *rand.Rand) *Tape {
	tape := NewTape(served)
	for tape.Steps() < steps {
		s := tape.Open(nil)
		length := 1 + rng.IntN(200)
		if rng.IntN(2) == 0 {
			length = 1 + rng.IntN(10)
		}
		for range length {
			if err := tape.Step(s, servedStep(rng)); err != nil {
				b.Fatal(err)
			}
			q := servedQuestion(rng)
			number := must[int](b)(tape.Ask(s, &q))
			if err := tape.Answer(number, Outcome{Survived: 1 + rng.IntN(4), Happened: rng.IntN(50) == 0}); err != nil {
				b.Fatal(err)
			}
		}
	}
	return tape
}

func BenchmarkTrain(b *testing.B) {
	tape := servedTape(b, 50_000, rand.New(rand.NewPCG(1, 1)))
	n := stirred(b, served)
	for b.Loop() {
		if _, err := Train(context.Background(), n, tape, nil, Options{Epochs: 1}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(tape.Steps())*float64(b.N)/b.Elapsed().Seconds(), "steps/s")
}

func BenchmarkPredict(b *testing.B) {
	tape := servedTape(b, 50_000, rand.New(rand.NewPCG(1, 1)))
	n := stirred(b, served)
	for b.Loop() {
		if err := Predict(context.Background(), n, tape, func(int, *Answer, [2][]float32) {}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(tape.Questions())*float64(b.N)/b.Elapsed().Seconds(), "questions/s")
}

func BenchmarkStep(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	n, s, x := stirred(b, served), servedStep(rng), &Scratch{}
	state := make([]float32, n.Config().Hidden)
	b.ReportAllocs()
	for b.Loop() {
		n.Step(state, s, x)
	}
}

func BenchmarkAsk(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	n, q, x := stirred(b, served), servedQuestion(rng), &Scratch{}
	state := normals(rng, n.Config().Hidden)
	var a Answer
	b.ReportAllocs()
	for b.Loop() {
		n.Ask(state, &q, &a, x)
	}
}

func BenchmarkAskAll(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	n, x := stirred(b, served), &Scratch{}
	state := normals(rng, n.Config().Hidden)
	questions := make([]Question, 64)
	for i := range questions {
		questions[i] = servedQuestion(rng)
	}
	out := make([]Answer, len(questions))
	b.ReportAllocs()
	for b.Loop() {
		n.AskAll(state, questions, out, x)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(questions)), "ns/question")
}

func BenchmarkChoose(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	n, q, x := stirred(b, served), servedQuestion(rng), &Scratch{}
	state := normals(rng, n.Config().Hidden)
	alternatives := make([]Alternative, 20)
	for i := range alternatives {
		alternatives[i] = Alternative{Dense: normals(rng, served.Alternative), Tokens: hashes(rng, 3)}
	}
	out := make([]float32, len(alternatives))
	b.ReportAllocs()
	for b.Loop() {
		n.Choose(state, &q, Value, alternatives, out, x)
	}
}

// An update of 32 tapes of the last step and one question, half of them new.
func BenchmarkLearner(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	l := NewLearner(stirred(b, served), LearnerOptions{})
	tapes := make([]*Tape, 1024)
	for i := range tapes {
		t := NewTape(served)
		s := t.Open(normals(rng, l.net.config.Hidden))
		q := servedQuestion(rng)
		record(b, t.Step(s, servedStep(rng)))
		record(b, t.Answer(must[int](b)(t.Ask(s, &q)), Outcome{Survived: rng.IntN(4), Happened: true}))
		tapes[i] = t
	}
	b.ReportAllocs()
	learnt := 0.0
	for i := 0; b.Loop(); i++ {
		for k := range l.options.Batch / 2 {
			record(b, l.Add(tapes[(i*l.options.Batch/2+k)%len(tapes)]))
		}
		loss, err := l.Update()
		record(b, err)
		learnt += loss.Hazard.Weight
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/learnt, "ns/question")
}
