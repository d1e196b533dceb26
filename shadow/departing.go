package shadow

import (
	"time"

	"github.com/penumbra-iac/penumbra"
)

// AtRisk is what the pooled model knows of one setting that may depart: the
// code declares it and a snapshot has shown it. It is valid during a visit.
type AtRisk struct {
	Resource penumbra.Address
	Number   uint32 // of the resource
	Type     string
	Path     string
	Class    string         // Path with list indices masked
	Value    penumbra.Value // the template's
	Since    int64          // Unix seconds when it last changed, or was first seen
	Left     []int64        // Unix seconds of its last departures, oldest first; to be read only
	// Away reports that it has departed and not come back, or that its code is
	// not applied yet: then it is at no risk now, but one of those that have the
	// value.
	Away bool

	question question
	setting  *setting
}

// Stays returns the pooled model's probability that the setting does not depart
// within the time.
func (x *AtRisk) Stays(span time.Duration) float64 { return 1 - x.outlook().leaving(span) }

// Calm returns the same as if no departures of its peers excited it.
func (x *AtRisk) Calm(span time.Duration) float64 {
	o := x.outlook()
	o.leave.wave = 0
	return 1 - o.leaving(span)
}

func (x *AtRisk) outlook() *outlook {
	o := x.question.outlook(x.setting.class, x.setting, true)
	return &o
}

// Departing visits the settings of a resource that may depart, sorted by path.
// It reports whether the model knows the resource and has seen a snapshot of it.
func (p *Pooled) Departing(address penumbra.Address, at time.Time, visit func(*AtRisk)) bool {
	return p.departing(p.resources[address], at, visit)
}

// DepartingNumber is [Pooled.Departing] for the resource of a number, from 1 to
// [Pooled.Numbers].
func (p *Pooled) DepartingNumber(number uint32, at time.Time, visit func(*AtRisk)) bool {
	if number == 0 || int(number) > len(p.numbered) {
		return false
	}
	return p.departing(p.numbered[number-1], at, visit)
}

// TypeOf returns the type of the resource of a number, "" if it has ended.
func (p *Pooled) TypeOf(number uint32) string {
	if number == 0 || int(number) > len(p.numbered) || p.numbered[number-1] == nil {
		return ""
	}
	return p.numbered[number-1].kind
}

func (p *Pooled) departing(r *resource, at time.Time, visit func(*AtRisk)) bool {
	if r == nil || r.code || r.snapshot == 0 {
		return false
	}
	x := AtRisk{Resource: r.address, Number: r.number, Type: r.kind, question: question{p: p, r: r, at: at.Unix()}}
	for i := range r.settings {
		s := &r.settings[i]
		if !s.declared() || s.seen == 0 {
			continue
		}
		x.Path, x.Class, x.Value, x.setting = s.path, s.class.key.path, s.template, s
		x.Since, x.Left, x.Away = s.since.unix(), nil, s.pending || s.away() != nil
		if h := s.history; h != nil {
			x.Since, x.Left = max(s.since.unix(), h.changed), h.left
		}
		visit(&x)
	}
	return true
}
