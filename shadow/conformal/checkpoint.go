package conformal

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
)

const (
	checkpointMagic   = "penumbra levels\n"
	checkpointVersion = 1
)

type stored struct {
	Options Options                `cbor:"1,keyasint"`
	Groups  map[string]storedGroup `cbor:"2,keyasint"`
}

type storedGroup struct {
	Counts []float32 `cbor:"1,keyasint"`
	Debt   []float32 `cbor:"2,keyasint"`
}

// MarshalBinary returns the whole state, options included, in an envelope.
func (c *Calibrator) MarshalBinary() ([]byte, error) {
	s := stored{Options: c.options, Groups: map[string]storedGroup{}}
	for name, g := range c.groups {
		s.Groups[name] = storedGroup{g.counts[:], g.debt[:]}
	}
	payload, err := envelope.Encode(s)
	if err != nil {
		return nil, fmt.Errorf("write the calibration: %w", err)
	}
	return envelope.Seal(checkpointMagic, checkpointVersion, payload), nil
}

// UnmarshalBinary replaces the state. It returns an error of kind Damaged, and
// leaves the state as it was, if the data is not a whole calibration.
func (c *Calibrator) UnmarshalBinary(data []byte) error {
	payload, err := envelope.Open(checkpointMagic, checkpointVersion, data)
	if err != nil {
		return damaged(err)
	}
	var s stored
	if err := cbor.Unmarshal(payload, &s); err != nil {
		return damaged(err)
	}
	fresh := New(s.Options)
	for name, x := range s.Groups {
		g := &group{}
		if len(x.Counts) != len(g.counts) || len(x.Debt) != len(g.debt) {
			return damaged(fmt.Errorf("group %q has %d bins and %d debts, this program %d and %d", name, len(x.Counts), len(x.Debt), len(g.counts), len(g.debt)))
		}
		copy(g.counts[:], x.Counts)
		copy(g.debt[:], x.Debt)
		for _, n := range g.counts {
			if !(n >= 0 && n < 1e9) {
				return damaged(fmt.Errorf("group %q counts %v", name, n))
			}
		}
		for _, z := range g.debt {
			if z-z != 0 {
				return damaged(fmt.Errorf("group %q owes %v", name, z))
			}
		}
		fresh.groups[name] = g
	}
	*c = *fresh
	return nil
}

func damaged(err error) error {
	return &penumbra.Error{
		Kind: penumbra.Damaged, What: "read the calibration",
		Remedy: "remove it: it is learnt again from the timeline", Err: err,
	}
}
