package shadow

import "github.com/penumbra-iac/penumbra"

// Known visits the settings that the model knows a resource to have, sorted by
// path: their class, which is the path with list indices masked, and their
// present value, which is what the code declares where nobody has looked yet.
func (p *Pooled) Known(address penumbra.Address, visit func(path, class string, value penumbra.Value)) {
	r := p.resources[address]
	if r == nil {
		return
	}
	for i := range r.settings {
		s := &r.settings[i]
		v := s.actual
		if s.seen == 0 {
			v = s.template
		}
		if !v.IsNull() {
			visit(s.path, s.class.key.path, v)
		}
	}
}
