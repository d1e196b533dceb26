package shadow

import "github.com/penumbra-iac/penumbra"

// Change is a setting's going from one value to another, as the pooled model
// understood it.
type Change struct {
	Resource penumbra.Address
	Type     string
	Path     string
	Class    string // Path with list indices masked
	From, To penumbra.Value
	// Departure reports that it left its template, or what it was expected to
	// be; else the change is a normal one, such as of the code.
	Departure bool
	// By is the observation that showed it: when, from where and by whom. It is
	// shared and to be read only.
	By *penumbra.Observation
}

// notify tells whoever listens of a change.
func (p *Pooled) notify(s *setting, from, to penumbra.Value, departure bool) {
	if p.listen != nil {
		p.listen(p.change(s, from, to, departure))
	}
}

// moved tells whoever listens of a step that is no change to learn from.
func (p *Pooled) moved(s *setting, from, to penumbra.Value) {
	if p.moves != nil {
		p.moves(p.change(s, from, to, false))
	}
}

func (p *Pooled) change(s *setting, from, to penumbra.Value, departure bool) Change {
	return Change{
		Resource: p.current.Resource, Type: s.class.key.kind, Path: s.path, Class: s.class.key.path,
		From: from, To: to, Departure: departure, By: p.current,
	}
}
