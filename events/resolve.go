package events

import (
	"fmt"
	"slices"
	"strings"
)

// want is what decides between resources that a target fits.
type want struct {
	kind  *named // the record's type, nil if it names none
	must  *named // the type that a rule asks for
	stack string
}

// maxTargets is how many of a record's targets are looked for.
const maxTargets = 64

// resolve returns the resources that targets name: that of the first target which
// decides, and those of further ones of the same type, as one act may be on
// several things. A target that fits several leaves the choice to the next ones.
// Otherwise the reason says why there is none. The caller holds the lock.
func (x *index) resolve(targets []string, w want) (found []*resource, reason string) {
	var open []entry // what the targets so far fit, if several
	var refused []entry
	for _, target := range targets[:min(len(targets), maxTargets)] {
		fits := byAddress(x.lookup(target))
		left := w.narrow(fits)
		if len(fits) > 0 && len(left) == 0 && len(refused) == 0 {
			refused = fits
		}
		if len(found) > 0 {
			if len(left) == 1 && left[0].of.kind == found[0].kind && !slices.Contains(found, left[0].of) && w.isMain(left[0]) {
				found = append(found, left[0].of)
			}
			continue
		}
		if len(open) > 0 {
			both := w.narrow(intersect(open, fits))
			if len(both) == 0 {
				continue // a target beside it, or one that says nothing of these
			}
			left = both
		}
		switch best := highest(left); len(best) {
		case 0:
		case 1:
			found = append(found, best[0].of)
		default:
			open = left
		}
	}
	switch {
	case len(found) > 0:
		return found, ""
	case len(open) > 0:
		return nil, "several resources fit: " + addresses(open)
	case len(refused) > 0:
		return nil, "only resources of another type or stack fit: " + addresses(refused)
	case len(targets) == 0:
		return nil, "it names no target"
	}
	return nil, "no resource is known by " + quote(targets)
}

// isMain reports whether a further target is what was acted on, rather than where:
// it is named by more than a part of a name.
func (w *want) isMain(e entry) bool { return e.rank >= scoped }

// narrow leaves the resources whose type fits best and that are in the stack.
func (w *want) narrow(list []entry) []entry {
	if len(list) == 0 {
		return nil
	}
	if w.must != nil {
		list = w.must.best(list, address+1)
	}
	if w.kind != nil {
		list = w.kind.best(list, global)
	}
	if len(list) > 1 && w.stack != "" {
		list = filter(list, func(e entry) bool { return e.of.address.Stack() == w.stack })
	}
	return list
}

// best leaves the resources whose type fits best. Where none fits, those are left
// that are named by an identifier of the given rank or above: it outweighs the type.
func (n *named) best(list []entry, enough rank) []entry {
	most := 0
	fits := make([]int, len(list))
	for i, e := range list {
		fits[i] = n.fits(e.of.kind)
		most = max(most, fits[i])
	}
	var out []entry
	for i, e := range list {
		if most > 0 && fits[i] == most || most == 0 && e.rank >= enough {
			out = append(out, e)
		}
	}
	return out
}

// highest leaves the resources that are named by the highest rank.
func highest(list []entry) []entry {
	var most rank
	for _, e := range list {
		most = max(most, e.rank)
	}
	return filter(list, func(e entry) bool { return e.rank == most })
}

func filter(list []entry, keep func(entry) bool) []entry {
	var out []entry
	for _, e := range list {
		if keep(e) {
			out = append(out, e)
		}
	}
	return out
}

// intersect returns the entries of a that are in b too, with the higher rank.
func intersect(a, b []entry) []entry {
	var out []entry
	for _, e := range a {
		if i := slices.IndexFunc(b, func(o entry) bool { return o.of == e.of }); i >= 0 {
			out = append(out, entry{e.of, max(e.rank, b[i].rank)})
		}
	}
	return out
}

// maxNamed is how many candidates or targets a reason lists.
const maxNamed = 5

func addresses(list []entry) string {
	var names []string
	for _, e := range list {
		names = append(names, string(e.of.address))
	}
	slices.Sort(names)
	return several(names)
}

func quote(targets []string) string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = fmt.Sprintf("%q", t)
		if len(t) > 200 {
			names[i] = fmt.Sprintf("%.200q…", t)
		}
	}
	return several(names)
}

func several(names []string) string {
	if more := len(names) - maxNamed; more > 0 {
		return strings.Join(names[:maxNamed], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}
