package events

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/events/drain"
	"github.com/penumbra-iac/penumbra/internal/envelope"
)

// Kinds names lines of free text by their templates, those of each input apart.
// It is safe for concurrent use.
type Kinds struct {
	mu     sync.Mutex
	miners map[string]*drain.Miner
}

// NewKinds returns one that knows no template.
func NewKinds() *Kinds { return &Kinds{miners: make(map[string]*drain.Miner)} }

// maxInputs bounds the inputs that are kept apart; those beyond share one.
const maxInputs = 256

// Name learns a line of an input and returns a short name of its template.
func (k *Kinds) Name(input, line string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.miners[input]
	if m == nil {
		if len(k.miners) >= maxInputs {
			input = ""
		}
		if m = k.miners[input]; m == nil {
			m = drain.New(drain.Options{})
			k.miners[input] = m
		}
	}
	return m.Learn(line).Name
}

// Templates returns what is known of an input's lines.
func (k *Kinds) Templates(input string) []drain.Template {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m := k.miners[input]; m != nil {
		return m.Templates()
	}
	return nil
}

const (
	kindsMagic   = "penumbra event kinds"
	kindsVersion = 1
	maxKinds     = 1 << 28 // bytes that ReadFrom takes into memory
)

// WriteTo writes the templates of all inputs.
func (k *Kinds) WriteTo(w io.Writer) (int64, error) {
	k.mu.Lock()
	parts := make(map[string][]byte, len(k.miners))
	for _, input := range slices.Sorted(maps.Keys(k.miners)) {
		var b bytes.Buffer
		if _, err := k.miners[input].WriteTo(&b); err != nil {
			k.mu.Unlock()
			return 0, err
		}
		parts[input] = b.Bytes()
	}
	k.mu.Unlock()
	payload, err := envelope.Encode(parts)
	if err != nil {
		return 0, fmt.Errorf("write the kinds of events: %w", err)
	}
	n, err := w.Write(envelope.Seal(kindsMagic, kindsVersion, payload))
	return int64(n), err
}

// ReadFrom replaces everything by what WriteTo wrote. It returns an error of kind
// Damaged, and leaves everything as it was, if the data is not whole.
func (k *Kinds) ReadFrom(r io.Reader) (int64, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKinds))
	if err != nil {
		return int64(len(data)), err
	}
	miners, err := decodeKinds(data)
	if err != nil {
		return int64(len(data)), &penumbra.Error{
			Kind: penumbra.Damaged, What: "read the kinds of events", Remedy: "remove them: they are found again in lines to come", Err: err,
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.miners = miners
	return int64(len(data)), nil
}

func decodeKinds(data []byte) (map[string]*drain.Miner, error) {
	payload, err := envelope.Open(kindsMagic, kindsVersion, data)
	if err != nil {
		return nil, err
	}
	var parts map[string][]byte
	if err := envelope.Decode(payload, &parts); err != nil {
		return nil, err
	}
	if len(parts) > maxInputs+1 {
		return nil, fmt.Errorf("it has %d inputs", len(parts))
	}
	miners := make(map[string]*drain.Miner, len(parts))
	for input, part := range parts {
		m := drain.New(drain.Options{})
		if _, err := m.ReadFrom(bytes.NewReader(part)); err != nil {
			return nil, fmt.Errorf("input %q: %w", input, err)
		}
		miners[input] = m
	}
	return miners, nil
}
