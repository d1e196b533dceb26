package logkeys

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
)

const (
	checkpointMagic   = "penumbra logkeys"
	checkpointVersion = 1
)

// stored is a checkpoint's payload in CBOR (RFC 8949).
type stored[K Key] struct {
	Of       string // the keys' type
	Options  Options
	Keys     []K
	Sessions uint64
	Order    []storedNode // sorted by digest
	Content  []storedNode
	Times    []histogram
	Length   histogram
	Last     []evidence
	Next     int
	Stale    int
	View     view
}

type storedNode struct {
	_       struct{} `cbor:",toarray"`
	Digest  uint64
	Order   int
	Shorter uint64
	Next    []follower
}

// MarshalBinary returns the whole state, the options included. The same state
// gives the same bytes. Open sessions are not in it.
func (m *Model[K]) MarshalBinary() ([]byte, error) {
	payload, err := envelope.Encode(stored[K]{
		Of: keyType[K](), Options: m.options, Keys: m.keys, Sessions: m.sessions,
		Order: m.order.stored(), Content: m.content.stored(), Times: m.times, Length: m.length,
		Last: m.last, Next: m.next, Stale: m.stale, View: m.view,
	})
	if err != nil {
		return nil, fmt.Errorf("write the log key model: %w", err)
	}
	return envelope.Seal(checkpointMagic, checkpointVersion, payload), nil
}

// UnmarshalBinary replaces everything, the options too, by what MarshalBinary
// wrote: the model goes on as that one would have. Sessions begun before are to
// be dropped. It returns an error of kind Damaged, and leaves the model as it
// was, if the data is not a whole model of this type of keys and of a version
// that it knows.
func (m *Model[K]) UnmarshalBinary(data []byte) error {
	payload, err := envelope.Open(checkpointMagic, checkpointVersion, data)
	if err != nil {
		return damaged(err)
	}
	fresh, err := decode[K](payload)
	if err != nil {
		return damaged(err)
	}
	*m = *fresh
	return nil
}

func damaged(err error) error {
	return &penumbra.Error{
		Kind:   penumbra.Damaged,
		What:   "read the log key model",
		Remedy: "remove it: it is learnt again from sessions to come",
		Err:    err,
	}
}

func keyType[K Key]() string {
	var k K
	return fmt.Sprintf("%T", k)
}

func decode[K Key](payload []byte) (*Model[K], error) {
	// An element takes a byte at least, so that the data bounds the memory.
	mode, err := cbor.DecOptions{MaxArrayElements: math.MaxInt32, DupMapKey: cbor.DupMapKeyEnforcedAPF, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField}.DecMode()
	if err != nil {
		return nil, err
	}
	var s stored[K]
	if err := mode.Unmarshal(payload, &s); err != nil {
		return nil, err
	}
	if s.Of != keyType[K]() {
		return nil, fmt.Errorf("its keys are of type %q, not %q", s.Of, keyType[K]())
	}
	if s.Options != s.Options.withDefaults() {
		return nil, fmt.Errorf("its options %+v are out of range", s.Options)
	}
	m := New[K](s.Options)
	if err := m.restoreKeys(&s); err != nil {
		return nil, err
	}
	names := func(symbol uint32) bool { return symbol == end || symbol <= uint32(len(m.keys)) }
	if err := m.order.restore(s.Order, names); err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	counted := func(symbol uint32) bool {
		return symbol == end || symbol == novel || symbol>>bucketBits != novel && names(symbol>>bucketBits)
	}
	if err := m.content.restore(s.Content, counted); err != nil {
		return nil, fmt.Errorf("counts: %w", err)
	}
	if err := m.calibration.restore(&s.View, s.Last, s.Next, s.Stale); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Model[K]) restoreKeys(s *stored[K]) error {
	if len(s.Keys) > s.Options.Keys || len(s.Times) != len(s.Keys) {
		return fmt.Errorf("it has %d keys with counts of %d", len(s.Keys), len(s.Times))
	}
	for i, k := range s.Keys {
		m.numbers[k] = uint32(i + 1)
	}
	if len(m.numbers) != len(s.Keys) {
		return fmt.Errorf("a key is there twice")
	}
	for _, h := range append(s.Times, s.Length) {
		var sum uint64
		for _, n := range h {
			if sum += n; n > s.Sessions || sum > s.Sessions {
				return fmt.Errorf("a count is of more than the %d sessions", s.Sessions)
			}
		}
		if len(h) > 1<<bucketBits {
			return fmt.Errorf("a count has %d buckets", len(h))
		}
	}
	m.keys, m.times, m.length, m.sessions = s.Keys, s.Times, s.Length, s.Sessions
	return nil
}

func (t *tree) stored() []storedNode {
	out := make([]storedNode, 0, len(t.nodes))
	for _, h := range slices.Sorted(maps.Keys(t.nodes)) {
		out = append(out, storedNode{Digest: h, Order: t.nodes[h].order, Shorter: t.nodes[h].shorter, Next: t.nodes[h].next})
	}
	return out
}

func (t *tree) restore(nodes []storedNode, valid func(symbol uint32) bool) error {
	for _, x := range nodes {
		if x.Order < 0 || x.Order > t.depth || len(x.Next) == 0 || t.nodes[x.Digest] != nil {
			return fmt.Errorf("context %x is empty, there twice or of length %d", x.Digest, x.Order)
		}
		if !slices.IsSortedFunc(x.Next, func(a, b follower) int { return cmp.Compare(a.Symbol, b.Symbol) }) {
			return fmt.Errorf("context %x is not sorted", x.Digest)
		}
		n := &node{order: x.Order, shorter: x.Shorter, next: x.Next}
		for i, f := range x.Next {
			if f.Count == 0 || !valid(f.Symbol) || i > 0 && f.Symbol == x.Next[i-1].Symbol {
				return fmt.Errorf("context %x has symbol %d %d times", x.Digest, f.Symbol, f.Count)
			}
			n.total += uint64(f.Count)
		}
		t.nodes[x.Digest] = n
		t.count(n)
	}
	if t.entries > t.limit {
		return fmt.Errorf("%d entries, %d are allowed", t.entries, t.limit)
	}
	if root := t.contexts(nil, nil)[0]; len(nodes) > 0 && (t.nodes[root] == nil || t.nodes[root].order != 0) {
		return fmt.Errorf("the empty context is not there")
	}
	return nil
}

func (c *calibration) restore(v *view, last []evidence, next, stale int) error {
	n := len(v.Ranks)
	switch {
	case len(last) > c.limit || next < 0 || next >= max(1, len(last)) || len(last) < c.limit && next != 0:
		return fmt.Errorf("it is calibrated by %d sessions, the oldest %d", len(last), next)
	case stale < 0 || n > len(last) || n != len(v.Running) || n != len(v.Counts) || len(last) > 0 && n == 0:
		return fmt.Errorf("the calibration does not fit together")
	case !slices.IsSorted(v.Ranks) || !slices.IsSorted(v.Running) || !slices.IsSorted(v.Counts):
		return fmt.Errorf("the calibration is not sorted")
	case n > 0 && (v.Ranks[0] < 0 || v.Ranks[n-1] >= n):
		return fmt.Errorf("a rank of the calibration is outside it")
	}
	for _, e := range last {
		if !finite(e.Running) || !finite(e.Counts) {
			return fmt.Errorf("a score of the calibration is not finite")
		}
	}
	for i := range n {
		if !finite(v.Running[i]) || !finite(v.Counts[i]) {
			return fmt.Errorf("a score of the calibration is not finite")
		}
	}
	c.last, c.next, c.stale, c.view = last, next, stale, *v
	return nil
}

func finite(x float64) bool { return x >= 0 && x <= math.MaxFloat64 }
