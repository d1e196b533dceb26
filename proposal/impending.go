package proposal

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// A Guarder is a workspace whose code can refuse values.
type Guarder interface {
	// PatchGuard returns the patch after which the code itself fails a plan, or a
	// run, in which a bound does not hold for the resource. With a trial the code
	// declares these settings too: a plan of it shows whether the guard holds. A
	// patch without files says that the code has the guard already. Errors are those
	// of [Patcher.PatchValues].
	PatchGuard(ctx context.Context, address penumbra.Address, bounds []penumbra.Bound, trial []penumbra.Setting) (penumbra.Patch, error)
}

const (
	// mostGuards bounds the settings that one guard is tried for: each takes a plan.
	mostGuards = 3
	// closer is how many times as often a resource is read that is watched closer.
	closer = 5
	// leastEvery is how often a resource is read at most.
	leastEvery = 30 * time.Second
	// A resource is watched closer for twice as long as the forecast looks ahead,
	// within these.
	leastWatch, mostWatch = 6 * time.Hour, 7 * 24 * time.Hour
	// mostTold is how many people a message is for.
	mostTold = 3
	// leastShare is what part of the changes somebody must have made to be told.
	leastShare = 0.2
)

// adviseAhead proposes what can be done before anything has changed.
func (s *search) adviseAhead(ctx context.Context) {
	s.watchCloser()
	s.guard(ctx)
	s.guardPolicy()
	s.tellOwner()
}

// watchCloser has the resource read more often while it may leave.
func (s *search) watchCloser() {
	switch {
	case s.Attention != nil:
		s.omit(penumbra.WatchCloser, fmt.Sprintf("it is read every %s already, until %s", span(s.Attention.Every), stamp(s.Attention.Until)))
		return
	case s.Every <= 0:
		s.omit(penumbra.WatchCloser, "no source reads it by itself: there is nothing to do more often")
		return
	}
	every := max(leastEvery, s.Gap, s.Every/closer).Round(time.Second)
	if every > s.Every*4/5 {
		s.omit(penumbra.WatchCloser, fmt.Sprintf("it is read every %s already, and its source allows of hardly more", span(s.Every)))
		return
	}
	last := time.Duration(0)
	for _, f := range s.Drift.Findings {
		last = max(last, penumbra.Horizons[min(max(f.Horizon, 0), len(penumbra.Horizons)-1)])
	}
	a := penumbra.Attention{
		Resource: s.Drift.Resource, Drift: s.Drift.ID, Every: every, Usually: s.Every,
		Until: s.Now.Add(min(max(2*last, leastWatch), mostWatch)).UTC().Truncate(time.Minute),
	}
	a.ID = "w-" + shortDigest(s.Drift.ID, string(a.Resource))
	s.add(penumbra.Proposal{
		Kind: penumbra.WatchCloser, Attention: &a,
		Title: fmt.Sprintf("Read %s every %s instead of every %s until %s", s.Drift.Resource.Local(), span(every), span(s.Every), stamp(a.Until)),
	}, 1)
}

// guard has the code refuse what is foreseen. A plan with the guard must change
// nothing, and one with the foreseen value besides must fail for it: a guard that
// lets it pass is not proposed.
func (s *search) guard(ctx context.Context) {
	ws, ok := s.ws.(Guarder)
	if !ok {
		s.omit(penumbra.Guard, "the code of this stack has nothing that refuses values")
		return
	}
	var bounds []penumbra.Bound
	var trials []penumbra.Setting
	for _, f := range s.Drift.Findings {
		b, trial, why := bound(&s.Drift, f)
		if why != "" {
			s.omit(penumbra.Guard, f.Path+": "+why)
		} else if len(bounds) < mostGuards {
			bounds, trials = append(bounds, b), append(trials, trial)
		}
	}
	if len(bounds) == 0 {
		return
	}
	patch, err := ws.PatchGuard(ctx, s.Drift.Resource, bounds, nil)
	if err == nil && len(patch.Files) == 0 {
		err = fmt.Errorf("the code refuses it already")
	}
	var plan penumbra.Plan
	if err == nil {
		plan, err = s.quiet(ctx, &patch)
	}
	if err != nil {
		s.omit(penumbra.Guard, err.Error())
		return
	}
	for i, b := range bounds {
		if err := s.holds(ctx, ws, b, trials[i]); err != nil {
			s.omit(penumbra.Guard, err.Error())
			return
		}
	}
	var words []string
	for _, b := range bounds {
		words = append(words, refusedWords(&b))
	}
	s.add(penumbra.Proposal{
		Kind: penumbra.Guard, Title: "Have the code refuse " + sentence(words), Patch: &patch, Plan: &plan, Bounds: bounds,
	}, float64(len(bounds))/float64(len(s.Drift.Findings)))
}

// holds returns an error unless the guard refuses a value.
func (s *search) holds(ctx context.Context, ws Guarder, b penumbra.Bound, trial penumbra.Setting) error {
	with, err := ws.PatchGuard(ctx, s.Drift.Resource, []penumbra.Bound{b}, []penumbra.Setting{trial})
	if err != nil {
		return fmt.Errorf("the guard could not be tried: %w", err)
	}
	switch _, err = s.ws.Plan(ctx, s.targets(), &with); {
	case err == nil:
		return fmt.Errorf("a guard of %s does not hold: a plan with %s went through", b.Path, trial.Value)
	case !strings.Contains(err.Error(), guardMark(&s.Drift)):
		return fmt.Errorf("the guard could not be tried: a plan with %s = %s fails for another reason: %w", b.Path, trial.Value, err)
	}
	return nil
}

// guardMark begins what whoever runs into a guard is told.
func guardMark(d *penumbra.Drift) string { return "Guard " + d.ID }

// bound returns what keeps a setting from leaving as foreseen, and a value that it
// must refuse; why says why there is none.
func bound(d *penumbra.Drift, f penumbra.Finding) (b penumbra.Bound, trial penumbra.Setting, why string) {
	b, trial = penumbra.Bound{Path: f.Path}, penumbra.Setting{Path: f.Path}
	next := penumbra.Null()
	if f.Forecast != nil {
		next = f.Forecast.Next
	}
	if f.Path == "" {
		return b, trial, "the resource as a whole is no value that could be refused"
	}
	for _, v := range []penumbra.Value{f.Actual, f.Template, next} {
		if secretive(penumbra.Setting{Path: f.Path, Value: v, Sensitive: f.Sensitive}) {
			return b, trial, "it is a secret, of which Penumbra keeps a hash only"
		}
	}
	unknown := next.IsNull() || next.Kind() == penumbra.UnknownKind
	goal, numeric := next.Float()
	if l := f.Expectation.Limit; l != nil {
		b.Is, b.Value = penumbra.AtMost, l.Bound
		if l.Bound == l.Min {
			b.Is = penumbra.AtLeast
		}
		var ok bool
		if trial.Value, ok = beyond(&b); !ok {
			return b, trial, "its limit is no amount that the code could hold it against"
		}
		b.Message = fmt.Sprintf("%s: %s of %s is to be %s, and was foreseen to pass that.", guardMark(d), f.Path, d.Resource.Local(), strings.TrimPrefix(b.String(), f.Path+" is "))
		return b, trial, ""
	}
	if unknown || next == f.Template {
		return b, trial, "the shadow does not know which value it would leave for"
	}
	b.Is, b.Value, trial.Value = penumbra.Unequal, next, next
	if from, ok := f.Template.Float(); ok && numeric && f.Template.Kind() == next.Kind() && next.Kind() == penumbra.NumberKind {
		if b.Is = penumbra.Below; goal < from {
			b.Is = penumbra.Above
		}
	}
	b.Message = fmt.Sprintf("%s: %s of %s was foreseen to leave %s for %s, which nobody has decided. If it is meant, change this condition with it.",
		guardMark(d), f.Path, d.Resource.Local(), f.Template.Text(), next.Text())
	return b, trial, ""
}

// sizes matches an amount of memory as servers write it.
var sizes = regexp.MustCompile(`^([1-9][0-9]{0,9})(kB|MB|GB|TB)$`)

// beyond returns a value that is clearly not within a limit.
func beyond(b *penumbra.Bound) (penumbra.Value, bool) {
	if m := sizes.FindStringSubmatch(b.Value.Text()); m != nil && b.Value.Kind() == penumbra.StringKind {
		if b.Is == penumbra.AtLeast {
			return penumbra.String("1kB"), b.Value != penumbra.String("1kB")
		}
		return penumbra.String(m[1] + "0" + m[2]), true
	}
	x, ok := b.Value.Float()
	if !ok || b.Value.Kind() != penumbra.NumberKind {
		return penumbra.Null(), false
	}
	step := max(1, math.Ceil(math.Abs(x)/10))
	if b.Is == penumbra.AtLeast {
		step = -step
	}
	return penumbra.Number(x + step), true
}

// refusedWords say what a guard refuses.
func refusedWords(b *penumbra.Bound) string {
	switch b.Is {
	case penumbra.Below:
		return fmt.Sprintf("%s of %s and more", b.Path, b.Value)
	case penumbra.Above:
		return fmt.Sprintf("%s of %s and less", b.Path, b.Value)
	case penumbra.AtMost:
		return fmt.Sprintf("%s above %s", b.Path, b.Value)
	case penumbra.AtLeast:
		return fmt.Sprintf("%s below %s", b.Path, b.Value)
	default:
		return fmt.Sprintf("%s = %s", b.Path, b.Value)
	}
}

// tellOwner writes to those who have changed the settings before.
func (s *search) tellOwner() {
	switch {
	case !s.Told.IsZero():
		s.omit(penumbra.TellOwner, fmt.Sprintf("that was done on %s; whether the changes stop shows within a week", stamp(s.Told)))
		return
	case len(s.Doers) == 0:
		s.omit(penumbra.TellOwner, "no log tells who has changed these settings before: there is nobody to talk to")
		return
	}
	told := s.told()
	m := penumbra.Message{Subject: penumbra.Redact(s.settingsNamed() + " of " + s.Drift.Resource.Local() + " is about to leave what the code says")}
	for _, d := range told {
		m.To = append(m.To, oneLine(penumbra.Redact(d.Actor)))
	}
	m.Text = s.letter(told)
	s.add(penumbra.Proposal{Kind: penumbra.TellOwner, Title: "Talk to " + sentence(slices.Clone(m.To)) + ", with the evidence", Message: &m}, 1)
}

// told are those whom a message is for: who changes the settings most, people
// before programs.
func (s *search) told() []penumbra.Doer {
	list := slices.Clone(s.Doers)
	slices.SortStableFunc(list, func(a, b penumbra.Doer) int {
		person := func(d penumbra.Doer) int { return map[bool]int{true: 0, false: 1}[d.Kind == penumbra.User] }
		return cmp.Or(cmp.Compare(person(a), person(b)), cmp.Compare(b.Changes, a.Changes), cmp.Compare(a.Actor, b.Actor))
	})
	var out []penumbra.Doer
	for _, d := range list {
		if d.Share >= leastShare && len(out) < mostTold {
			out = append(out, d)
		}
	}
	if len(out) == 0 { // many, each of whom has done little
		out = list[:min(len(list), mostTold)]
	}
	return out
}

// toldShare is what part of the changes those have made who would be told; a
// program is told by way of its owner, who is somebody else.
func (s *Evidence) toldShare() (share float64, people bool) {
	for _, d := range (&search{Evidence: *s}).told() {
		share += d.Share
		people = people || d.Kind == penumbra.User
	}
	return min(share, 1), people
}

// beside is what part of the changes was made beside the code.
func (s *Evidence) beside() float64 {
	share := 0.0
	for i := range s.Doers {
		if !s.Doers[i].InCode() {
			share += s.Doers[i].Share
		}
	}
	return min(share, 1)
}

// letter is the message: what is foreseen, the evidence, and what is asked.
func (s *search) letter(told []penumbra.Doer) string {
	var b strings.Builder
	var names []string
	for _, d := range told {
		name := d.Actor
		if d.Kind == penumbra.Automation {
			name = "whoever runs " + d.Actor
		}
		names = append(names, oneLine(name))
	}
	fmt.Fprintf(&b, "Hello %s,\n\n%s\n\nEvidence:\n", sentence(names), wrap(oneLine(forecast(s.Drift.Findings)), reviewWidth))
	for _, f := range s.Drift.Findings {
		fmt.Fprintf(&b, "- %s is %s now, as the code has it", pathWord(f.Path), readable(&f, f.Actual))
		if l := f.Expectation.Limit; l != nil {
			fmt.Fprintf(&b, "; its limit is %s", readable(&f, l.Bound))
		}
		b.WriteString("\n")
	}
	for _, d := range s.Doers[:min(len(s.Doers), listed)] {
		fmt.Fprintf(&b, "- %s\n", doerWords(&d))
	}
	if n := len(s.Doers) - listed; n > 0 {
		fmt.Fprintf(&b, "- and %s more\n", count(n, "other"))
	}
	b.WriteString("\nWhich is it to be?\n")
	b.WriteString("- It is to change: then change the code, so that nobody takes it back by applying it.\n")
	b.WriteString("- It is to stay: then leave it, and say what you need instead.\n")
	fmt.Fprintf(&b, "\nThe resource is %s; `penumbra drift show %s` has the rest.\n", s.Drift.Resource, s.Drift.ID)
	return penumbra.Redact(b.String())
}

// reviewWidth is where lines of a message are broken.
const reviewWidth = 72

func readable(f *penumbra.Finding, v penumbra.Value) string { return oneLine(told(f, v)) }

// doerWords say what somebody has done, how often and when.
func doerWords(d *penumbra.Doer) string {
	kind := ""
	if d.Kind != penumbra.UnknownActor {
		kind = " (" + d.Kind.String() + ")"
	}
	text := fmt.Sprintf("%s%s made %s of these settings, %.0f %% of those that a log tells of, the last on %s", oneLine(d.Actor), kind, count(d.Changes, "change"), 100*d.Share, stamp(d.Last))
	if d.Action != "" {
		text += ", by " + oneLine(d.Action)
	}
	if from, to, ok := usualHours(&d.Hours); ok {
		text += fmt.Sprintf(", mostly between %02d:00 and %02d:00 UTC", from, to)
	}
	if d.InCode() {
		text += ", in the code"
	}
	return text
}

// usualHours returns the shortest span of the day, of half a day at most, in which
// four in five changes were made; of fewer than four nothing is said.
func usualHours(hours *[24]int) (from, to int, ok bool) {
	total := 0
	for _, n := range hours {
		total += n
	}
	if total < 4 {
		return 0, 0, false
	}
	for length := 1; length <= 12; length++ {
		best := -1
		for start := range 24 {
			n := 0
			for i := range length {
				n += hours[(start+i)%24]
			}
			if 5*n >= 4*total && n > best {
				best, from, to = n, start, (start+length)%24
			}
		}
		if best >= 0 {
			return from, to, true
		}
	}
	return 0, 0, false
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// span writes a duration as people do: "5m", "1h", "30s".
func span(d time.Duration) string {
	text := d.Round(time.Second).String()
	text = strings.TrimSuffix(text, "m0s") + map[bool]string{true: "m"}[strings.HasSuffix(text, "m0s")]
	return strings.TrimSuffix(text, "h0m") + map[bool]string{true: "h"}[strings.HasSuffix(text, "h0m")]
}
