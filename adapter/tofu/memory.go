package tofu

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"

	"github.com/penumbra-iac/penumbra"
)

// Planning what the code asks for costs more than reading what is there: the
// provider is called three times for a resource instead of once. But what the
// code asks for changes only if the code, a variable, a data source or the
// state that it starts from does. So it is remembered, and as long as all of
// those are as they were a read is a refresh-only plan, whose file already holds
// the states before and after the refresh. Resources whose state has changed
// are planned again, and those that depend on them.

// memory is what the code was found to ask for.
type memory struct {
	Format  int       `json:"format"`
	Key     string    `json:"key"`     // the name of the one that the hashes in it are made with
	Code    string    `json:"code"`    // digest, see [code]
	Sources string    `json:"sources"` // digest of what the data sources found
	Planned time.Time `json:"planned"`
	// Resources are by address as the tools print it.
	Resources map[string]remembered `json:"resources"`
}

// remembered is what the code was found to ask for of one resource instance.
type remembered struct {
	Type     string            `json:"type"`
	InCode   bool              `json:"in_code"`
	Settings penumbra.Settings `json:"settings,omitempty"`
	Applied  penumbra.Settings `json:"applied,omitempty"`
	// State is a digest of the state that this follows from, "" for none.
	State string `json:"state,omitempty"`
}

const (
	memoryFormat = 1
	// memoryAge is how long it is trusted: a provider may decide by the clock,
	// as for a certificate that is to be renewed.
	memoryAge = 24 * time.Hour
)

const memoryName = "template.json"

func (w *Workspace) memoryFile() string { return filepath.Join(w.data, memoryName) }

// Forget removes what is remembered of the code in a stack's data folder: it holds
// hashes of sensitive values, and is found again by a read.
func Forget(dataDir string) error {
	if err := os.Remove(filepath.Join(dataDir, memoryName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// recall returns what is remembered of the code as it is now, nil if nothing
// that can be used.
func (w *Workspace) recall(c *code) *memory {
	data, err := os.ReadFile(w.memoryFile())
	if err != nil || c.digest == "" {
		return nil
	}
	var m memory
	age := func() time.Duration { return w.config.Now().Sub(m.Planned) }
	if json.Unmarshal(data, &m) != nil || m.Format != memoryFormat || m.Key != w.config.Key.ID() || m.Code != c.digest || age() < 0 || age() > memoryAge {
		return nil
	}
	return &m
}

// remember keeps what a plan found. It is a cache: a failure costs time only.
func (w *Workspace) remember(c *code, p *plan, file string, known shapes) {
	states, err := w.readStates(file, known, false)
	if err != nil || c.digest == "" {
		return
	}
	m := &memory{Format: memoryFormat, Key: w.config.Key.ID(), Code: c.digest, Sources: states.sources(), Planned: w.config.Now().UTC(), Resources: make(map[string]remembered)}
	for _, i := range p.order {
		m.put(i, p.declared, states)
	}
	w.save(m)
}

func (m *memory) put(i *instance, d declarations, states *states) {
	if i.deposed {
		return
	}
	of := remembered{Type: i.typ, InCode: i.inCode, State: states.digest(i.address)}
	if i.inCode {
		of.Settings, of.Applied = i.template(d[ConfigAddress(i.address)])
	}
	m.Resources[i.address] = of
}

func (w *Workspace) save(m *memory) {
	if data, err := json.Marshal(m); err == nil {
		_ = renameio.WriteFile(w.memoryFile(), data, 0o600)
	}
}

// The names of the states in a plan file.
const (
	stateInPlan = "tfstate"
	stateBefore = "tfstate-prev"
)

// states are the two states in a plan file: as refreshed, and as before.
type states struct{ now, before *state }

// readStates reads the states from a plan file, which is a zip archive, with
// the leaves and objects of each if keep is set. The layout is the tools' own
// and has been the same since Terraform 0.12; where it is another, or OpenTofu
// encrypts it, the caller has `show -json` to fall back on.
func (w *Workspace) readStates(file string, known shapes, keep bool) (*states, error) {
	archive, err := zip.OpenReader(file)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	read := func(name string) (*state, error) {
		f, err := archive.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		d := newStateReader(f, w.config.Key, known)
		d.keepLeaves, d.keepObjects = keep, keep
		return d.read("state in the plan of " + w.config.Stack)
	}
	var s states
	if s.now, err = read(stateInPlan); err != nil {
		return nil, err
	}
	if s.before, err = read(stateBefore); err != nil {
		return nil, err
	}
	return &s, nil
}

func (s *states) sources() string { return penumbra.NewSettings(s.now.sources...).Digest() }

// digest tells both states of an instance, "" if it is in neither.
func (s *states) digest(address string) string {
	now, before := s.now.byName[address], s.before.byName[address]
	var digest string
	if now != nil {
		digest = now.actual.Digest()
	}
	if before != nil {
		digest += "<" + before.actual.Digest()
	}
	return digest
}

// changed returns the instances whose state is not the remembered one, and
// those that depend on one of them.
func (s *states) changed(m *memory) map[string]bool {
	out := make(map[string]bool)
	places := make(map[string]bool)
	mark := func(address string) {
		if !out[address] && s.digest(address) != m.Resources[address].State {
			out[address] = true
			places[ConfigAddress(address)] = true
		}
	}
	for address := range m.Resources {
		mark(address)
	}
	for _, i := range slices.Concat(s.now.order, s.before.order) {
		mark(i.address)
	}
	if len(out) == 0 {
		return out
	}
	for _, i := range slices.Concat(s.now.order, s.before.order) {
		if slices.ContainsFunc(i.dependencies, func(place string) bool { return places[place] }) {
			out[i.address] = true
		}
	}
	for address, of := range m.Resources {
		if of.State == "" {
			out[address] = true // the state does not know what it will depend on
		}
	}
	return out
}

// mostChanged is the share of the resources up to which planning some again is
// taken to be cheaper than planning all.
const mostChanged = 0.1

func tooMany(changed, all int) bool { return float64(changed) > max(10, mostChanged*float64(all)) }

// refresh reads with a refresh-only plan and what is remembered. It returns
// nothing if the stack has to be planned in full.
func (w *Workspace) refresh(ctx context.Context, from reading, temp string, c *code, m *memory, known shapes) ([]penumbra.Observation, error) {
	file := filepath.Join(temp, "refresh")
	out, failed := w.run(ctx, append(w.planFlags(file), "-refresh-only")...)
	if failed != nil {
		if len(parseEvents(out.stdout.Bytes()).refreshed) == 0 || ctx.Err() != nil {
			return nil, w.failure("read stack "+w.config.Stack, out, failed)
		}
		return nil, nil
	}
	states, err := w.readStates(file, known, false)
	if err != nil || states.sources() != m.Sources {
		return nil, nil
	}
	changed := states.changed(m)
	if tooMany(len(changed), len(m.Resources)) {
		return nil, nil
	}
	if len(changed) > 0 && !w.planChanged(ctx, filepath.Join(temp, "changed"), c, m, changed, states, known) {
		return nil, nil
	}
	return m.observations(from, states), nil
}

// planChanged plans the changed instances again and remembers the outcome. It
// reports false if that cannot be done for them alone.
func (w *Workspace) planChanged(ctx context.Context, file string, c *code, m *memory, changed map[string]bool, states *states, known shapes) bool {
	var targets []string
	for _, address := range slices.Sorted(maps.Keys(changed)) {
		targets = append(targets, "-target="+address)
	}
	found, err := w.readPlan(ctx, file, known, targets...)
	if err != nil || found.errored {
		return false
	}
	c.amend(found.declared)
	for address := range changed {
		delete(m.Resources, address)
	}
	for _, i := range found.order {
		if changed[i.address] {
			m.put(i, found.declared, states)
		}
	}
	w.save(m)
	return true
}

// observations gives a template for what is remembered to be in the code and a
// snapshot for what is or was in the state.
func (m *memory) observations(from reading, s *states) []penumbra.Observation {
	out := make([]penumbra.Observation, 0, 2*len(m.Resources))
	for address, of := range m.Resources {
		if of.InCode {
			out = append(out, from.template(address, of.Type, of.Settings, of.Applied))
		}
	}
	for _, i := range s.now.order {
		out = append(out, from.snapshot(&i.instance))
	}
	for _, i := range s.before.order {
		now := s.now.byName[i.address]
		if now == nil {
			out = append(out, from.snapshot(&instance{address: i.address, typ: i.typ}))
		}
		if now == nil || !now.actual.Equal(i.actual) {
			out = append(out, from.last(i.address, i.typ, i.actual))
		}
	}
	return sortObservations(out)
}
