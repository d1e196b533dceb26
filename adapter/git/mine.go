// Package git answers one question: what did a repository of infrastructure
// code say of each resource, when, and by whose hand?
//
// [Mine] walks the first-parent history of a repository, reads the HCL and the
// YAML of each commit, and hands over an event for every resource that the
// commit created, changed or ended, in the timeline format: a create lists all
// settings, an update what changed with null for what was removed, a delete
// ends the resource. It is for the first day: a shadow can be trained, and
// judged, on years of history before the first snapshot was taken.
//
// What becomes a resource:
//
//	*.tf, *.tofu        each resource and module block: folder|type.name and
//	                    folder|module.name, the latter of the type
//	                    module:<last part of its source> with source_ref
//	*.tfvars            the file: folder|file, of the type tfvars
//	terragrunt.hcl      the file: folder|file, of the type terragrunt
//	*.yaml, *.yml       each Kubernetes object: folder|Kind/name@namespace, of
//	                    the type k8s:Kind; and files of a kind known by their
//	                    name (Ansible variables and inventories, Helm values and
//	                    charts, Compose): folder|file, of the type yaml:<kind>
//
// Other YAML is left out, as nothing says what its parts are, and so are
// definitions of custom resources, which are schemas.
//
// # Guarantees
//
// No file stops the rest: one that does not parse, or holds templates, is
// counted and listed in the [Report], and its resources stay as they were last
// read. A resource whose file was moved goes on if its address is the same, and
// otherwise ends and begins. Times never go back, and no two commits have the
// same one: a commit that is not later than the one before it is put a
// microsecond behind it. The same repository gives the same events.
//
// Secrets are hashed with the key before anything is handed over: what the
// other adapters hash, and all data of Kubernetes secrets and all that SOPS
// encrypted. E-mail addresses of authors are not handed over at all. Nothing is
// written to the repository, and no hook of it is run.
//
// Memory grows with the resources that are there at one time, not with the
// length of the history.
package git

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Options say what of a repository is mined, and how.
type Options struct {
	// Key hashes sensitive values; it must not be empty.
	Key penumbra.Key
	// Since leaves out what happened before; MaxCommits, if above 0, all but
	// the latest so many commits. What was there before begins with a create by
	// nobody at the time of the commit before.
	Since      time.Time
	MaxCommits int
	// Paths are folders or files, with slashes, from the folder that is mined;
	// none means all of it.
	Paths []string
	// Bots match names and e-mail addresses of authors that are automation,
	// beside the well-known ones.
	Bots []*regexp.Regexp
	// Progress, if set, is called with the share of the commits that is done,
	// from 0 to 1.
	Progress func(share float64)
}

// Mine reads the first-parent history that leads to HEAD of the repository in
// dir, or of the folder dir within one, and calls yield for each event, the
// earliest first. An observation belongs to whom it was handed; yield's error
// ends the walk and is returned as it is.
//
// Errors are of kind Missing if git is not installed or dir is not there;
// Invalid if dir is in no repository, or without a key; NotFound if there is no
// commit, none in the span asked for, or no HCL or YAML that is understood;
// Unavailable if git fails halfway. The report is nil beside an error.
func Mine(ctx context.Context, dir string, o Options, yield func(*penumbra.Observation) error) (*Report, error) {
	if len(o.Key) == 0 {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "mine " + dir + " without a key to hash secrets with", Remedy: "give Options.Key"}
	}
	repo, err := open(ctx, dir, o.Paths)
	if err != nil {
		return nil, err
	}
	span, err := repo.span(ctx, o.Since, o.MaxCommits)
	if err != nil {
		return nil, err
	}
	m := &miner{
		o: &o, yield: yield, parse: parser{key: o.Key},
		files: map[string][]*resource{}, at: map[penumbra.Address]*entry{}, actors: map[string]penumbra.ActorKind{},
		report: Report{Shallow: repo.shallow, leftOut: map[string]LeftOut{}},
	}
	if err := repo.walk(ctx, span, m.commit); err != nil {
		return nil, err
	}
	m.report.finish(m.actors)
	for _, e := range m.at {
		if e.shown != nil {
			m.report.Live++
		}
	}
	if m.report.Resources == 0 {
		return nil, m.nothing(dir)
	}
	return &m.report, nil
}

// nothing says why no resource was found.
func (m *miner) nothing(dir string) error {
	e := &penumbra.Error{
		Kind: penumbra.NotFound, What: fmt.Sprintf("no HCL or YAML of infrastructure in the history of %s", dir),
		Remedy: "name a repository with .tf files or Kubernetes manifests, and a branch that has them checked out",
	}
	if n := len(m.report.leftOut); n > 0 {
		first := slices.Min(slices.Collect(maps.Keys(m.report.leftOut)))
		e.What += fmt.Sprintf("; %d files were left out, such as %s, which %s", n, first, m.report.leftOut[first].Reason)
	}
	return e
}

// miner carries the resources of all files from commit to commit.
type miner struct {
	o      *Options
	yield  func(*penumbra.Observation) error
	parse  parser
	files  map[string][]*resource
	at     map[penumbra.Address]*entry
	actors map[string]penumbra.ActorKind
	last   time.Time
	done   int // commits
	report Report
}

// resource is one resource as one file declares it.
type resource struct {
	local    string // within the folder
	kind     string
	settings penumbra.Settings
	code     *code // of a follower only
}

// entry is what is known of one address.
type entry struct {
	defs  []definition // by path; more than one if files repeat a resource
	shown *resource    // as it was last handed over; nil: it is not there
}

type definition struct {
	path string
	*resource
}

// commit takes in one commit: first all its files, then the resources that they
// touched, so that what moved between files is seen as one.
func (m *miner) commit(c *commit, read func() (blob, error)) error {
	at := c.time
	if !at.After(m.last) {
		at = m.last.Add(time.Microsecond)
	}
	m.last = at
	if !c.base {
		m.report.Commits++
		if m.report.From.IsZero() {
			m.report.From = at
		}
		m.report.To = at
	}
	touched := map[penumbra.Address]bool{}
	for _, ch := range c.changes {
		if ch.gone {
			m.replace(ch.path, nil, touched)
			continue
		}
		b, err := read()
		if err != nil {
			return err
		}
		m.report.Files++
		found, reason, detail := m.parse.file(ch.path, b)
		if reason != 0 {
			m.report.leave(ch.path, LeftOut{Commit: c.short(), Reason: reason, Detail: detail})
		}
		// What is not known stays as it was; of a file that is known in part, the
		// rest is left out.
		if reason == 0 || reason == Unrecognized || found != nil {
			m.replace(ch.path, found, touched)
		}
	}
	if len(touched) > 0 {
		if err := m.tell(c, at, touched); err != nil {
			return err
		}
	}
	m.done++
	if m.o.Progress != nil {
		m.o.Progress(float64(m.done) / float64(max(c.of, m.done)))
	}
	return nil
}

// replace puts the resources of a file in the place of those it had.
func (m *miner) replace(file string, found []*resource, touched map[penumbra.Address]bool) {
	folder := path.Dir(file)
	for _, r := range m.files[file] {
		a := addressOf(folder, r)
		e := m.at[a]
		e.defs = slices.DeleteFunc(e.defs, func(d definition) bool { return d.path == file })
		touched[a] = true
	}
	delete(m.files, file)
	if len(found) == 0 {
		return
	}
	m.files[file] = found
	for _, r := range found {
		a := addressOf(folder, r)
		e := m.at[a]
		if e == nil {
			e = &entry{}
			m.at[a] = e
			m.report.Resources++
		}
		touched[a] = true
		e.defs = append(e.defs, definition{file, r})
		slices.SortStableFunc(e.defs, func(x, y definition) int { return cmp.Compare(x.path, y.path) })
	}
}

func addressOf(folder string, r *resource) penumbra.Address {
	return penumbra.Address(folder + "|" + r.local)
}

// tell hands over what became of the resources touched.
func (m *miner) tell(c *commit, at time.Time, touched map[penumbra.Address]bool) error {
	actor, kind := c.actor(m.o.Bots)
	told := false
	for _, a := range slices.Sorted(maps.Keys(touched)) {
		e := m.at[a]
		var now *resource
		if len(e.defs) > 0 {
			now = e.defs[0].resource
		}
		before := e.shown
		e.shown = now
		for _, o := range between(before, now) {
			o.Kind, o.Resource = penumbra.EventKind, a
			// A resource that is replaced within one commit begins after it ended.
			o.Time = at.Add(time.Duration(o.Time.Nanosecond()))
			o.Source, o.Message = "git:"+c.short(), c.message()
			o.Actor, o.ActorKind = actor, kind
			m.report.count(o)
			told = true
			if err := m.yield(o); err != nil {
				return err
			}
		}
	}
	if told {
		m.report.Changing++
		if kind != penumbra.UnknownActor {
			m.actors[actor] = kind
		}
	}
	return nil
}

// between returns the events that lead from one form of a resource to another.
// Their time is an offset within the commit.
func between(before, now *resource) []*penumbra.Observation {
	switch {
	case before == nil && now == nil:
		return nil
	case before == nil:
		return []*penumbra.Observation{{Type: now.kind, Action: actionCreate, Settings: now.settings}}
	case now == nil:
		return []*penumbra.Observation{{Type: before.kind, Action: penumbra.ActionDelete}}
	case before.kind != now.kind: // a module of another source is another thing
		return []*penumbra.Observation{
			{Type: before.kind, Action: penumbra.ActionDelete},
			{Type: now.kind, Action: actionCreate, Settings: now.settings, Time: time.Unix(0, 1)},
		}
	}
	if changed := difference(before.settings, now.settings); len(changed) > 0 {
		return []*penumbra.Observation{{Type: now.kind, Action: actionUpdate, Settings: changed}}
	}
	return nil
}

const (
	actionCreate = "create"
	actionUpdate = "update"
)

// difference returns the settings that lead from a to b, null for those that b
// does not have.
func difference(a, b penumbra.Settings) penumbra.Settings {
	var out penumbra.Settings
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case j == len(b) || i < len(a) && a[i].Path < b[j].Path:
			out = append(out, penumbra.Setting{Path: a[i].Path})
			i++
		case i == len(a) || b[j].Path < a[i].Path:
			out = append(out, b[j])
			j++
		default:
			if a[i] != b[j] {
				out = append(out, b[j])
			}
			i++
			j++
		}
	}
	return out
}

// parser reads files into resources.
type parser struct {
	key penumbra.Key
	// symbols has it find variables and local values too, and what refers to them.
	symbols bool
}

// file returns the resources that a file declares, or why they are not known;
// both for a file of which a part is left out.
func (p parser) file(name string, b blob) (found []*resource, reason Reason, detail string) {
	switch {
	case b.absent:
		return nil, Absent, ""
	case b.content == nil:
		return nil, TooLarge, ""
	}
	switch kindOf(name) {
	case blocksFile:
		found, reason, detail = p.blocks(b.content)
	case variablesFile:
		found, reason, detail = p.body(b.content, path.Base(name), "tfvars")
	case terragruntFile:
		found, reason, detail = p.body(b.content, path.Base(name), "terragrunt")
	case yamlFile:
		found, reason, detail = p.yaml(name, b.content)
	}
	// Of two resources of one name the first counts, as with two files.
	seen := map[string]bool{}
	found = slices.DeleteFunc(found, func(r *resource) bool {
		repeated := seen[r.local]
		seen[r.local] = true
		return repeated
	})
	return found, reason, strings.TrimSpace(detail)
}

// fileKind is how a file is read.
type fileKind uint8

const (
	otherFile fileKind = iota
	blocksFile
	variablesFile
	terragruntFile
	yamlFile
)

func kindOf(name string) fileKind {
	if strings.HasPrefix(name, ".terraform/") || strings.Contains(name, "/.terraform/") || strings.Contains("/"+name, "/node_modules/") {
		return otherFile
	}
	switch base := path.Base(name); path.Ext(base) {
	case ".tf", ".tofu":
		return blocksFile
	case ".tfvars":
		return variablesFile
	case ".yaml", ".yml":
		return yamlFile
	case ".hcl":
		if base == "terragrunt.hcl" {
			return terragruntFile
		}
	}
	return otherFile
}
