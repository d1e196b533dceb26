package tofu

import (
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// instance is what one read learnt of one resource instance.
type instance struct {
	address string // as the tools print it
	typ     string

	actual penumbra.Settings // after refresh
	exists bool              // whether it is there at all

	planned []leaf // what the code asks for, with the provider's defaults
	inCode  bool

	// before are the settings last applied. They are only kept apart where they
	// differ from the actual ones.
	before  penumbra.Settings
	drifted bool

	notChecked string

	// Of an instance in a plan:
	action       penumbra.PlanAction
	replacePaths []string
	importing    string // the identity that it is taken into the state under
	from         string // the address that it had in the state
	deposed      bool   // left behind by a replacement, to be destroyed
}

// applied returns the settings last applied.
func (i *instance) applied() penumbra.Settings {
	if i.drifted {
		return i.before
	}
	return i.actual
}

// template returns what the code declares of the instance, and the value last
// applied of each setting that it has since moved away from: null where there
// was none, as for a resource that was never created.
func (i *instance) template(d *declared) (settings, applied penumbra.Settings) {
	last := i.applied()
	for _, l := range i.planned {
		if !d.has(l.config) {
			continue
		}
		settings = append(settings, l.Setting)
		if was := last.Get(l.Path); !l.Value.Agrees(was) {
			applied = append(applied, penumbra.Setting{Path: l.Path, Value: was, Sensitive: l.Sensitive})
		}
	}
	return penumbra.NewSettings(settings...), penumbra.NewSettings(applied...)
}

// reading is where and when observations are from.
type reading struct {
	stack string
	at    time.Time
}

func (r reading) observation(kind penumbra.ObservationKind, address, typ string) penumbra.Observation {
	return penumbra.Observation{
		Kind: kind, Time: r.at.UTC(), Seen: r.at.UTC(), Type: typ, Source: "tofu",
		Resource: penumbra.NewAddress(r.stack, address),
	}
}

func (r reading) template(address, typ string, settings, applied penumbra.Settings) penumbra.Observation {
	o := r.observation(penumbra.TemplateKind, address, typ)
	o.Settings, o.Applied = settings, applied
	return o
}

// snapshot tells what is there: a full list, an empty one for a resource that
// is gone, or why it could not be read.
func (r reading) snapshot(i *instance) penumbra.Observation {
	o := r.observation(penumbra.SnapshotKind, i.address, i.typ)
	if i.notChecked != "" {
		o.NotChecked = i.notChecked
		return o
	}
	o.Settings, o.Full = i.actual, true
	return o
}

// last tells what was there when the stack was last applied or refreshed, of an
// instance that has moved since: what a reader who sees the stack for the first
// time holds the present against. It is dated just before.
func (r reading) last(address, typ string, settings penumbra.Settings) penumbra.Observation {
	o := r.observation(penumbra.SnapshotKind, address, typ)
	o.Time = o.Time.Add(-time.Second)
	o.Settings, o.Full = settings, true
	return o
}

func sortObservations(list []penumbra.Observation) []penumbra.Observation {
	slices.SortFunc(list, func(a, b penumbra.Observation) int {
		if c := strings.Compare(string(a.Resource), string(b.Resource)); c != 0 {
			return c
		}
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return int(a.Kind) - int(b.Kind)
	})
	return list
}
