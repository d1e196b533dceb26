package policy

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"github.com/penumbra-iac/penumbra"
)

// Extension is how the name of a file with policies ends.
const Extension = ".cedar"

// schemaText says what policies can ask about.
//
//go:embed schema.cedarschema
var schemaText []byte

// Schema returns what policies can ask about, as a Cedar schema.
func Schema() string { return string(schemaText) }

// people is the policy that is always there: what no policy forbids, a person
// may do.
const people = `permit (principal is Penumbra::User, action, resource);`

// machine lets Penumbra carry out what is approved: what it may approve itself is
// up to other policies.
const machine = `permit (principal == Penumbra::System::"penumbra", action == Penumbra::Action::"run", resource);`

// The identifiers of the policies that are always there, which no other may have.
const (
	peopleID  = "people"
	machineID = "penumbra"
)

// Annotations that mean something. Any other is a mistake: a misspelt one would
// be passed over in silence.
const (
	idNote        = "id"
	reasonNote    = "reason"
	approvalsNote = "approvals" // of a permit: how many people have to approve
	overridesNote = "overrides" // of a permit: what the run need not wait for
	allowsNote    = "allows"    // of a permit of Penumbra: "replace", "destroy"
)

var (
	notes     = []string{idNote, reasonNote, approvalsNote, overridesNote, allowsNote}
	overrides = []string{penumbra.OverrideWindow, penumbra.OverrideFreeze}
	allowed   = []string{"replace", "destroy"}
)

// mostApprovals bounds how many people a policy can ask for.
const mostApprovals = 9

// Mistake is something wrong with a policy.
type Mistake struct {
	File   string `json:"file"`
	Line   int    `json:"line"` // from 1; 0 of the whole file
	Column int    `json:"column,omitempty"`
	What   string `json:"what"`
}

func (m Mistake) String() string {
	where := m.File
	if m.Line > 0 {
		where += ":" + strconv.Itoa(m.Line)
	}
	if m.Column > 0 {
		where += ":" + strconv.Itoa(m.Column)
	}
	return where + ": " + m.What
}

// rule is one policy with what its annotations say.
type rule struct {
	id        string
	policy    *cedar.Policy
	approvals int
	overrides []string
	allows    []string
	reason    string
	// automatic is a permit that names Penumbra itself in its head and may match
	// an approval.
	automatic bool
	// undoes is one that names both Penumbra itself and rolling back: what permits
	// every act was written for approvals.
	undoes bool
}

// Set is the policies that hold. It is safe for concurrent use.
type Set struct {
	set   *cedar.PolicySet
	rules map[cedar.PolicyID]*rule
	files []string
	// always is how many of the rules are there without any file.
	always int
}

// Len returns how many policies were read, Files of how many files, Names which.
func (s *Set) Len() int        { return len(s.rules) - s.always }
func (s *Set) Files() int      { return len(s.files) }
func (s *Set) Names() []string { return slices.Clone(s.files) }

// Automatic reports whether a policy lets Penumbra approve by itself.
func (s *Set) Automatic() bool {
	for _, r := range s.rules {
		if r.automatic {
			return true
		}
	}
	return false
}

// Load reads policies from files, and from folders all that end in ".cedar". It
// returns all mistakes that it finds; the set is to be used only if there are
// none. The error says what could not be read.
func Load(paths []string) (*Set, []Mistake, error) {
	files, err := find(paths)
	if err != nil {
		return nil, nil, err
	}
	l, err := newLoader()
	if err != nil {
		return nil, nil, err
	}
	if err := l.read(files); err != nil {
		return nil, nil, err
	}
	return &l.Set, l.mistakes, nil
}

// read adds the policies of files.
func (l *loader) read(files []string) error {
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return &penumbra.Error{Kind: penumbra.Missing, What: "read policies from " + name, Remedy: "correct its name in penumbra.yaml", Err: err}
		}
		l.add(name, text)
	}
	l.files = files
	return nil
}

// find lists the files that paths stand for, each once.
func find(paths []string) ([]string, error) {
	var out []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read policies from " + p, Remedy: "make the file or folder, or correct its name in penumbra.yaml", Err: err}
		}
		if !info.IsDir() {
			out = append(out, p)
			continue
		}
		err = filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && filepath.Ext(name) == Extension {
				out = append(out, name)
			}
			return err
		})
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read policies from " + p, Remedy: "make the folder readable", Err: err}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// loader collects policies and what is wrong with them.
type loader struct {
	Set
	validator *validate.Validator
	notes     []string // the annotations that mean something
	mistakes  []Mistake
}

// emptyLoader checks policies against a schema.
func emptyLoader(text []byte, notes []string) (*loader, error) {
	l := &loader{Set: Set{set: cedar.NewPolicySet(), rules: map[cedar.PolicyID]*rule{}}, notes: notes}
	var s schema.Schema
	if err := s.UnmarshalCedar(text); err != nil {
		return nil, fmt.Errorf("the schema of policies: %w", err)
	}
	resolved, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("the schema of policies: %w", err)
	}
	l.validator = validate.New(resolved)
	return l, nil
}

func newLoader() (*loader, error) {
	l, err := emptyLoader(schemaText, notes)
	if err != nil {
		return nil, err
	}
	for _, r := range []rule{{id: peopleID, reason: "what no policy forbids, a person may do"}, {id: machineID, reason: "what is approved is carried out"}} {
		r.policy = &cedar.Policy{}
		text := map[string]string{peopleID: people, machineID: machine}[r.id]
		if err := r.policy.UnmarshalCedar([]byte(text)); err != nil {
			return nil, fmt.Errorf("the policy %s: %w", r.id, err)
		}
		l.set.Add(cedar.PolicyID(r.id), r.policy)
		l.rules[cedar.PolicyID(r.id)] = &r
	}
	l.always = len(l.rules)
	return l, nil
}

func (l *loader) wrong(file string, line, column int, format string, args ...any) {
	l.mistakes = append(l.mistakes, Mistake{File: file, Line: line, Column: column, What: fmt.Sprintf(format, args...)})
}

// where finds the place in an error of the parser.
var where = regexp.MustCompile(`(?s)^(?:parser error: )?parse error at [^:]*:(\d+):(\d+) (.*)$`)

// add reads the policies of one file.
func (l *loader) add(file string, text []byte) {
	list, err := cedar.NewPolicyListFromBytes(file, text)
	if err != nil {
		if m := where.FindStringSubmatch(err.Error()); m != nil {
			line, _ := strconv.Atoi(m[1])
			column, _ := strconv.Atoi(m[2])
			l.wrong(file, line, column, "%s", m[3])
			return
		}
		l.wrong(file, 0, 0, "%v", err)
		return
	}
	for _, p := range list {
		l.addPolicy(file, p)
	}
}

func (l *loader) addPolicy(file string, p *cedar.Policy) {
	line := p.Position().Line
	r := &rule{id: fmt.Sprintf("%s:%d", filepath.Base(file), line), policy: p}
	before := len(l.mistakes)
	for key, value := range p.Annotations() {
		l.annotate(file, line, r, string(key), string(value))
	}
	id := cedar.PolicyID(r.id)
	if was := l.rules[id]; was != nil {
		l.wrong(file, line, 0, "another policy has the id %q already: give each one of its own with @id(\"...\")", r.id)
	}
	if err := l.validator.Policy(r.id, (*ast.Policy)(p.AST())); err != nil {
		for _, what := range flat(err) {
			l.wrong(file, line, 0, "%s", strings.TrimPrefix(what, "for policy `"+r.id+"`, "))
		}
	}
	head, err := headOf(p)
	if err != nil {
		l.wrong(file, line, 0, "%v", err)
	}
	r.automatic = p.Effect() == cedar.Permit && head.ofSystem() && head.matches(penumbra.Approve)
	r.undoes = p.Effect() == cedar.Permit && head.ofSystem() && head.names(penumbra.RollBack)
	if len(r.allows) > 0 && !r.automatic && !r.undoes {
		l.wrong(file, line, 0, "@allows is of a permit for Penumbra itself to approve or to roll back: write `principal == Penumbra::System::\"penumbra\", action == Penumbra::Action::\"approve\"`")
	}
	if len(r.overrides) > 0 && !head.matches(penumbra.CarryOut) {
		l.wrong(file, line, 0, "@overrides is of a permit to run: write `action == Penumbra::Action::\"run\"`")
	}
	if r.approvals > 0 && !head.matches(penumbra.Approve) {
		l.wrong(file, line, 0, "@approvals is of a permit to approve: write `action == Penumbra::Action::\"approve\"`")
	}
	if len(l.mistakes) == before {
		l.rules[id] = r
		l.set.Add(id, p)
	}
}

// annotate takes one annotation in.
func (l *loader) annotate(file string, line int, r *rule, key, value string) {
	forbids := r.policy.Effect() == cedar.Forbid
	if !slices.Contains(l.notes, key) {
		l.wrong(file, line, 0, "@%s means nothing: the annotations are @%s", key, strings.Join(l.notes, ", @"))
		return
	}
	switch key {
	case idNote:
		if value == "" || value == peopleID || value == machineID || strings.ContainsAny(value, " \t\n") {
			l.wrong(file, line, 0, "@id(%q): use a word of its own, without spaces, and neither %q nor %q", value, peopleID, machineID)
			return
		}
		r.id = value
	case reasonNote:
		r.reason = value
	case approvalsNote:
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > mostApprovals {
			l.wrong(file, line, 0, "@approvals(%q): write how many people have to approve, from 1 to %d", value, mostApprovals)
		}
		r.approvals = n
	case overridesNote:
		r.overrides = l.listed(file, line, key, value, overrides)
	case allowsNote:
		r.allows = l.listed(file, line, key, value, allowed)
	}
	if forbids && key != idNote && key != reasonNote {
		l.wrong(file, line, 0, "@%s is of a permit, and this forbids", key)
	}
}

// listed reads a list of known words with commas between them.
func (l *loader) listed(file string, line int, key, value string, known []string) []string {
	var out []string
	for word := range strings.SplitSeq(value, ",") {
		word = strings.TrimSpace(word)
		if !slices.Contains(known, word) {
			l.wrong(file, line, 0, "@%s(%q): %q is none of %s", key, value, word, strings.Join(known, ", "))
			continue
		}
		out = append(out, word)
	}
	return out
}

// flat returns the texts of errors that were joined.
func flat(err error) []string {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var out []string
		for _, e := range joined.Unwrap() {
			out = append(out, flat(e)...)
		}
		return out
	}
	return []string{err.Error()}
}

// head is who and what a policy is about, in its JSON form.
type head struct {
	Principal struct {
		Op     string `json:"op"`
		Type   string `json:"entity_type"`
		Entity struct {
			Type string `json:"type"`
		} `json:"entity"`
	} `json:"principal"`
	Action struct {
		Op       string   `json:"op"`
		Entity   action   `json:"entity"`
		Entities []action `json:"entities"`
	} `json:"action"`
}

type action struct {
	ID string `json:"id"`
}

func headOf(p *cedar.Policy) (head, error) {
	var h head
	text, err := p.MarshalJSON()
	if err != nil {
		return h, err
	}
	return h, json.Unmarshal(text, &h)
}

// ofSystem reports whether the policy names Penumbra itself.
func (h *head) ofSystem() bool {
	return h.Principal.Op == "==" && h.Principal.Entity.Type == systemType || h.Principal.Op == "is" && h.Principal.Type == systemType
}

// names reports whether the policy is about a verb and says so.
func (h *head) names(v penumbra.Verb) bool {
	return (h.Action.Op == "==" || h.Action.Op == "in") && h.matches(v)
}

// matches reports whether the policy may be about a verb.
func (h *head) matches(v penumbra.Verb) bool {
	switch h.Action.Op {
	case "==":
		return h.Action.Entity.ID == string(v)
	case "in":
		return h.Action.Entity.ID == string(v) || slices.Contains(h.Action.Entities, action{string(v)})
	default:
		return true
	}
}
