package logkeys

import (
	"bytes"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
)

const headerSize = len(checkpointMagic) + envelope.Header

// TestCheckpointGoesOn compares a model with its copy, then both after more.
func TestCheckpointGoesOn(t *testing.T) {
	t.Parallel()
	m, r := learnt(t, 777, Options{Calibration: 300, Contexts: 3000})
	data, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var same Model[string]
	if err := same.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		s := request(r)
		if a, b := m.Score(s), same.Score(s); a.P != b.P || a.Worst.String() != b.Worst.String() {
			t.Fatalf("%v, then %v", a, b)
		}
		m.Learn(s)
		same.Learn(s)
	}
	a, _ := m.MarshalBinary()
	b, _ := same.MarshalBinary()
	if !bytes.Equal(a, b) {
		t.Error("the two went different ways")
	}
}

func TestEmptyCheckpoint(t *testing.T) {
	t.Parallel()
	data, err := New[uint32](Options{}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var m Model[uint32]
	if err := m.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	m.Learn([]uint32{1})
}

func TestDamagedCheckpoint(t *testing.T) {
	t.Parallel()
	m, _ := learnt(t, 50, Options{})
	good, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, data []byte, err error) {
		t.Helper()
		if penumbra.KindOf(err) != penumbra.Damaged {
			t.Errorf("%s: %d bytes were taken: %v", name, len(data), err)
		}
	}
	for _, at := range []int{0, len(checkpointMagic), headerSize - 1, headerSize + 5, len(good) / 2, len(good) - 1} {
		data := bytes.Clone(good)
		data[at] ^= 1
		refused("a bit turned", data, m.UnmarshalBinary(data))
	}
	for _, n := range []int{0, 10, headerSize, len(good) - 1} {
		refused("cut short", good[:n], m.UnmarshalBinary(good[:n]))
	}
	var other Model[uint32]
	refused("other keys", good, other.UnmarshalBinary(good))
	if m.Sessions() != 50 {
		t.Errorf("the model has %d sessions after it refused", m.Sessions())
	}
}

// FuzzPayload reads payloads past the checksum: an error, or a model that answers
// and learns.
func FuzzPayload(f *testing.F) {
	m, _ := learnt(f, 8, Options{Depth: 2, Calibration: 4, Contexts: 1024, Keys: 8})
	good, err := m.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	payload, err := envelope.Open(checkpointMagic, checkpointVersion, good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, err := decode[string](payload)
		if err != nil {
			return
		}
		s := []string{"open", "panic", "read", "read", "close"}
		if p := m.Score(s).P; !(p > 0 && p <= 1) {
			t.Errorf("p is %v", p)
		}
		m.Learn(s)
		m.Learn(s)
	})
}
