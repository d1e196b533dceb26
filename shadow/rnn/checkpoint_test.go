package rnn

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"testing"
	"testing/iotest"

	"github.com/penumbra-iac/penumbra"
)

func written(t testing.TB, n *Network) []byte {
	t.Helper()
	var b bytes.Buffer
	size, err := n.WriteTo(&b)
	if err != nil || size != int64(b.Len()) {
		t.Fatalf("wrote %d of %d bytes: %v", size, b.Len(), err)
	}
	return b.Bytes()
}

// sealed is data with another checksum, the right one.
func sealed(data []byte) []byte {
	body := data[:len(data)-sha256.Size]
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
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
		if len(data) > sha256.Size {
			data = sealed(data)
		}
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
