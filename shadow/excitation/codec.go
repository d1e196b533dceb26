package excitation

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/penumbra-iac/penumbra"
)

// MarshalBinary returns what was learnt: the numbers of intervals and of
// sources (4 bytes each), then in double precision, interval by interval, the
// logarithm of each source's coefficient, and in the same way the sums of
// squared gradients; all little-endian. There is no checksum: the model is part
// of something larger.
func (m *Model) MarshalBinary() ([]byte, error) {
	data := binary.LittleEndian.AppendUint32(nil, uint32(Horizons))
	data = binary.LittleEndian.AppendUint32(data, uint32(Sources))
	return binary.Append(data, binary.LittleEndian, &m.state)
}

// UnmarshalBinary replaces what was learnt by what MarshalBinary wrote. It
// returns an error of kind Damaged, and leaves the model as it was, if the data
// is not of as many intervals and sources.
func (m *Model) UnmarshalBinary(data []byte) error {
	var fresh state
	err := fresh.read(data)
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Damaged, What: "read an excitation", Remedy: "learn it again", Err: err}
	}
	m.state = fresh
	return nil
}

func (s *state) read(data []byte) error {
	if len(data) != 8+binary.Size(s) {
		return fmt.Errorf("it has %d bytes", len(data))
	}
	if h, n := binary.LittleEndian.Uint32(data), binary.LittleEndian.Uint32(data[4:]); h != uint32(Horizons) || n != Sources {
		return fmt.Errorf("it has %d intervals and %d sources, this program %d and %d", h, n, Horizons, Sources)
	}
	if _, err := binary.Decode(data[8:], binary.LittleEndian, s); err != nil {
		return err
	}
	for k := range s.Log {
		for i, x := range s.Log[k] {
			// Beyond this a coefficient is zero or without end.
			if y := s.Squares[k][i]; math.IsNaN(x) || math.Abs(x) > 700 || !(y >= 0) || math.IsInf(y, 0) {
				return fmt.Errorf("a coefficient is %v, with %v behind it", x, y)
			}
		}
	}
	return nil
}
