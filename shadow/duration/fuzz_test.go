package duration

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
	on, off := penumbra.Bool(true), penumbra.Bool(false)
	tell := func(m *Model, at time.Time) {
		for i := range 20 {
			c := shadow.Change{Resource: "a", Type: "t", Path: "x", Class: "x", From: off, To: on, By: &penumbra.Observation{Time: at.Add(time.Duration(i) * time.Hour)}}
			if i%2 == 1 {
				c.From, c.To = on, off
			}
			m.Learn(&c)
		}
		m.Learn(&shadow.Change{Resource: "b", Type: "t", Path: "x", Class: "x", From: off, To: on, By: &penumbra.Observation{Time: at}})
	}
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	m := New(Options{})
	tell(m, at)
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
		m := New(Options{})
		m.state = s
		tell(m, at.AddDate(1, 0, 0))
		for _, x := range m.Stuck(at.AddDate(2, 0, 0)) {
			if !(x.Probability >= 0 && x.Probability <= 1) {
				t.Errorf("%+v", x)
			}
		}
	})
}
