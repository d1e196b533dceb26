package drain

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
)

const (
	checkpointMagic   = "penumbra drain"
	checkpointVersion = 1
	// maxCheckpoint bounds what ReadFrom takes into memory.
	maxCheckpoint = 1 << 28
)

var (
	_ io.WriterTo   = (*Miner)(nil)
	_ io.ReaderFrom = (*Miner)(nil)
)

// stored is a checkpoint's payload in CBOR (RFC 8949).
type stored struct {
	Options   Options
	Lines     uint64
	Templates []storedTemplate // in the order of their creation
}

type storedTemplate struct {
	_      struct{} `cbor:",toarray"`
	ID     uint64
	Tokens []string
	Path   []string
	Lines  uint64
	Used   uint64
}

// WriteTo writes the whole state, the options included. The same state gives the
// same bytes.
func (m *Miner) WriteTo(w io.Writer) (int64, error) {
	s := stored{Options: m.options, Lines: m.seen, Templates: make([]storedTemplate, len(m.order))}
	for i, t := range m.order {
		s.Templates[i] = storedTemplate{ID: uint64(t.id), Tokens: t.tokens, Path: t.path, Lines: t.lines, Used: t.used}
	}
	payload, err := envelope.Encode(s)
	if err != nil {
		return 0, fmt.Errorf("write the log templates: %w", err)
	}
	n, err := w.Write(envelope.Seal(checkpointMagic, checkpointVersion, payload))
	return int64(n), err
}

// ReadFrom replaces everything, the options too, by what WriteTo wrote: the miner
// goes on as that one would have. It returns an error of kind Damaged, and leaves
// the miner as it was, if the data is not a whole checkpoint of a version that it
// knows.
func (m *Miner) ReadFrom(r io.Reader) (int64, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxCheckpoint+1))
	if err != nil {
		return int64(len(data)), err
	}
	if len(data) > maxCheckpoint {
		return int64(len(data)), damaged(fmt.Errorf("it is larger than %d bytes", maxCheckpoint))
	}
	payload, err := envelope.Open(checkpointMagic, checkpointVersion, data)
	if err != nil {
		return int64(len(data)), damaged(err)
	}
	fresh, err := decode(payload)
	if err != nil {
		return int64(len(data)), damaged(err)
	}
	*m = *fresh
	return int64(len(data)), nil
}

func damaged(err error) error {
	return &penumbra.Error{
		Kind:   penumbra.Damaged,
		What:   "read the log templates",
		Remedy: "remove them: they are found again in lines to come",
		Err:    err,
	}
}

func decode(payload []byte) (*Miner, error) {
	var s stored
	if err := envelope.Decode(payload, &s); err != nil {
		return nil, err
	}
	if s.Options != s.Options.withDefaults() {
		return nil, fmt.Errorf("its options %+v are out of range", s.Options)
	}
	m := New(s.Options)
	m.seen = s.Lines
	if len(s.Templates) > m.options.Templates {
		return nil, fmt.Errorf("%d templates, %d are allowed", len(s.Templates), m.options.Templates)
	}
	for i, x := range s.Templates {
		if err := m.restore(&x); err != nil {
			return nil, fmt.Errorf("template %d: %w", i+1, err)
		}
	}
	byUse := slices.Clone(m.order)
	slices.SortFunc(byUse, func(a, b *template) int { return cmp.Compare(a.used, b.used) })
	for i, t := range byUse {
		if i > 0 && byUse[i-1].used == t.used {
			return nil, fmt.Errorf("two templates took line %d", t.used)
		}
		m.link(t)
	}
	return m, nil
}

func (m *Miner) restore(x *storedTemplate) error {
	size := 0
	for _, token := range x.Tokens {
		size += len(token)
	}
	switch {
	case m.byID[ID(x.ID)] != nil:
		return fmt.Errorf("identifier %v is there twice", ID(x.ID))
	case len(x.Tokens) > m.options.Tokens || size > 16*m.options.LineBytes:
		return fmt.Errorf("%d tokens of %d bytes are too many", len(x.Tokens), size)
	case len(x.Path) != m.levels(len(x.Tokens)):
		return fmt.Errorf("%d words lead to %d tokens", len(x.Path), len(x.Tokens))
	case x.Lines == 0 || x.Lines > m.seen || x.Used == 0 || x.Used > m.seen:
		return fmt.Errorf("it took %d lines up to line %d of %d", x.Lines, x.Used, m.seen)
	}
	for i, word := range x.Path {
		if word != wildcard && word != x.Tokens[i] {
			return fmt.Errorf("it is kept under %q and has %q there", word, x.Tokens[i])
		}
	}
	t := &template{id: ID(x.ID), tokens: x.Tokens, path: x.Path, lines: x.Lines, used: x.Used}
	t.describe()
	if leaf := m.leaf(t); leaf != nil && len(leaf.templates) >= maxLeaf {
		return fmt.Errorf("more than %d begin alike", maxLeaf)
	}
	m.insert(t)
	return nil
}
