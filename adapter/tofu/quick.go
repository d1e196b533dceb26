package tofu

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// quick is a read that plans only what it has a reason to: what is drifted,
// what an evaluation of the code finds to differ from what was applied, and
// what depends on something that a plan would change. What the evaluation finds
// is never a verdict, only a reason to plan.
type quick struct {
	w        *Workspace
	code     *code
	shapes   shapes
	states   *states
	file     string // the refresh-only plan's
	declared declarations

	objects    map[string]*object  // what was last applied, by address
	places     map[string][]string // addresses of the instances in the code, by place
	candidates map[string]bool
	planned    map[string]bool
	references map[string]references
	result     *memory
}

// mostRounds is how often a plan may find more to plan before all of it is.
const mostRounds = 4

// readQuick returns nothing if the stack has to be planned in full.
func (w *Workspace) readQuick(ctx context.Context, from reading, temp string, c *code) ([]penumbra.Observation, error) {
	file := filepath.Join(temp, "refresh")
	// The providers are asked for their schemas while the plan is made.
	var known shapes
	var failed error
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		known, failed = w.schemas(ctx)
	}()
	err := w.refreshOnly(ctx, file)
	<-asked
	if failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, nil // a plan in full tells what is wrong, and with which resources
	}
	states, err := w.readStates(file, known, true)
	if err != nil {
		return nil, nil // of another layout, or encrypted
	}
	q := &quick{
		w: w, code: c, shapes: known, states: states, file: file, declared: make(declarations),
		objects: make(map[string]*object), places: make(map[string][]string),
		candidates: make(map[string]bool), planned: make(map[string]bool), references: make(map[string]references),
		result: &memory{Resources: make(map[string]remembered)},
	}
	q.survey()
	q.depend(q.drift())
	for round := 0; len(q.candidates) > 0; round++ {
		if round == mostRounds || tooMany(len(q.candidates)+len(q.planned), len(q.result.Resources)) {
			return nil, nil
		}
		changed, ok := q.plan(ctx, temp)
		if !ok {
			return nil, nil
		}
		q.depend(changed)
	}
	return q.result.observations(from, states), nil
}

// refreshOnly makes a refresh-only plan. Its events are not asked for: with
// thousands of resources telling them costs a few percent of the plan.
func (w *Workspace) refreshOnly(ctx context.Context, file string) error {
	args := slices.DeleteFunc(w.planFlags(file), func(flag string) bool { return flag == "-json" })
	return w.runIn(ctx, w.dir, &output{}, nil, append(args, "-refresh-only")...)
}

// survey takes every instance in the code to be as applied, and finds those
// that the code asks for in another way, that it does not have any more, and
// that were never made.
func (q *quick) survey() {
	for place := range q.code.resources {
		if m, name := q.code.find(place); m != nil {
			q.declared[place] = declaredIn(m.resources[name])
		}
	}
	q.code.amend(q.declared)
	var objects []object
	for _, o := range q.states.before.objects {
		if !strings.HasPrefix(o.name, "data.") {
			objects = append(objects, o)
		}
	}
	for _, o := range q.states.now.objects {
		if strings.HasPrefix(o.name, "data.") {
			objects = append(objects, o)
		}
	}
	for i := range objects {
		q.objects[objects[i].address()] = &objects[i]
	}
	e := newEvaluator(q.code, q.w.variables(q.code.modules[""]), objects)
	e.workspace, e.cwd = q.w.workspaceName(), q.w.dir
	e.functions = maps.Clone(functions)
	e.functions["file"] = fileFunc(q.w.dir)
	q.module(e.root())
	for _, i := range q.states.before.order {
		place := ConfigAddress(i.address)
		if _, surveyed := q.result.Resources[i.address]; surveyed {
			continue
		}
		q.result.Resources[i.address] = remembered{Type: i.typ}
		if q.places[place] != nil {
			q.candidates[i.address] = true
		}
	}
}

func (q *quick) module(s *scope) {
	for name, body := range s.module.resources {
		if strings.HasPrefix(name, "data.") {
			continue
		}
		place, at := s.module.prefix+name, s.address+name
		typ, _, _ := strings.Cut(name, ".")
		if q.places[place] == nil {
			q.places[place] = []string{}
		}
		repeated := s.expand(body, func() (keys []any) {
			for _, o := range s.objects[at] {
				keys = append(keys, o.key)
			}
			return keys
		})
		for i, key := range repeated.keys {
			address := keyed(at, key)
			q.places[place] = append(q.places[place], address)
			q.result.Resources[address] = q.assume(address, typ, q.declared[place])
			o := q.objects[address]
			if o == nil {
				q.candidates[address] = true
				continue
			}
			var ignore *declared
			if r := q.code.resources[place]; r != nil {
				if ignore = r.ignore; r.ignoreAll {
					continue
				}
			}
			if s.blockDiffers(generated{body: body}, repeated.of[i], o.attributes, q.shapes[typ], ignore) {
				q.candidates[address] = true
			}
		}
	}
	for name := range s.module.calls {
		for _, child := range s.child(name).of {
			q.module(child)
		}
	}
}

// assume returns what the code asks for of an instance if it was applied.
func (q *quick) assume(address, typ string, d *declared) remembered {
	out := remembered{Type: typ, InCode: true}
	if was := q.states.before.byName[address]; was != nil {
		out.Settings, out.Applied = (&was.instance).template(d)
	}
	return out
}

// changes are the attributes that differ from what was applied, by place; "" is
// all of them.
type changes map[string]map[string]bool

func (c changes) add(address, attribute string) {
	place := ConfigAddress(address)
	if c[place] == nil {
		c[place] = make(map[string]bool)
	}
	c[place][attribute] = true
}

// drift finds the instances that are drifted where the code declares
// something, and returns what has changed elsewhere: a plan leaves that, and
// other resources may follow it.
func (q *quick) drift() changes {
	out := make(changes)
	for _, was := range q.states.before.order {
		if !q.result.Resources[was.address].InCode {
			continue
		}
		is := q.states.now.byName[was.address]
		if is == nil {
			q.candidates[was.address] = true
			continue
		}
		d := q.declared[ConfigAddress(was.address)]
		eachDifference(was.planned, is.planned, was.actual, is.actual, func(l leaf) {
			if d.has(l.config) {
				q.candidates[was.address] = true
			} else {
				out.add(was.address, attributeAt(l))
			}
		})
	}
	return out
}

func attributeAt(l leaf) string {
	name, _, _ := strings.Cut(l.config, "\x00")
	return name
}

// eachDifference calls with the leaves that one side has and the other has not,
// or has with another value.
func eachDifference(a, b []leaf, was, is penumbra.Settings, differ func(leaf)) {
	if was.Equal(is) {
		return
	}
	for _, l := range a {
		if is.Get(l.Path) != l.Value {
			differ(l)
		}
	}
	for _, l := range b {
		if was.Get(l.Path) != l.Value {
			differ(l)
		}
	}
}

// depend makes candidates of the instances whose code refers to something that
// changes.
func (q *quick) depend(changed changes) {
	if len(changed) == 0 {
		return
	}
	for place, addresses := range q.places {
		if q.references[place] == nil {
			q.references[place] = q.code.references(place)
		}
		if !q.references[place].meet(changed) {
			continue
		}
		for _, address := range addresses {
			if !q.planned[address] {
				q.candidates[address] = true
			}
		}
	}
}

// meet reports whether any attribute that is referred to changes.
func (r references) meet(changed changes) bool {
	for place, attributes := range r {
		of := changed[place]
		for name := range attributes {
			if of[name] || name != wholeResource && len(of) > 0 && (name == "" || of[""]) {
				return true
			}
		}
	}
	return false
}

// plan plans the candidates and returns what of them changes.
func (q *quick) plan(ctx context.Context, temp string) (changes, bool) {
	found := q.planCandidates(ctx, temp)
	if found == nil {
		return nil, false
	}
	q.code.amend(found.declared)
	out := make(changes)
	for address := range q.candidates {
		q.planned[address] = true
		i, was := found.byName[address], q.states.before.byName[address]
		if i == nil {
			if was != nil {
				return nil, false
			}
			delete(q.result.Resources, address) // the evaluation was wrong
			continue
		}
		of := remembered{Type: i.typ, InCode: i.inCode}
		if i.inCode {
			of.Settings, of.Applied = i.template(found.declared[ConfigAddress(address)])
		}
		q.result.Resources[address] = of
		if was == nil || !i.inCode {
			out.add(address, "")
			continue
		}
		eachDifference(was.planned, i.planned, was.actual, settingsOf(i.planned), func(l leaf) { out.add(address, attributeAt(l)) })
	}
	clear(q.candidates)
	return out, true
}

// planCandidates plans the candidates with a state that holds only what they
// need, and with the whole state if that cannot be done or was not enough.
func (q *quick) planCandidates(ctx context.Context, temp string) *plan {
	var targets []string
	for _, address := range slices.Sorted(maps.Keys(q.candidates)) {
		targets = append(targets, "-target="+address)
	}
	if part := q.partOfState(temp); part != "" {
		found, err := q.w.readPlan(ctx, filepath.Join(temp, "part"), q.shapes, append(targets, "-state="+part)...)
		if err == nil && !found.errored && !slices.ContainsFunc(found.order, func(i *instance) bool {
			return !i.exists && !i.deposed && q.states.now.byName[i.address] != nil
		}) {
			return found
		}
	}
	found, err := q.w.readPlan(ctx, filepath.Join(temp, "changed"), q.shapes, targets...)
	if err != nil || found.errored {
		return nil
	}
	return found
}
