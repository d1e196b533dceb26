package rnn

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/penumbra-iac/penumbra"
)

const (
	checkpointMagic   = "penumbra network"
	checkpointVersion = 1
	headerSize        = len(checkpointMagic) + 4 + 8
)

// shape is the first part of the payload.
type shape struct {
	Dense, Query, Alternative, Rows, Embed, Hidden, Width uint32
	Horizons, Levels                                      uint32
	Seed                                                  uint64
}

func shapeOf(c Config) shape {
	return shape{
		Dense: uint32(c.Dense), Query: uint32(c.Query), Alternative: uint32(c.Alternative), Rows: uint32(c.Rows),
		Embed: uint32(c.Embed), Hidden: uint32(c.Hidden), Width: uint32(c.Width),
		Horizons: uint32(Horizons), Levels: uint32(quantiles), Seed: c.Seed,
	}
}

func (s shape) config() (Config, error) {
	if s.Horizons != uint32(Horizons) || s.Levels != uint32(quantiles) {
		return Config{}, fmt.Errorf("it has %d horizons and %d levels, this program %d and %d", s.Horizons, s.Levels, Horizons, quantiles)
	}
	c := Config{
		Dense: int(s.Dense), Query: int(s.Query), Alternative: int(s.Alternative), Rows: int(s.Rows),
		Embed: int(s.Embed), Hidden: int(s.Hidden), Width: int(s.Width), Seed: s.Seed,
	}
	return c, c.check()
}

// WriteTo writes the shape and the parameters, see format.md. The same network
// gives the same bytes.
func (n *Network) WriteTo(w io.Writer) (int64, error) {
	s := shapeOf(n.config)
	data := make([]byte, 0, headerSize+binary.Size(s)+4*len(n.params)+sha256.Size)
	data = append(data, checkpointMagic...)
	data = binary.LittleEndian.AppendUint32(data, checkpointVersion)
	data = binary.LittleEndian.AppendUint64(data, uint64(binary.Size(s)+4*len(n.params)))
	data, err := binary.Append(data, binary.LittleEndian, s)
	if err != nil {
		return 0, fmt.Errorf("write network: %w", err)
	}
	for _, p := range n.params {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(p))
	}
	sum := sha256.Sum256(data)
	written, err := w.Write(append(data, sum[:]...))
	if err != nil {
		return int64(written), fmt.Errorf("write network: %w", err)
	}
	return int64(written), nil
}

// ReadFrom replaces shape and parameters by those that WriteTo wrote. It
// returns an error of kind Damaged, and leaves the network as it was, if the
// data is not a whole network of a version that it knows.
func (n *Network) ReadFrom(r io.Reader) (int64, error) {
	data, err := io.ReadAll(r)
	size := int64(len(data))
	if err != nil {
		return size, fmt.Errorf("read network: %w", err)
	}
	fresh, err := decode(data)
	if err != nil {
		return size, &penumbra.Error{
			Kind:   penumbra.Damaged,
			What:   "read the network",
			Remedy: "train it again with `penumbra train`, or go back to an earlier version",
			Err:    err,
		}
	}
	*n = *fresh
	return size, nil
}

// Read returns the network that WriteTo wrote. It returns an error of kind
// Damaged as [Network.ReadFrom].
func Read(r io.Reader) (*Network, error) {
	var n Network
	if _, err := n.ReadFrom(r); err != nil {
		return nil, err
	}
	return &n, nil
}

func decode(data []byte) (*Network, error) {
	payload, err := checkEnvelope(data)
	if err != nil {
		return nil, err
	}
	var s shape
	used, err := binary.Decode(payload, binary.LittleEndian, &s)
	if err != nil {
		return nil, fmt.Errorf("its shape is cut short")
	}
	c, err := s.config()
	if err != nil {
		return nil, err
	}
	n := &Network{config: c, at: newLayout(c)}
	if payload = payload[used:]; len(payload) != 4*n.at.size {
		return nil, fmt.Errorf("it has %d bytes of parameters, its shape has %d", len(payload), 4*n.at.size)
	}
	n.params = make([]float32, n.at.size)
	for i := range n.params {
		n.params[i] = math.Float32frombits(binary.LittleEndian.Uint32(payload[4*i:]))
		if !finite(n.params[i]) {
			return nil, fmt.Errorf("parameter %d is %v", i, n.params[i])
		}
	}
	return n, nil
}

// checkEnvelope returns the payload.
func checkEnvelope(data []byte) ([]byte, error) {
	if len(data) < headerSize+sha256.Size || string(data[:len(checkpointMagic)]) != checkpointMagic {
		return nil, fmt.Errorf("this is no network")
	}
	head := data[len(checkpointMagic):]
	if v := binary.LittleEndian.Uint32(head); v != checkpointVersion {
		return nil, fmt.Errorf("it has version %d, this program knows %d", v, checkpointVersion)
	}
	body, sum := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	if binary.LittleEndian.Uint64(head[4:]) != uint64(len(body)-headerSize) {
		return nil, fmt.Errorf("it is cut short")
	}
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil, fmt.Errorf("the checksum does not match")
	}
	return body[headerSize:], nil
}
