package choice

import (
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
	"github.com/penumbra-iac/penumbra/shadow/conformal"
)

// storedSaid is what was said as it is stored.
type storedSaid struct {
	_             struct{} `cbor:",toarray"`
	Name, Parent  string
	Values        []penumbra.Value
	Probabilities []float64
	Novel         float64
}

// MarshalBinary returns what was said, so that whoever keeps it until it can be
// resolved can store it. The same gives the same bytes.
func (s Said) MarshalBinary() ([]byte, error) {
	out := storedSaid{Name: s.group.Name, Parent: s.group.Parent, Novel: s.novel}
	for _, c := range s.values {
		out.Values, out.Probabilities = append(out.Values, c.Value), append(out.Probabilities, c.Probability)
	}
	return envelope.Encode(out)
}

// UnmarshalBinary replaces it by what MarshalBinary wrote, or returns an error
// and leaves it as it was if the data cannot be that.
func (s *Said) UnmarshalBinary(data []byte) error {
	var x storedSaid
	if err := cbor.Unmarshal(data, &x); err != nil {
		return fmt.Errorf("read what was said: %w", err)
	}
	if len(x.Values) != len(x.Probabilities) || len(x.Values) > maxSaid || !(x.Novel >= 0 && x.Novel <= 1) {
		return fmt.Errorf("read what was said: %d values, %d probabilities, %v of something new", len(x.Values), len(x.Probabilities), x.Novel)
	}
	out := Said{group: conformal.Group{Name: x.Name, Parent: x.Parent}, novel: x.Novel}
	for i, p := range x.Probabilities {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("read what was said: a probability is %v", p)
		}
		out.values = append(out.values, penumbra.Candidate{Value: x.Values[i], Probability: p})
	}
	if !slices.IsSortedFunc(out.values, byProbability) {
		return fmt.Errorf("read what was said: its values are not in order")
	}
	*s = out
	return nil
}
