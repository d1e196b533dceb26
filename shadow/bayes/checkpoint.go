package bayes

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

const (
	checkpointMagic   = "penumbra bayes 1\n"
	checkpointVersion = 1
	headerSize        = len(checkpointMagic) + 4 + 8 + 8
)

// WriteTo writes the whole state, see format.md. The same state gives the same
// bytes.
func (m *Model) WriteTo(w io.Writer) (int64, error) {
	var pooled bytes.Buffer
	if _, err := m.pooled.WriteTo(&pooled); err != nil {
		return 0, err
	}
	own, err := json.Marshal(&m.state)
	if err != nil {
		return 0, fmt.Errorf("write checkpoint: %w", err)
	}
	data := []byte(checkpointMagic)
	data = binary.LittleEndian.AppendUint32(data, checkpointVersion)
	data = binary.LittleEndian.AppendUint64(data, uint64(pooled.Len()))
	data = binary.LittleEndian.AppendUint64(data, uint64(len(own)))
	data = append(append(data, pooled.Bytes()...), own...)
	sum := sha256.Sum256(data)
	n, err := w.Write(append(data, sum[:]...))
	if err != nil {
		return int64(n), fmt.Errorf("write checkpoint: %w", err)
	}
	return int64(n), nil
}

// ReadFrom replaces the state by one that WriteTo wrote. The options stay. It
// returns an error of kind Damaged, and leaves the state as it was, if the data
// is not a whole checkpoint of this model and of a version that it knows.
func (m *Model) ReadFrom(r io.Reader) (int64, error) {
	data, err := io.ReadAll(r)
	n := int64(len(data))
	if err != nil {
		return n, fmt.Errorf("read checkpoint: %w", err)
	}
	first, second, err := checkEnvelope(data)
	if err != nil {
		return n, damaged(err)
	}
	pooled := shadow.NewPooled(m.opts.Pooled)
	if _, err := pooled.ReadFrom(bytes.NewReader(first)); err != nil {
		return n, err
	}
	own := newState()
	if err := json.Unmarshal(second, &own); err != nil {
		return n, damaged(err)
	}
	if err := own.check(); err != nil {
		return n, damaged(err)
	}
	m.pooled, m.state = pooled, own
	return n, nil
}

func damaged(err error) error {
	return &penumbra.Error{
		Kind:   penumbra.Damaged,
		What:   "read the checkpoint of the shadow's Bayesian networks",
		Remedy: "remove it: the model is built again from the timeline",
		Err:    err,
	}
}

// checkEnvelope returns the pooled model's checkpoint and the rest.
func checkEnvelope(data []byte) (pooled, own []byte, err error) {
	if len(data) < headerSize+sha256.Size || string(data[:len(checkpointMagic)]) != checkpointMagic {
		return nil, nil, fmt.Errorf("this is no checkpoint of the Bayesian model")
	}
	head := data[len(checkpointMagic):]
	if v := binary.LittleEndian.Uint32(head); v != checkpointVersion {
		return nil, nil, fmt.Errorf("the checkpoint has version %d, this program knows %d", v, checkpointVersion)
	}
	body, sum := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	a, b := binary.LittleEndian.Uint64(head[4:]), binary.LittleEndian.Uint64(head[12:])
	size := uint64(len(body) - headerSize)
	if a > size || b != size-a {
		return nil, nil, fmt.Errorf("the checkpoint is cut short")
	}
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil, nil, fmt.Errorf("the checksum does not match")
	}
	payload := body[headerSize:]
	return payload[:a], payload[a:], nil
}

// check holds what refers to each other together, and rebuilds the indices.
func (s *state) check() error {
	if s.Resources == nil || s.Kinds == nil {
		return fmt.Errorf("a part is missing")
	}
	for a, r := range s.Resources {
		if r == nil {
			return fmt.Errorf("resource %s is empty", a)
		}
	}
	for name, k := range s.Kinds {
		if k == nil || len(k.Known) != len(k.Paths) || !k.Counted.fits() || !k.Others.fits() {
			return fmt.Errorf("type %s does not fit together", name)
		}
		if slices.ContainsFunc(k.cases(), func(x instance) bool { return !k.fits(&x) }) {
			return fmt.Errorf("a case of %s refers to what is not there", name)
		}
		if k.Learned != nil && !k.Learned.fits(k) {
			return fmt.Errorf("the network of %s does not fit its settings and metrics", name)
		}
		k.index()
	}
	return nil
}

func (r *ring) fits() bool { return r.Next == 0 || r.Next > 0 && r.Next < len(r.Cases) }

func (k *kind) fits(x *instance) bool {
	if len(x.Values) > len(k.Paths) {
		return false
	}
	for p, id := range x.Values {
		if id < 0 || id > len(k.Known[p]) {
			return false
		}
	}
	for _, y := range x.Metrics {
		if y.Metric < 0 || y.Metric >= len(k.Metrics) {
			return false
		}
	}
	for i, s := range x.Patterns {
		if int(s) >= len(patternVariables[i].States) {
			return false
		}
	}
	return true
}

func (l *learned) fits(k *kind) bool {
	if l.Network == nil || len(l.Network.variables) != patterns+len(l.Settings)+len(l.Metrics) {
		return false
	}
	for i, s := range l.Settings {
		if s.Path < 0 || s.Path >= len(k.Paths) {
			return false
		}
		if scale := Scale(s.Scale); len(scale.States()) != l.Network.states(patterns+i) {
			return false
		}
	}
	for i, x := range l.Metrics {
		if x.Metric < 0 || x.Metric >= len(k.Metrics) || l.Network.states(patterns+len(l.Settings)+i) != len(levelNames) {
			return false
		}
	}
	for i, v := range patternVariables {
		if len(v.States) != l.Network.states(i) {
			return false
		}
	}
	return true
}
