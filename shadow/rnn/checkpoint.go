package rnn

import (
	"fmt"
	"io"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
)

const (
	checkpointMagic   = "penumbra network"
	checkpointVersion = 1
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
func (n *Network) WriteTo(out io.Writer) (int64, error) {
	w := &wire{}
	w.network(n)
	return seal(out, checkpointMagic, w.data)
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
	payload, err := envelope.Open(checkpointMagic, checkpointVersion, data)
	var fresh Network
	w := &wire{reading: true, data: payload, err: err}
	w.network(&fresh)
	w.check(w.err != nil || len(w.data) == 0, "%d bytes are left over", len(w.data))
	if w.err != nil {
		return size, damaged("read the network", "train it again, or go back to an earlier version", w.err)
	}
	*n = fresh
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

func damaged(what, remedy string, err error) error {
	return &penumbra.Error{Kind: penumbra.Damaged, What: what, Remedy: remedy, Err: err}
}

func (w *wire) network(n *Network) {
	s := shapeOf(n.config)
	for _, x := range []*uint32{&s.Dense, &s.Query, &s.Alternative, &s.Rows, &s.Embed, &s.Hidden, &s.Width, &s.Horizons, &s.Levels} {
		w.uint32(x)
	}
	w.uint64(&s.Seed)
	if w.reading && w.err == nil {
		if n.config, w.err = s.config(); w.err != nil {
			return
		}
		if n.at = newLayout(n.config); len(w.data) < 4*n.at.size {
			w.fail("it ends too soon")
			return
		}
		n.params = make([]float32, n.at.size)
	}
	w.floatsOf(n.params)
}

// seal writes the payload in its envelope.
func seal(out io.Writer, magic string, payload []byte) (int64, error) {
	n, err := out.Write(envelope.Seal(magic, checkpointVersion, payload))
	if err != nil {
		return int64(n), fmt.Errorf("write checkpoint: %w", err)
	}
	return int64(n), nil
}
