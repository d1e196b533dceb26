package rnn

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
)

const headerSize = len(checkpointMagic) + envelope.Header

func written(t testing.TB, n *Network) []byte {
	t.Helper()
	var b bytes.Buffer
	size, err := n.WriteTo(&b)
	if err != nil || size != int64(b.Len()) {
		t.Fatalf("wrote %d of %d bytes: %v", size, b.Len(), err)
	}
	return b.Bytes()
}

// sealed is data with the right length and checksum in place of its own, if it
// is long enough to have them.
func sealed(data []byte) []byte {
	if len(data) < headerSize+sha256.Size {
		return data
	}
	body := bytes.Clone(data[:len(data)-sha256.Size])
	binary.LittleEndian.PutUint64(body[headerSize-8:], uint64(len(body)-headerSize))
	sum := sha256.Sum256(body)
	return append(body, sum[:]...)
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	n := stirred(t, small)
	data := written(t, n)
	var read Network
	size, err := read.ReadFrom(bytes.NewReader(data))
	if err != nil || size != int64(len(data)) {
		t.Fatalf("read %d of %d bytes: %v", size, len(data), err)
	}
	if !reflect.DeepEqual(&read, n) {
		t.Error("what was read differs from what was written")
	}
	if !bytes.Equal(written(t, &read), data) {
		t.Error("what was read is written differently")
	}
}

func TestCheckpointRefuses(t *testing.T) {
	t.Parallel()
	data := written(t, stirred(t, small))
	edit := func(at int, with ...byte) []byte {
		out := bytes.Clone(data)
		copy(out[at:], with)
		return sealed(out)
	}
	payload := headerSize
	params := payload + binary.Size(shape{})
	cases := map[string][]byte{
		"nothing":           nil,
		"text":              []byte("{}"),
		"another model":     append([]byte("penumbra pooled\n"), data[16:]...),
		"a newer version":   edit(16, 2),
		"an older version":  edit(16, 0),
		"half":              data[:len(data)/2],
		"half, sealed":      sealed(data[:len(data)/2]),
		"a byte more":       append(bytes.Clone(data), 0),
		"no shape":          sealed(append(append(bytes.Clone(data[:20]), make([]byte, 8)...), make([]byte, 32)...)),
		"another shape":     edit(payload, 4),
		"a huge shape":      edit(payload, 255, 255, 255, 255),
		"rows of no power":  edit(payload+12, 17),
		"fewer horizons":    edit(payload+28, 4),
		"fewer levels":      edit(payload+32, 9),
		"a NaN":             edit(params, binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN())))...),
		"an infinite value": edit(params+8, binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.Inf(-1))))...),
	}
	for name, c := range cases {
		n := stirred(t, Config{Dense: 1, Rows: 2, Seed: 3})
		before := n.Clone()
		if _, err := n.ReadFrom(bytes.NewReader(c)); penumbra.KindOf(err) != penumbra.Damaged {
			t.Errorf("%s: the error is %v", name, err)
		}
		if !reflect.DeepEqual(n, before) {
			t.Errorf("%s: the network changed", name)
		}
	}
	for i := range data {
		broken := bytes.Clone(data)
		broken[i] ^= 1
		if _, err := Read(bytes.NewReader(broken)); penumbra.KindOf(err) != penumbra.Damaged {
			t.Fatalf("byte %d flipped: the error is %v", i, err)
		}
	}
}

func TestCheckpointPassesErrorsOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	if _, err := Read(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
	if _, err := stirred(t, small).WriteTo(failing{broken}); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Whatever is read is refused as damaged, or is a network that is written the
// same way. The checksum is put right, so that the rest is reached.
func FuzzReadFrom(f *testing.F) {
	data := written(f, stirred(f, Config{Dense: 1, Query: 1, Alternative: 1, Rows: 2, Embed: 1, Hidden: 1, Width: 1}))
	f.Add(data)
	f.Add(data[:len(data)-40])
	f.Add([]byte(checkpointMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		data = sealed(data)
		n, err := Read(bytes.NewReader(data))
		if err != nil {
			if penumbra.KindOf(err) != penumbra.Damaged {
				t.Errorf("the error is %v", err)
			}
			return
		}
		if !bytes.Equal(written(t, n), data) {
			t.Error("what was read is written differently")
		}
	})
}

func TestTapeKeepsThroughBytes(t *testing.T) {
	t.Parallel()
	n := stirred(t, small)
	for _, lengths := range [][]int{nil, {0}, {4, 0, 9, 1}} {
		tape := mixed(t, small, rand.New(rand.NewPCG(1, 4)), lengths...)
		data := must[[]byte](t)(tape.MarshalBinary())
		read := mixed(t, small, rand.New(rand.NewPCG(2, 4)), 3)
		record(t, read.UnmarshalBinary(data))
		if again := must[[]byte](t)(read.MarshalBinary()); !bytes.Equal(again, data) {
			t.Error("what was read is written differently")
		}
		want, g := gradientOf(n, tape, 5)
		if got, h := gradientOf(n, read, 5); got != want || !reflect.DeepEqual(g, h) {
			t.Errorf("the loss is %v, want %v", got, want)
		}
		for cut := range data {
			kept := *read
			if err := read.UnmarshalBinary(data[:cut]); penumbra.KindOf(err) != penumbra.Damaged {
				t.Fatalf("cut to %d bytes: the error is %v", cut, err)
			}
			if !reflect.DeepEqual(len(kept.asked), len(read.asked)) {
				t.Fatal("the tape changed")
			}
		}
	}
}

// Whatever is read is refused as damaged, or is a tape that is written the same
// way and that a network can learn from.
func FuzzUnmarshalTape(f *testing.F) {
	c := Config{Dense: 1, Query: 1, Alternative: 1, Rows: 2, Embed: 1, Hidden: 1, Width: 1}
	n := stirred(f, c)
	f.Add([]byte{})
	for _, lengths := range [][]int{{0}, {2, 1}} {
		f.Add(must[[]byte](f)(mixed(f, c, rand.New(rand.NewPCG(1, 4)), lengths...).MarshalBinary()))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var tape Tape
		if err := tape.UnmarshalBinary(data); err != nil {
			if penumbra.KindOf(err) != penumbra.Damaged {
				t.Errorf("the error is %v", err)
			}
			return
		}
		if again := must[[]byte](t)(tape.MarshalBinary()); !bytes.Equal(again, data) {
			t.Error("what was read is written differently")
		}
		if tape.fits(n.config) == nil {
			gradientOf(n, &tape, 2)
		}
	})
}

// A learner that is read back goes on as the one that was written, wherever its
// store stood.
func TestLearnerGoesOn(t *testing.T) {
	t.Parallel()
	for _, added := range []int{0, 3, 20, 33} {
		rng := rand.New(rand.NewPCG(3, 4))
		options := LearnerOptions{Capacity: 20, Batch: 8, Seed: 5}
		one := NewLearner(stirred(t, small), options)
		feed := func(l *Learner, rng *rand.Rand, count int) {
			for i := range count {
				record(t, l.Add(mixed(t, small, rng, 3, 1)))
				if i%3 == 0 {
					must[Loss](t)(l.Update())
				}
			}
		}
		feed(one, rng, added)
		var b bytes.Buffer
		must[int64](t)(one.WriteTo(&b))
		data := bytes.Clone(b.Bytes())
		two := NewLearner(stirred(t, Config{Dense: 1, Rows: 2}), options)
		must[int64](t)(two.ReadFrom(&b))
		if one.Kept() != two.Kept() || one.Fresh() != two.Fresh() {
			t.Errorf("after %d: %d kept and %d fresh, read back %d and %d", added, one.Kept(), one.Fresh(), two.Kept(), two.Fresh())
		}
		must[int64](t)(two.WriteTo(&b))
		if !bytes.Equal(b.Bytes(), data) {
			t.Errorf("after %d: what was read is written differently", added)
		}
		feed(one, rand.New(rand.NewPCG(4, 4)), 30)
		feed(two, rand.New(rand.NewPCG(4, 4)), 30)
		if !slices.Equal(one.net.params, two.net.params) {
			t.Errorf("after %d: it goes on otherwise", added)
		}
	}
}

func TestLearnerReadFromRefuses(t *testing.T) {
	t.Parallel()
	options := LearnerOptions{Capacity: 5}
	l := NewLearner(stirred(t, small), options)
	for range 5 {
		record(t, l.Add(mixed(t, small, rand.New(rand.NewPCG(5, 4)), 3)))
	}
	must[Loss](t)(l.Update())
	var b bytes.Buffer
	must[int64](t)(l.WriteTo(&b))
	data := b.Bytes()
	foreign := sealed(append(append([]byte(learnerMagic), data[16:40]...), make([]byte, 60)...))
	cases := [][]byte{nil, written(t, l.net), sealed(append(bytes.Clone(data), 0)), data[:len(data)-1], foreign}
	for i := headerSize; i < len(data); i += 97 {
		broken := bytes.Clone(data)
		broken[i] ^= 4
		cases = append(cases, broken, sealed(data[:i]))
	}
	before := l.Network()
	for i, c := range cases {
		if _, err := l.ReadFrom(bytes.NewReader(c)); penumbra.KindOf(err) != penumbra.Damaged {
			t.Errorf("case %d: the error is %v", i, err)
		}
	}
	if !slices.Equal(l.Network().params, before.params) || l.Kept() != 5 {
		t.Error("the learner changed")
	}
	broken := errors.New("broken")
	if _, err := l.ReadFrom(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}

	fewer := NewLearner(stirred(t, small), LearnerOptions{Capacity: 2})
	must[int64](t)(fewer.ReadFrom(bytes.NewReader(data)))
	if fewer.Kept() != 2 || fewer.kept[1].Questions() != l.kept[4].Questions() {
		t.Errorf("%d tapes are kept, want the newest 2", fewer.Kept())
	}
	must[Loss](t)(fewer.Update())
}

// As FuzzReadFrom, for a learner; one that is read can learn.
func FuzzLearnerReadFrom(f *testing.F) {
	c := Config{Dense: 1, Query: 1, Alternative: 1, Rows: 2, Embed: 1, Hidden: 1, Width: 1}
	l := NewLearner(stirred(f, c), LearnerOptions{})
	var b bytes.Buffer
	for i := range 3 {
		b.Reset()
		must[int64](f)(l.WriteTo(&b))
		f.Add(bytes.Clone(b.Bytes()))
		record(f, l.Add(mixed(f, c, rand.New(rand.NewPCG(uint64(i), 4)), 2, 1)))
		must[Loss](f)(l.Update())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = sealed(data)
		l := NewLearner(stirred(t, c), LearnerOptions{})
		if _, err := l.ReadFrom(bytes.NewReader(data)); err != nil {
			if penumbra.KindOf(err) != penumbra.Damaged {
				t.Errorf("the error is %v", err)
			}
			return
		}
		if _, err := l.Update(); err != nil && penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("the error of an update is %v", err)
		}
	})
}
