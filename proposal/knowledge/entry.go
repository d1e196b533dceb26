package knowledge

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"github.com/penumbra-iac/penumbra"
)

// Entry is one piece of knowledge.
type Entry struct {
	penumbra.KnowledgeEntry

	disabled     bool
	types, paths []glob
	when         cel.Program
	expr         cel.Program
	examples     []example
	node         *yaml.Node
}

// example is a query with what the entry has to say to it.
type example struct {
	query penumbra.FactQuery
	says  bool
	node  *yaml.Node
}

var (
	entryKeys = []string{
		"id", "title", "types", "paths", "when", "effect", "until", "one_way", "owner", "best", "risk", "likelihood", "hazard", "dependants",
		"sources", "checked", "examples", "disable",
	}
	bestKeys    = []string{"value", "expr", "min", "max", "why"}
	betaKeys    = []string{"a", "b", "why"}
	sourceKeys  = []string{"title", "url"}
	exampleKeys = []string{"says", "type", "path", "address", "value", "template", "actual", "settings", "declared", "time"}
	kindKeys    = []string{
		string(penumbra.Revert), string(penumbra.Adopt), string(penumbra.IgnoreRule), string(penumbra.IgnoreChanges), string(penumbra.Custom),
		string(penumbra.BestPractice),
	}
	validID = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)
)

// readEntry reads one entry; ok is false if it must not be used.
func (r *reader) readEntry(n *yaml.Node) (e *Entry, ok bool) {
	before := len(r.mistakes)
	r.entry = ""
	defer func() { r.entry = "" }()
	if named := field(n, "id"); named != nil && validID.MatchString(named.Value) {
		r.entry = named.Value
	}
	keys, isMap := r.mapping(n, "an entry", entryKeys)
	if !isMap {
		return nil, false
	}
	e = &Entry{KnowledgeEntry: penumbra.KnowledgeEntry{ID: r.entry, File: r.file, Line: n.Line}, node: n}
	e.Fact.Entry = e.ID
	if id := keys["id"]; id == nil {
		r.wrong(n, "the entry has no id", `give it one that no other has, such as "acme.rds.instance-class"`)
	} else if e.ID == "" {
		r.wrong(id, fmt.Sprintf("the id %q is not one", resolve(id).Value), `use small letters and digits, with ".", "-" or "_" between them`)
	}
	if off := keys["disable"]; off != nil {
		r.disable(e, off, keys)
		return e, len(r.mistakes) == before
	}
	r.applies(e, n, keys)
	r.says(e, n, keys)
	r.rests(e, n, keys)
	if x := keys["examples"]; x != nil {
		for _, each := range r.items(x) {
			r.example(e, each)
		}
	}
	return e, len(r.mistakes) == before
}

// field returns the value of a map's key, nil if there is none.
func field(n *yaml.Node, name string) *yaml.Node {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return resolve(n.Content[i+1])
		}
	}
	return nil
}

func (r *reader) disable(e *Entry, off *yaml.Node, keys map[string]*yaml.Node) {
	if v, ok := r.scalar(off, "disable"); ok && v != penumbra.Bool(true) {
		r.wrong(off, "disable is not true", "write `disable: true`, or leave it out")
	}
	for name, value := range keys {
		if name != "id" && name != "disable" {
			r.wrong(value, "an entry that disables another has "+name+" too", "keep id and disable only")
		}
	}
	e.disabled = true
}

// applies reads what the entry is about.
func (r *reader) applies(e *Entry, n *yaml.Node, keys map[string]*yaml.Node) {
	e.Types, e.types = r.globs(n, keys, "types", `name types of resources, such as "aws_db_instance" or "kubernetes_*"`)
	e.Paths, e.paths = r.globs(n, keys, "paths", `name settings by their flattened paths, such as "instance_class" or "ingress.*.port"`)
	if x := keys["when"]; x != nil {
		e.When, e.when = r.expression(x, "when", true)
	}
}

func (r *reader) globs(n *yaml.Node, keys map[string]*yaml.Node, name, remedy string) (texts []string, out []glob) {
	x := keys[name]
	if x == nil {
		r.wrong(n, "the entry has no "+name, remedy)
		return nil, nil
	}
	texts, nodes := r.texts(x, name)
	for i, text := range texts {
		g, err := newGlob(text)
		if err != nil {
			r.wrong(nodes[i], name+": "+err.Error(), `"*" stands for a part of a step, "**" for steps, "{a,b}" for either`)
			continue
		}
		out = append(out, g)
	}
	if len(resolve(x).Content) == 0 && resolve(x).Kind == yaml.SequenceNode {
		r.wrong(x, name+" is empty", remedy)
	}
	return texts, out
}

func (r *reader) expression(n *yaml.Node, what string, condition bool) (string, cel.Program) {
	if _, ok := r.text(n, what); !ok {
		return "", nil
	}
	text := strings.TrimRight(resolve(n).Value, "\n ") // what it starts with counts for the places in it
	program, faults := compile(text, condition)
	for _, f := range faults {
		line, column := r.placeIn(n, f.line, f.column)
		r.wrongAt(line, column, what+": "+f.what, "see docs/knowledge.md for what expressions may speak of")
	}
	return text, program
}

// says reads the facts.
func (r *reader) says(e *Entry, n *yaml.Node, keys map[string]*yaml.Node) {
	f := &e.Fact
	said := false
	sentence := func(name string, to *string) {
		if x := keys[name]; x != nil {
			*to, _ = r.text(x, name)
			said = said || name != "title" && name != "until"
		}
	}
	sentence("title", &f.Title)
	e.Title = f.Title
	if keys["title"] == nil {
		r.wrong(n, "the entry has no title", "say in one sentence what it says")
	}
	var effect string
	sentence("effect", &effect)
	if effect != "" {
		if f.Effect = penumbra.ChangeEffect(effect); !slices.Contains(penumbra.ChangeEffects[:], f.Effect) {
			r.wrong(keys["effect"], fmt.Sprintf("the effect %q is not one", effect), fmt.Sprintf("use one of %s", join(penumbra.ChangeEffects[:])))
		}
	}
	sentence("until", &f.Until)
	if x := keys["until"]; x != nil && keys["effect"] == nil {
		r.wrong(x, "until without an effect", "say what the effect is that waits")
	}
	sentence("one_way", &f.OneWay)
	sentence("owner", &f.Owner)
	sentence("hazard", &f.Hazard)
	if x := keys["best"]; x != nil {
		said = true
		r.best(e, x)
	}
	if x := keys["risk"]; x != nil {
		said = true
		if b, ok := r.beta(x, "risk"); ok {
			f.Risk = &b
		}
	}
	if x := keys["likelihood"]; x != nil {
		said = true
		kinds, _ := r.mapping(x, "likelihood", kindKeys)
		for kind, node := range kinds {
			if b, ok := r.beta(node, "likelihood of "+kind); ok {
				if f.Likelihood == nil {
					f.Likelihood = map[penumbra.ProposalKind]penumbra.Beta{}
				}
				f.Likelihood[penumbra.ProposalKind(kind)] = b
			}
		}
	}
	if x := keys["dependants"]; x != nil {
		said = true
		f.Dependants, _ = r.texts(x, "dependants")
	}
	if !said {
		r.wrong(n, "the entry says nothing", "give it effect, one_way, owner, best, risk, likelihood, hazard or dependants")
	}
}

func join[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, x := range list {
		texts[i] = string(x)
	}
	return strings.Join(texts, ", ")
}

func (r *reader) best(e *Entry, n *yaml.Node) {
	keys, ok := r.mapping(n, "best", bestKeys)
	if !ok {
		return
	}
	b := &penumbra.Best{}
	e.Fact.Best = b
	if x := keys["why"]; x != nil {
		b.Why, _ = r.text(x, "why")
	} else {
		r.wrong(n, "best has no why", "say why the value is good")
	}
	value, expr, low, high := keys["value"], keys["expr"], keys["min"], keys["max"]
	switch ways := count(value != nil, expr != nil, low != nil || high != nil); {
	case ways == 0:
		r.wrong(n, "best has no value", "give a value, an expr that computes one, or min and max")
	case ways > 1:
		r.wrong(n, "best has several values", "give a value, an expr that computes one, or min and max, not more than one of these")
	case expr != nil:
		e.Expr, e.expr = r.expression(expr, "expr", false)
	case value != nil:
		if b.Value, ok = r.scalar(value, "value"); ok && b.Value.IsNull() {
			r.wrong(value, "the value is null", "give the value that is recommended")
		}
	default:
		b.Min, b.Max = r.bound(low, "min"), r.bound(high, "max")
		if order, ok := compare(b.Min, b.Max); low != nil && high != nil && (!ok || order > 0) && !b.Min.IsNull() && !b.Max.IsNull() {
			r.wrong(low, fmt.Sprintf("min %s and max %s are no range", b.Min.Text(), b.Max.Text()), "give both in one unit, the smaller as min")
		}
	}
}

func (r *reader) bound(n *yaml.Node, name string) penumbra.Value {
	if n == nil {
		return penumbra.Null()
	}
	v, ok := r.scalar(n, name)
	if !ok {
		return penumbra.Null()
	}
	if _, ok := compare(v, v); !ok {
		r.wrong(n, fmt.Sprintf("%s %s is no amount", name, v), `give a number, or one with a unit such as "64MB" or "30s"`)
		return penumbra.Null()
	}
	return v
}

func count(list ...bool) int {
	n := 0
	for _, x := range list {
		if x {
			n++
		}
	}
	return n
}

// mostCases bounds what a prior may be worth: one that no number of real runs
// could move would not be a prior.
const mostCases = 100

func (r *reader) beta(n *yaml.Node, what string) (penumbra.Beta, bool) {
	keys, ok := r.mapping(n, what, betaKeys)
	if !ok {
		return penumbra.Beta{}, false
	}
	var b penumbra.Beta
	for _, p := range []struct {
		name string
		to   *float64
	}{{"a", &b.A}, {"b", &b.B}} {
		x := keys[p.name]
		if x == nil {
			r.wrong(n, what+" has no "+p.name, "give a, how many times of all it comes true, and b, how many times it does not")
			ok = false
			continue
		}
		f, err := strconv.ParseFloat(resolve(x).Value, 64)
		if err != nil || !(f > 0) || f > mostCases || math.IsNaN(f) {
			r.wrong(x, fmt.Sprintf("%s of %s is %q", p.name, what, resolve(x).Value), fmt.Sprintf("give a number above 0 and at most %d", mostCases))
			ok = false
			continue
		}
		*p.to = f
	}
	if x := keys["why"]; x != nil {
		b.Why, _ = r.text(x, "why")
	} else {
		r.wrong(n, what+" has no why", "say what it is judged by")
		ok = false
	}
	return b, ok
}

// rests reads what the entry stands on.
func (r *reader) rests(e *Entry, n *yaml.Node, keys map[string]*yaml.Node) {
	if x := keys["sources"]; x == nil || len(resolve(x).Content) == 0 {
		r.wrong(n, "the entry has no sources", "name at least one page that says so, by title and url")
	} else {
		for _, each := range r.items(x) {
			r.source(e, each)
		}
	}
	x := keys["checked"]
	if x == nil {
		r.wrong(n, "the entry has no checked", "give the day that its sources were last read, as 2026-11-30")
		return
	}
	if e.Fact.Checked = resolve(x).Value; !isDay(e.Fact.Checked) {
		r.wrong(x, fmt.Sprintf("checked is %q", e.Fact.Checked), "give a day as 2026-11-30")
	}
}

func isDay(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

func (r *reader) source(e *Entry, n *yaml.Node) {
	keys, ok := r.mapping(n, "a source", sourceKeys)
	if !ok {
		return
	}
	var s penumbra.Source
	for _, p := range []struct {
		name string
		to   *string
	}{{"title", &s.Title}, {"url", &s.URL}} {
		if x := keys[p.name]; x != nil {
			*p.to, _ = r.text(x, p.name)
		} else {
			r.wrong(n, "the source has no "+p.name, "give title and url")
		}
	}
	if u, err := url.Parse(s.URL); s.URL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		r.wrong(keys["url"], fmt.Sprintf("%q is not the address of a page", s.URL), "give it in full, with https://")
	}
	e.Fact.Sources = append(e.Fact.Sources, s)
}

func (r *reader) example(e *Entry, n *yaml.Node) {
	keys, ok := r.mapping(n, "an example", exampleKeys)
	if !ok {
		return
	}
	x := example{node: n, says: true}
	q := &x.query
	if node := keys["says"]; node != nil {
		v, ok := r.scalar(node, "says")
		if ok && v.Kind() != penumbra.BoolKind {
			r.wrong(node, "says is neither true nor false", "write true if the entry has something to say here, false if not")
		}
		x.says = v == penumbra.Bool(true)
	}
	texts := func(name string) (out string) {
		if node := keys[name]; node != nil {
			out, _ = r.text(node, name)
		}
		return out
	}
	q.Type, q.Path, q.Address = texts("type"), texts("path"), penumbra.Address(texts("address"))
	if q.Type == "" && len(e.types) > 0 && e.types[0].literal {
		q.Type = e.types[0].text
	}
	if q.Path == "" && len(e.paths) > 0 {
		q.Path = strings.TrimPrefix(e.paths[0].text, "**.")
	}
	for name, to := range map[string]*penumbra.Value{"value": &q.Value, "template": &q.Template, "actual": &q.Actual} {
		if node := keys[name]; node != nil {
			*to, _ = r.scalar(node, name)
		}
	}
	q.Settings, q.Declared = r.settings(keys["settings"], "settings"), r.settings(keys["declared"], "declared")
	if text := texts("time"); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			r.wrong(keys["time"], fmt.Sprintf("%q is not a time", text), "give it as 2026-11-30T09:00:00Z")
		}
		q.Time = at
	}
	e.examples = append(e.examples, x)
}

func (r *reader) settings(n *yaml.Node, what string) penumbra.Settings {
	if n == nil {
		return nil
	}
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.wrong(n, what+" is "+kindNames[n.Kind]+", not a map", "give paths and values, such as `ingress.0.port: 22`")
		return nil
	}
	var out []penumbra.Setting
	for i := 0; i+1 < len(n.Content); i += 2 {
		if v, ok := r.scalar(n.Content[i+1], what); ok {
			out = append(out, penumbra.Setting{Path: n.Content[i].Value, Value: v})
		}
	}
	return penumbra.NewSettings(out...)
}
