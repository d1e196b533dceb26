package bayes

import (
	"encoding/json"
	"time"

	"github.com/penumbra-iac/penumbra"
)

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// storedValue is a value that a checkpoint holds without loss, which JSON alone
// does not: secrets stay secrets.
type storedValue struct{ penumbra.Value }

// MarshalJSON writes the value's binary form.
func (v storedValue) MarshalJSON() ([]byte, error) {
	b, err := v.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return json.Marshal(b)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (v *storedValue) UnmarshalJSON(data []byte) error {
	var b []byte
	if err := json.Unmarshal(data, &b); err != nil {
		return err
	}
	return v.UnmarshalBinary(b)
}

// stored are settings that a checkpoint holds without loss.
type stored penumbra.Settings

type storedSetting struct {
	Path      string
	Value     storedValue
	Sensitive bool `json:",omitempty"`
}

// MarshalJSON writes the settings in their order.
func (s stored) MarshalJSON() ([]byte, error) {
	out := make([]storedSetting, len(s))
	for i, x := range s {
		out[i] = storedSetting{x.Path, storedValue{x.Value}, x.Sensitive}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *stored) UnmarshalJSON(data []byte) error {
	var in []storedSetting
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	var settings []penumbra.Setting
	for _, x := range in {
		settings = append(settings, penumbra.Setting{Path: x.Path, Value: x.Value.Value, Sensitive: x.Sensitive})
	}
	*s = stored(penumbra.NewSettings(settings...))
	return nil
}

// storedScale is a scale that a checkpoint holds.
type storedScale Scale

type scaleJSON struct {
	Edges      []float64     `json:",omitempty"`
	Kind       byte          `json:",omitempty"`
	Categories []storedValue `json:",omitempty"`
}

// MarshalJSON writes the scale.
func (s storedScale) MarshalJSON() ([]byte, error) {
	out := scaleJSON{Edges: s.Edges, Kind: s.Kind}
	for _, v := range s.Categories {
		out.Categories = append(out.Categories, storedValue{v})
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *storedScale) UnmarshalJSON(data []byte) error {
	var in scaleJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*s = storedScale{Edges: in.Edges, Kind: in.Kind}
	for _, v := range in.Categories {
		s.Categories = append(s.Categories, v.Value)
	}
	return nil
}

// networkJSON is a network in a checkpoint. Tables are computed from counts.
type networkJSON struct {
	Variables []Variable
	Prior     float64
	Parents   [][]int
	Counts    [][]float64 `json:",omitempty"`
	Tables    [][]float64 `json:",omitempty"` // of one whose tables are exact
}

// MarshalJSON writes the network.
func (n *Network) MarshalJSON() ([]byte, error) {
	out := networkJSON{Variables: n.variables, Prior: n.prior}
	for _, f := range n.families {
		out.Parents = append(out.Parents, f.parents)
		if n.prior > 0 {
			out.Counts = append(out.Counts, f.counts)
		} else {
			out.Tables = append(out.Tables, f.table)
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes. It returns an error of kind
// Invalid if that is not a network.
func (n *Network) UnmarshalJSON(data []byte) error {
	var in networkJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if err := checkVariables(in.Variables); err != nil {
		return err
	}
	fresh := Network{variables: in.Variables, prior: in.Prior, families: make([]family, len(in.Variables))}
	tables := in.Tables
	if in.Prior > 0 {
		tables = in.Counts
	}
	if len(in.Parents) != len(in.Variables) || len(tables) != len(in.Variables) {
		return invalid("%d variables with %d families and %d tables", len(in.Variables), len(in.Parents), len(tables))
	}
	for i := range fresh.families {
		f := &fresh.families[i]
		f.parents, f.table = in.Parents[i], tables[i]
		if in.Prior > 0 {
			if len(tables[i])%fresh.states(i) != 0 || len(tables[i]) == 0 {
				return invalid("the counts of %s do not fit", in.Variables[i].Name)
			}
			f.counts, f.table = tables[i], make([]float64, len(tables[i]))
			fresh.renew(i)
		}
	}
	if err := fresh.check(); err != nil {
		return err
	}
	*n = fresh
	return nil
}
