package succession

import (
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
	"github.com/penumbra-iac/penumbra/shadow"
)

// FuzzPayload reads payloads past the checksum: an error, or a model that
// answers and learns.
func FuzzPayload(f *testing.F) {
	r := &penumbra.Resource{Address: "a/b|c", Type: "t", Actual: penumbra.NewSettings(
		penumbra.Setting{Path: "x", Value: penumbra.Number(1)}, penumbra.Setting{Path: "y.0", Value: penumbra.Bool(true)})}
	known := func(_ penumbra.Address, visit func(path, class string, v penumbra.Value)) {
		for _, s := range r.Actual {
			visit(s.Path, shadow.Mask(s.Path), s.Value)
		}
	}
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	tell := func(m *Model) {
		for i := range 6 {
			at = at.Add(time.Hour)
			path := []string{"x", "y.0"}[i%2]
			m.Learn(&shadow.Change{Resource: r.Address, Type: r.Type, Path: path, Class: shadow.Mask(path), From: r.Actual.Get(path), By: &penumbra.Observation{Time: at}})
		}
	}
	m := New(Options{Known: known})
	tell(m)
	good, err := m.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	payload, err := envelope.Open(checkpointMagic, checkpointVersion, good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, err := decode(payload)
		if err != nil {
			return
		}
		m := &Model{options: Options{Known: known}, state: s}
		m.Next(r, at, 9)
		tell(m)
		m.Next(r, at.Add(time.Hour), 9)
	})
}
