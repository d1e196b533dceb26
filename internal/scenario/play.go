package scenario

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/shadow/creep"
	"github.com/penumbra-iac/penumbra/timeline"
)

// A Model is the shadow that a script is played with.
type Model interface {
	Observe(o *penumbra.Observation)
	Expect(r *penumbra.Resource, at time.Time, confidence float64) []penumbra.Expectation
	Forecast(r *penumbra.Resource, at time.Time) []penumbra.Forecast
}

// Run plays the script in a file with a new model and fails the test for each
// expectation that does not hold.
func Run(t testing.TB, file string, newModel func() Model) {
	t.Helper()
	script, err := os.ReadFile(file)
	if err == nil {
		err = Play(file, string(script), newModel())
	}
	if err != nil {
		t.Error(err)
	}
}

// Play runs a script. Its error joins one for each expectation that did not
// hold and, if a statement could not be read, one of kind Invalid that ended
// it; each names file and line.
func Play(file, script string, model Model) error {
	statements, err := parse(file, script)
	if err != nil {
		return err
	}
	judge, err := drift.NewJudge(drift.DefaultThresholds())
	if err != nil {
		return err
	}
	p := &player{
		file: file, model: model, judge: judge, resources: map[penumbra.Address]*watched{},
		now: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), counters: map[string]int{},
	}
	err = p.play(statements)
	return errors.Join(append(p.failures, err)...)
}

// confidence is the engine's default.
const confidence = 0.95

// player is a script being played.
type player struct {
	file      string
	model     Model
	judge     *drift.Judge
	limits    []creep.Limit
	watch     *creep.Watch // of the limits
	now       time.Time
	rules     []penumbra.Rule
	order     []penumbra.Address
	resources map[penumbra.Address]*watched
	counters  map[string]int // of repeat
	resolved  []penumbra.Drift
	told      int
	failures  []error
}

// watched is a resource and what came of it so far.
type watched struct {
	penumbra.Resource
	last   penumbra.Assessment
	active []penumbra.Drift
}

func (p *player) play(statements []statement) error {
	for i := range statements {
		s := &statements[i]
		if err := p.step(s); err != nil {
			var e *penumbra.Error
			if errors.As(err, &e) && e.Kind == penumbra.Invalid {
				return err // a line inside a block named itself
			}
			return fault(p.file, s.line, "the package comment of internal/scenario has the language", "%s: %v", strings.Join(s.words, " "), err)
		}
	}
	return nil
}

// verbs are the statements by their first word, but for repeat and expect,
// which need more than their words.
var verbs = map[string]func(*player, []string) error{
	"resource":    (*player).resource,
	"template":    (*player).template,
	"observe":     (*player).observe,
	"event":       (*player).event,
	"delete":      (*player).delete,
	"unread":      (*player).unread,
	"advance":     (*player).advance,
	"ignore":      (*player).ignore,
	"limit":       (*player).limit,
	"accept":      (*player).accept,
	"acknowledge": (*player).acknowledge,
}

func (p *player) step(s *statement) error {
	words := make([]string, len(s.words))
	for i, word := range s.words {
		words[i] = p.count(word)
	}
	if len(words) == 0 {
		return errors.New("a block without repeat")
	}
	verb, args := words[0], words[1:]
	switch {
	case verb == "repeat" && s.block == nil:
		return errors.New("want a block: { at the end of the line")
	case verb == "repeat":
		return p.repeat(args, s.block)
	case s.block != nil:
		return errors.New("only repeat has a block")
	case verb == "expect":
		return p.expect(s.line, args)
	}
	do := verbs[verb]
	if do == nil {
		return fmt.Errorf("there is no statement %q", verb)
	}
	return do(p, args)
}

// count puts the counters of repeat in the place of their names, the longest
// name first.
func (p *player) count(word string) string {
	if !strings.Contains(word, "$") {
		return word
	}
	names := make([]string, 0, len(p.counters))
	for name := range p.counters {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) })
	for _, name := range names {
		word = strings.ReplaceAll(word, "$"+name, strconv.Itoa(p.counters[name]))
	}
	return word
}

func (p *player) repeat(args []string, block []statement) error {
	name := ""
	switch {
	case len(args) == 3 && args[1] == "as" && args[2] != "":
		name = args[2]
	case len(args) != 1:
		return errors.New("want COUNT [as NAME] {")
	}
	n, err := number(args[0])
	if err != nil {
		return err
	}
	if _, taken := p.counters[name]; taken && name != "" {
		return fmt.Errorf("$%s counts an outer repeat already", name)
	}
	for i := range n {
		if name != "" {
			p.counters[name] = i + 1
		}
		if err := p.play(block); err != nil {
			return err
		}
	}
	delete(p.counters, name)
	return nil
}

func (p *player) resource(args []string) error {
	if len(args) != 3 || args[1] != "type" {
		return errors.New("want ADDRESS type TYPE")
	}
	address := penumbra.Address(args[0])
	if p.resources[address] != nil {
		return errors.New("it is introduced already")
	}
	p.order = append(p.order, address)
	p.resources[address] = &watched{Resource: penumbra.Resource{Address: address, Type: args[2]}}
	return nil
}

// known returns the resource that a statement names first, and what follows.
func (p *player) known(args []string) (*watched, []string, error) {
	if len(args) == 0 {
		return nil, nil, errors.New("want an ADDRESS")
	}
	w := p.resources[penumbra.Address(args[0])]
	if w == nil {
		return nil, nil, fmt.Errorf("%s was not introduced: write `resource %s type TYPE` first", args[0], args[0])
	}
	return w, args[1:], nil
}

func (p *player) template(args []string) error {
	w, rest, err := p.known(args)
	if err != nil {
		return err
	}
	declared, err := settings(rest)
	if err != nil {
		return err
	}
	p.take(w, &penumbra.Observation{Kind: penumbra.TemplateKind, Settings: declared})
	p.turn(w, nil)
	return nil
}

func (p *player) observe(args []string) error {
	full := len(args) == 0 || args[0] != "partial"
	if !full {
		args = args[1:]
	}
	w, rest, err := p.known(args)
	if err != nil {
		return err
	}
	seen, err := settings(rest)
	if err != nil {
		return err
	}
	expected := p.model.Expect(withPaths(&w.Resource, seen), p.now, confidence)
	p.take(w, &penumbra.Observation{Kind: penumbra.SnapshotKind, Full: full, Settings: seen})
	p.turn(w, expected)
	return nil
}

// withPaths returns the resource as it is before a snapshot, with the paths
// that the snapshot is the first to have: the shadow is asked about those too.
func withPaths(r *penumbra.Resource, seen penumbra.Settings) *penumbra.Resource {
	before := *r
	for _, s := range seen {
		if _, known := r.Actual.Find(s.Path); !known && !r.Declared(s.Path) {
			before.Actual = penumbra.NewSettings(append(slices.Clone(before.Actual), penumbra.Setting{Path: s.Path})...)
		}
	}
	return &before
}

func (p *player) event(args []string) error {
	w, rest, err := p.known(args)
	if err != nil {
		return err
	}
	o := &penumbra.Observation{Kind: penumbra.EventKind, Source: "scenario"}
	var touched []string
	for _, word := range rest {
		name, given, _ := strings.Cut(word, "=")
		switch name {
		case "actor":
			o.Actor, err = text(given)
		case "action":
			o.Action, err = text(given)
		case "kind":
			err = o.ActorKind.UnmarshalText([]byte(given))
		default:
			touched = append(touched, word)
		}
		if err != nil {
			return err
		}
	}
	if o.Settings, err = settings(touched); err != nil {
		return err
	}
	p.take(w, o)
	return nil
}

func (p *player) delete(args []string) error {
	w, rest, err := p.known(args)
	if err != nil || len(rest) > 0 {
		return errors.Join(err, wantNothing(rest))
	}
	p.take(w, &penumbra.Observation{Kind: penumbra.EventKind, Action: penumbra.ActionDelete, ActorKind: penumbra.System})
	p.turn(w, nil)
	return nil
}

func wantNothing(rest []string) error {
	if len(rest) == 0 {
		return nil
	}
	return fmt.Errorf("nothing may follow, and %q does", rest[0])
}

func (p *player) unread(args []string) error {
	w, rest, err := p.known(args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return errors.New("want ADDRESS REASON")
	}
	reason, err := text(rest[0])
	if err != nil || reason == "" {
		return errors.Join(err, errors.New("want a reason"))
	}
	p.take(w, &penumbra.Observation{Kind: penumbra.SnapshotKind, NotChecked: reason})
	p.turn(w, nil)
	return nil
}

func (p *player) advance(args []string) error {
	if len(args) != 1 {
		return errors.New("want DURATION")
	}
	d, err := duration(args[0])
	p.now = p.now.Add(d)
	return err
}

// until reads [for DURATION]; without it the time is zero.
func (p *player) until(args []string) (time.Time, error) {
	switch {
	case len(args) == 0:
		return time.Time{}, nil
	case len(args) != 2 || args[0] != "for":
		return time.Time{}, errors.New("want for DURATION or nothing at the end")
	}
	d, err := duration(args[1])
	return p.now.Add(d), err
}

func (p *player) ignore(args []string) error {
	if len(args) == 0 {
		return errors.New("want PATTERN [for DURATION]")
	}
	pattern, err := text(args[0])
	if err != nil {
		return err
	}
	until, err := p.until(args[1:])
	if err != nil {
		return err
	}
	return p.rule(penumbra.Rule{Pattern: pattern, Expires: until})
}

// limit makes the watch anew, so it comes before what there is to watch.
func (p *player) limit(args []string) error {
	if len(args) == 0 {
		return errors.New("want PATTERN [min=VALUE] [max=VALUE]")
	}
	pattern, err := text(args[0])
	if err != nil {
		return err
	}
	given, err := settings(args[1:])
	if err != nil {
		return err
	}
	for _, w := range p.resources {
		if !w.SnapshotTime.IsZero() {
			return errors.New("it stands before the first observation")
		}
	}
	rules, err := drift.NewRules([]penumbra.Rule{{Pattern: pattern}})
	if err == nil {
		p.limits = append(p.limits, creep.Limit{Min: given.Get("min"), Max: given.Get("max"), Match: func(a penumbra.Address, path string) bool {
			_, ok := rules.Match(a, path, penumbra.Null(), time.Time{})
			return ok
		}})
		p.watch, err = creep.New(p.limits, nil)
	}
	return err
}

// rule adds a rule and judges all resources by it.
func (p *player) rule(r penumbra.Rule) error {
	r.Created = p.now
	if err := p.judge.SetRules(append(slices.Clone(p.rules), r)); err != nil {
		var e *penumbra.Error
		if errors.As(err, &e) {
			return e.Err // the place is this statement's
		}
		return err
	}
	p.rules = append(p.rules, r)
	for _, address := range p.order {
		p.turn(p.resources[address], nil)
	}
	return nil
}

// accept does what the engine does: a rule holds the value, and the shadow is
// told only of what is accepted for good.
func (p *player) accept(args []string) error {
	w, rest, err := p.known(args)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return errors.New("want ADDRESS PATH [for DURATION]")
	}
	path := rest[0]
	until, err := p.until(rest[1:])
	if err != nil {
		return err
	}
	actual := w.Actual.Get(path)
	if until.IsZero() {
		p.take(w, &penumbra.Observation{
			Kind: penumbra.EventKind, Actor: "scenario", ActorKind: penumbra.User, Action: penumbra.ActionAccept,
			Settings: penumbra.NewSettings(penumbra.Setting{Path: path, Value: actual}),
		})
	}
	return p.rule(penumbra.Rule{Pattern: string(w.Address) + "." + path, Expires: until, Value: &actual})
}

func (p *player) acknowledge(args []string) error {
	w, rest, err := p.known(args)
	if err != nil || len(rest) > 0 {
		return errors.Join(err, wantNothing(rest))
	}
	for i := range w.active {
		d := &w.active[i]
		d.Status, d.AcknowledgedAt, d.AcknowledgedBy = penumbra.Acknowledged, p.now, "scenario"
	}
	return nil
}

// take folds an observation into its resource and lets the shadow learn it.
func (p *player) take(w *watched, o *penumbra.Observation) {
	o.Time, o.Seen, o.Resource, o.Type = p.now, p.now, w.Address, w.Type
	timeline.Fold(&w.Resource, o)
	p.model.Observe(o)
	p.watch.Observe(o)
}

// turn judges a resource. expected is what the shadow held before it saw the
// last snapshot; nil asks it now.
func (p *player) turn(w *watched, expected []penumbra.Expectation) {
	if expected == nil {
		expected = p.model.Expect(&w.Resource, p.now, confidence)
	}
	expected, forecast := p.watch.Apply(&w.Resource, expected, p.model.Forecast(&w.Resource, p.now), p.now)
	w.last = p.judge.Assess(&w.Resource, expected, forecast, p.now)
	saved := p.judge.Live(w.active, &w.Resource, w.last)
	p.told += len(drift.NewOrChanged(saved, p.now))
	for _, d := range saved {
		w.active = slices.DeleteFunc(w.active, func(x penumbra.Drift) bool { return x.ID == d.ID })
		if d.Active() {
			w.active = append(w.active, d)
		} else {
			p.resolved = append(p.resolved, d)
		}
	}
}
