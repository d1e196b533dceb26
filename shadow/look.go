package shadow

import (
	"math"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Look is what the pooled model knows of one setting at one time, in the form
// in which learned models take it.
type Look struct {
	Resource penumbra.Address
	Number   uint32 // of the resource, 0 if the model does not know it
	Type     string
	Path     string
	Class    string
	Actual   penumbra.Value
	Seen     int64 // Unix seconds when the value was last known to be its own, 0 if it never was
	// Changes reports that a normal change counts as leaving: the setting is not
	// declared, or only its code is known. Stays is the probability of not
	// leaving in any other way within each horizon: no departure, no habit.
	Changes bool
	Stays   [len(penumbra.Horizons)]float64
	// Survival is the pooled model's probability of no change within each of
	// [penumbra.Horizons].
	Survival [len(penumbra.Horizons)]float64
	// Estate is the log odds of a change of any setting of the estate within each
	// horizon: what is known of one of which nothing is known.
	Estate [len(penumbra.Horizons)]float64
	// Features are scaled to about one; [FeatureNames] says what each is.
	Features [NumFeatures]float32
	// Recent is what excites: recent changes nearby, of each setting there is.
	Recent [NumRecent]float32
	// Tokens are hashes of what has no scale: type and path, type, last token,
	// folder, address without the environment, value.
	Tokens [NumTokens]uint32
}

// The sources of what is recent.
const (
	RecentOwn          = iota // its own changes, half-life 5 days
	RecentOwnMonth            // the same, half-life 30 days
	RecentResource            // changes of its resource, of each of its settings
	RecentSibling             // of the same setting in sibling environments
	RecentSiblingMonth        // the same, half-life 30 days
	RecentAhead               // a sibling environment has moved to another value
	RecentPeers               // changes of its peers, of each
	RecentPeersDay            // the same, half-life a day
	RecentLike                // peers that left its value, of each that has it
	RecentFolder              // changes in its folder, of each setting
	RecentNewer               // a newer value than its own is in the fleet
	NumRecent
)

// most bounds what excites: beyond it all are changing anyway.
const most = 4

func ofEach(changes, members float64) float32 { return float32(min(most, changes/(members+1))) }

// NumTokens is how many tokens a look has.
const NumTokens = 6

// The features of a look.
const (
	featurePooled = iota
	featureOwnCount
	featureOwnWeek
	featureOwnMonth
	featureOwnSeason
	featureOwnYear
	featureSince
	featureChanged
	featureAge
	featureDue
	featureOverdue
	featureByUser
	featureByAutomation
	featureResourceWeek
	featureResourceMonth
	featureResourceYear
	featureResourceSince
	featureResourceSettings
	featureResourceAge
	featureResourceShare
	featureClassRate
	featureClassMonth
	featureClassWeek
	featureClassDay
	featureClassSince
	featureClassMembers
	featureClassSweeps
	featureTypeRate
	featureTypeMonth
	featureTypeWeek
	featureTokenRate
	featureTokenMonth
	featureFolderRate
	featureFolderMonth
	featureFolderWeek
	featureFolderSince
	featureFolderMembers
	featureEstateWeek
	featureSiblingWeek
	featureSiblingMonth
	featureSiblingYear
	featureSiblingAhead
	featureSiblingSince
	featureValueLatest
	featureValueBefore
	featureValueShare
	featureValueAge
	featureValueFled
	featureValueFledSeason
	featureValueNewer
	featureValueUnknown
	featureIsBool
	featureIsNumber
	featureIsVersion
	featureIsReference
	featureIsList
	featureIsProduction
	featureIsTrial
	featureWeekend
	featureMorning
	featureMissed
	featureBornShare
	featureBornSince
	featureBornLead
	featureBehind
	featureBehindNew
	featureArrivalShare
	NumFeatures
)

// NumPeerFeatures is the number of those that Peer returns.
const NumPeerFeatures = 7

// Peer returns the plain features: time since the last change, own changes, the
// same decayed, the class's rate over a year and a month, and the pooled
// model's log odds.
func (l *Look) Peer() [NumPeerFeatures]float32 {
	x := &l.Features
	return [NumPeerFeatures]float32{
		x[featureSince], x[featureOwnCount], x[featureOwnSeason], x[featureChanged], x[featureClassRate], x[featureClassMonth], x[featurePooled],
	}
}

// NumOwnFeatures is the number of [OwnFeatures].
const NumOwnFeatures = NumFeatures - 15

// OwnFeatures are those of [FeatureNames] that differ between the settings of
// one class at one time.
var OwnFeatures = func() (out [NumOwnFeatures]int) {
	n := 0
	for i := range NumFeatures {
		shared := i >= featureClassRate && i <= featureTokenMonth || i == featureEstateWeek || i == featureWeekend || i == featureMorning
		if !shared {
			out[n] = i
			n++
		}
	}
	return out
}()

// FeatureNames say what each feature of a look is.
var FeatureNames = [NumFeatures]string{
	featurePooled:           "the pooled model's log odds of a change within 30 days",
	featureOwnCount:         "its own changes",
	featureOwnWeek:          "its own changes of late",
	featureOwnMonth:         "its own changes, half-life 30 d",
	featureOwnSeason:        "its own changes, half-life 90 d",
	featureOwnYear:          "its own changes, half-life 365 d",
	featureSince:            "days since its last change, or its first sight",
	featureChanged:          "whether it ever changed",
	featureAge:              "its age",
	featureDue:              "time since its last change by its mean gap",
	featureOverdue:          "how far that is past due",
	featureByUser:           "a person changed it last",
	featureByAutomation:     "automation changed it last",
	featureResourceWeek:     "its resource's changes of late",
	featureResourceMonth:    "its resource's changes, half-life 30 d",
	featureResourceYear:     "its resource's changes, half-life 365 d",
	featureResourceSince:    "days since its resource's last change",
	featureResourceSettings: "how many settings its resource has",
	featureResourceAge:      "its resource's age",
	featureResourceShare:    "its share of its resource's changes",
	featureClassRate:        "how often such settings change",
	featureClassMonth:       "the same in the last month",
	featureClassWeek:        "a wave through such settings",
	featureClassDay:         "the same today",
	featureClassSince:       "days since one of them changed",
	featureClassMembers:     "how many of them there are",
	featureClassSweeps:      "at how many different times they changed",
	featureTypeRate:         "how often settings of its type change",
	featureTypeMonth:        "the same in the last month",
	featureTypeWeek:         "a wave through its type",
	featureTokenRate:        "how often settings of that name change in any type",
	featureTokenMonth:       "the same in the last month",
	featureFolderRate:       "how often settings of its folder change",
	featureFolderMonth:      "the same in the last month",
	featureFolderWeek:       "a wave through its folder",
	featureFolderSince:      "days since a change in its folder",
	featureFolderMembers:    "how many settings its folder has",
	featureEstateWeek:       "how busy the estate is",
	featureSiblingWeek:      "changes in sibling environments of late",
	featureSiblingMonth:     "changes in sibling environments, half-life 30 d",
	featureSiblingYear:      "changes in sibling environments, half-life 365 d",
	featureSiblingAhead:     "a sibling environment has moved to another value",
	featureSiblingSince:     "days since a sibling environment changed",
	featureValueLatest:      "it has the value last changed to in the fleet",
	featureValueBefore:      "it has the value before that",
	featureValueShare:       "share of its peers that have its value",
	featureValueAge:         "how old its value is in the fleet",
	featureValueFled:        "peers that left its value of late",
	featureValueFledSeason:  "peers that left its value, half-life 90 d",
	featureValueNewer:       "a newer value than its own is in the fleet",
	featureValueUnknown:     "nobody else has its value",
	featureIsBool:           "it is a switch",
	featureIsNumber:         "it is a number or an amount",
	featureIsVersion:        "it is a version",
	featureIsReference:      "it is an unresolved expression",
	featureIsList:           "it is an element of a list",
	featureIsProduction:     "its address says production",
	featureIsTrial:          "its address says development or test",
	featureWeekend:          "it is a weekend",
	featureMorning:          "it is before noon, UTC",
	featureMissed:           "changes of its peers since its own last",
	featureBornShare:        "share of the newest members that began with its value",
	featureBornSince:        "days since a member began with its value",
	featureBornLead:         "members began with another value since",
	featureBehind:           "share of its peers with a greater value",
	featureBehindNew:        "share of the newest values that are greater",
	featureArrivalShare:     "share of the latest changes that went to its value",
}

// Visit calls visit for each setting that Forecast answers for, in its order.
// The look is reused between calls.
func (p *Pooled) Visit(r *penumbra.Resource, at time.Time, visit func(*Look)) {
	t := at.Unix()
	known := p.resources[r.Address]
	v := view{p: p, r: known, at: t, q: question{p: p, r: known, at: t}}
	if known == nil {
		v.r = &resource{kind: r.Type, folder: &group{}, born: t}
		if f := p.folders[folder(r.Address)]; f != nil {
			v.r.folder = f
		}
		v.r.family = hashText(family(r.Address))
		v.q.r = v.r
	}
	v.shared(r.Address, at)
	l := Look{Resource: r.Address, Type: r.Type, Number: v.r.number}
	walk(r, known, func(path string, template penumbra.Value, s *setting) {
		c := v.q.class(p.classes[classKey{r.Type, mask(path)}], path)
		if s != nil {
			c = s.class
		}
		l.Path, l.Class = path, c.key.path
		if l.Actual = r.Actual.Get(path); l.Actual.IsNull() {
			l.Actual = template
		}
		v.look(&l, template, c, s)
		visit(&l)
	})
}

// Survey visits the settings, as Visit does, of the known resource whose number
// the draw, within [0, 1), falls on. It reports whether there is one: numbers
// of resources that ended have none.
func (p *Pooled) Survey(draw float64, at time.Time, visit func(*Look)) bool {
	return draw >= 0 && draw < 1 && p.SurveyNumber(uint32(draw*float64(len(p.numbered)))+1, at, visit)
}

// SurveyNumber is [Pooled.Survey] for the resource of a number, from 1 to
// [Pooled.Numbers].
func (p *Pooled) SurveyNumber(number uint32, at time.Time, visit func(*Look)) bool {
	if number == 0 || int(number) > len(p.numbered) || p.numbered[number-1] == nil {
		return false
	}
	r := p.numbered[number-1]
	v := view{p: p, r: r, at: at.Unix(), q: question{p: p, r: r, at: at.Unix()}}
	v.shared(r.address, at)
	l := Look{Resource: r.address, Type: r.kind, Number: r.number}
	for i := range r.settings {
		s := &r.settings[i]
		if s.seen == 0 && s.template.IsNull() {
			continue
		}
		l.Path, l.Class, l.Actual = s.path, s.class.key.path, s.actual
		v.look(&l, s.template, s.class, s)
		visit(&l)
	}
	return true
}

// Number returns the number of a resource, 0 if the model does not know it.
func (p *Pooled) Number(address penumbra.Address) uint32 {
	if r := p.resources[address]; r != nil {
		return r.number
	}
	return 0
}

// Around returns the recent changes of each peer of a setting, with half-lives
// of 5 days and a day, and of each setting in its folder.
func (p *Pooled) Around(address penumbra.Address, path string) (week, day, folder float64) {
	r := p.resources[address]
	s := r.find(path)
	if s == nil {
		return 0, 0, 0
	}
	c, f := &s.class.pool, &r.folder.pool
	return float64(ofEach(c.surge, c.members)), float64(ofEach(c.day, c.members)), float64(ofEach(f.surge, f.members))
}

// Numbers returns how many numbers resources have had: a survey of so many
// draws looks at each once on average.
func (p *Pooled) Numbers() int { return len(p.numbered) }

// view computes the looks of one resource at one time.
type view struct {
	p      *Pooled
	q      question
	r      *resource
	at     int64
	base   [NumFeatures]float32 // what all its settings share
	estate [len(penumbra.Horizons)]float64
	recent [NumRecent]float32 // the same
	own    activity
	code   [NumTokens]uint32
}

// log1p and the like, in the precision of a feature.
func log1p(x float64) float32 { return float32(math.Log1p(max(0, x))) }

// ago scales a time to [0, 1]: now is 1, a day ago about 0.8, a year ago 0.
func ago(at, then int64) float32 {
	if then == 0 {
		return 0
	}
	return float32(1 - math.Log1p(days(max(0, at-then)))/math.Log1p(1500))
}

// rateOf returns the logarithm of a rate by that of once a year, scaled.
func rateOf(changes, exposure, prior float64) float32 {
	return float32(math.Log((changes+1e-3+prior*30)/(exposure+30)*365) / 4)
}

// recently returns the recent changes of each member on a logarithmic scale.
func recently(changes, members float64) float32 {
	return float32(math.Log((changes+0.01)/(members+1)+1e-5)/6 + 1.5)
}

// shared computes what all settings of the resource share.
func (v *view) shared(address penumbra.Address, at time.Time) {
	p, r, b := v.p, v.r, &v.base
	v.own = r.own.as(v.at)
	estate := p.all.pool
	estate.advance(v.at)
	b[featureResourceWeek] = log1p(float64(v.own.week))
	b[featureResourceMonth] = log1p(float64(v.own.month))
	b[featureResourceYear] = log1p(float64(v.own.year))
	b[featureResourceSince] = ago(v.at, r.own.at)
	b[featureResourceSettings] = log1p(float64(len(r.settings))) / 4
	b[featureResourceAge] = ago(v.at, r.born)
	v.recent[RecentResource] = ofEach(float64(v.own.week), float64(len(r.settings)))
	f := r.folder.pool
	f.advance(v.at)
	mean := estate.changes / (estate.exposure + 1)
	rate := (estate.changes + 0.5) / (estate.exposure + 30)
	for i, span := range penumbra.Horizons {
		v.estate[i] = math.Log(math.Expm1(rate * span.Hours() / 24))
	}
	b[featureFolderRate] = rateOf(f.changes, f.exposure, mean)
	b[featureFolderMonth] = recently(f.month, f.members)
	b[featureFolderWeek] = recently(f.surge, f.members)
	v.recent[RecentFolder] = ofEach(f.surge, f.members)
	b[featureFolderSince] = ago(v.at, f.swept)
	b[featureFolderMembers] = log1p(f.members) / 8
	b[featureEstateWeek] = recently(estate.surge, estate.members)
	name := string(address)
	if hasWord(name, "production", "prod", "prd", "live") {
		b[featureIsProduction] = 1
	}
	if hasWord(name, "dev", "development", "test", "staging", "stage", "uat", "preprod", "qa", "sandbox", "demo") {
		b[featureIsTrial] = 1
	}
	if d := at.UTC().Weekday(); d == time.Saturday || d == time.Sunday {
		b[featureWeekend] = 1
	}
	if at.UTC().Hour() < 12 {
		b[featureMorning] = 1
	}
	v.code[3] = hashText("folder", folder(address))
	v.code[4] = r.family
}

// hasWord reports whether one of the words stands alone in the name.
func hasWord(name string, words ...string) bool {
	for i := 0; i < len(name); {
		j := i
		for j < len(name) && !separates(name[j]) {
			j++
		}
		for _, w := range words {
			if name[i:j] == w {
				return true
			}
		}
		i = j + 1
	}
	return false
}

// classView keeps the features that all members of a class share.
type classView struct {
	at        int64
	version   uint64
	features  [featureTokenMonth + 1 - featureClassRate]float32
	week, day float32
	values    []newest // of each of the class's values
}

// newest is how many of the latest members began with a value, and how many of
// the latest changes went to it.
type newest struct{ births, arrivals float32 }

func (v *view) class(c *class) *classView {
	p := v.p
	if c.view.at == v.at && c.view.version == p.version+1 && len(c.view.values) == len(c.values) {
		return &c.view
	}
	c.view.at, c.view.version = v.at, p.version+1
	f := &c.view.features
	set := func(feature int, x float32) { f[feature-featureClassRate] = x }
	own, kind, token := c.pool, c.kind.pool, c.token.pool
	own.advance(v.at)
	kind.advance(v.at)
	token.advance(v.at)
	mean := p.all.changes / (p.all.exposure + 1)
	set(featureClassRate, rateOf(own.changes, own.exposure, mean))
	set(featureClassMonth, recently(own.month, own.members))
	set(featureClassWeek, recently(own.surge, own.members))
	set(featureClassDay, recently(own.day, own.members))
	c.view.week, c.view.day = ofEach(own.surge, own.members), ofEach(own.day, own.members)
	set(featureClassSince, ago(v.at, own.swept))
	set(featureClassMembers, log1p(own.members)/8)
	set(featureClassSweeps, log1p(own.sweeps)/4)
	set(featureTypeRate, rateOf(kind.changes, kind.exposure, mean))
	set(featureTypeMonth, recently(kind.month, kind.members))
	set(featureTypeWeek, recently(kind.surge, kind.members))
	set(featureTokenRate, rateOf(token.changes, token.exposure, mean))
	set(featureTokenMonth, recently(token.month, token.members))
	c.view.values = c.view.values[:0]
	for i := range c.values {
		y := &c.values[i]
		d := days(max(0, v.at-y.at))
		c.view.values = append(c.view.values, newest{float32(y.births * decay(d, bornLife)), float32(y.arrivals * decay(d, ownLife))})
	}
	return &c.view
}

// look fills in what is known of one setting, which may be nil.
func (v *view) look(l *Look, template penumbra.Value, c *class, s *setting) {
	x := &l.Features
	*x = v.base
	class := v.class(c)
	copy(x[featureClassRate:], class.features[:])
	l.Recent = v.recent
	l.Recent[RecentPeers], l.Recent[RecentPeersDay] = class.week, class.day
	l.Tokens = v.code
	l.Tokens[0], l.Tokens[1], l.Tokens[2] = c.hash, hashText(c.key.kind), hashText(lastToken(c.key.path))
	declared := !template.IsNull() && template.Kind() != penumbra.UnknownKind
	l.Seen = 0
	if s != nil {
		l.Seen = s.seen.unix()
		if v.r.code && s.seen != 0 { // what the code did not change, it left as it was
			l.Seen = max(s.seen.unix(), v.p.all.at)
		}
	}
	o := v.q.outlook(c, s, declared)
	l.Changes = o.changes
	l.Stays = o.stays()
	z := o.change
	if !o.changes {
		z = v.p.changeHazard(c, v.r, s, v.at)
	}
	for i, span := range penumbra.Horizons {
		l.Survival[i] = z.survival(span.Hours() / 24)
	}
	last := min(1-1e-9, max(1e-9, 1-l.Survival[len(l.Survival)-1]))
	l.Estate = v.estate
	x[featurePooled] = float32(math.Log(last/(1-last)) / 4)
	if s != nil {
		v.history(l, s)
		v.value(l, c, s)
		l.Tokens[5] = hashText(s.actual.Text())
		v.siblings(l, c, s, l.Tokens[5])
	}
	v.form(x, c, l.Actual)
}

func (v *view) history(l *Look, s *setting) {
	x := &l.Features
	x[featureAge] = ago(v.at, s.since.unix())
	x[featureSince] = x[featureAge]
	h := s.history
	if h == nil || h.recent.n == 0 {
		return
	}
	a := h.recent.as(v.at)
	l.Recent[RecentOwn], l.Recent[RecentOwnMonth] = min(most, a.week), min(most, a.month)
	x[featureOwnCount] = log1p(float64(a.n))
	x[featureOwnWeek] = log1p(float64(a.week))
	x[featureOwnMonth] = log1p(float64(a.month))
	x[featureOwnSeason] = log1p(s.sums(v.at).changes)
	x[featureOwnYear] = log1p(float64(a.year))
	x[featureSince] = ago(v.at, a.at)
	x[featureChanged] = 1
	if a.n >= 2 {
		gap := days(a.at-a.first)/float64(a.n-1) + 0.5
		due := math.Log((days(v.at-a.at) + 0.5) / gap)
		x[featureDue] = float32(max(-3, min(3, due)) / 2)
		x[featureOverdue] = float32(max(0, min(4, due)) / 2)
	}
	switch h.actor {
	case penumbra.User:
		x[featureByUser] = 1
	case penumbra.Automation:
		x[featureByAutomation] = 1
	}
	x[featureResourceShare] = float32(min(1, float64(a.year)/(float64(v.own.year)+1e-3)))
}

func (v *view) value(l *Look, c *class, s *setting) {
	x := &l.Features
	if c.latest.time != 0 {
		switch s.actual {
		case c.latest.value:
			x[featureValueLatest] = 1
		case c.before.value:
			x[featureValueBefore] = 1
		}
	}
	x[featureMissed] = log1p(float64(c.turns-s.mark)/(c.members+1)) / 2
	v.newest(x, c, s)
	var since int64
	x[featureValueUnknown] = 1
	for i := range c.values {
		if y := &c.values[i]; y.value == s.actual {
			d := days(max(0, v.at-y.at))
			x[featureValueShare] = float32(min(1, y.holders/(c.members+1)))
			x[featureValueAge] = ago(v.at, y.since)
			l.Recent[RecentLike] = ofEach(y.left*decay(d, waveLife), y.holders)
			x[featureValueFled] = recently(y.left*decay(d, waveLife), y.holders)
			x[featureValueFledSeason] = recently(y.lost*decay(d, ownLife), y.holders)
			if y.holders > 1 {
				x[featureValueUnknown] = 0
			}
			since = y.since
			break
		}
	}
	if c.latest.time > max(since, s.since.unix()) && x[featureValueLatest] == 0 {
		x[featureValueNewer] = ago(v.at, c.latest.time)
		l.Recent[RecentNewer] = x[featureValueNewer]
	}
}

func (v *view) siblings(l *Look, c *class, s *setting, value uint32) {
	x := &l.Features
	b := v.p.siblings[siblingKey{v.r.family, c.hash}]
	if b == nil {
		return
	}
	y := b.as(v.at)
	if s.history != nil { // its own changes are among them
		a := s.history.recent.as(v.at)
		y.week, y.month, y.year = y.week-a.week, y.month-a.month, y.year-a.year
	}
	l.Recent[RecentSibling], l.Recent[RecentSiblingMonth] = max(0, min(most, y.week)), max(0, min(most, y.month))
	x[featureSiblingWeek] = log1p(float64(y.week))
	x[featureSiblingMonth] = log1p(float64(y.month))
	x[featureSiblingYear] = log1p(float64(y.year))
	x[featureSiblingSince] = ago(v.at, b.last)
	if s.history == nil || s.history.recent.at < b.last {
		if b.value != value {
			x[featureSiblingAhead] = x[featureSiblingSince]
			l.Recent[RecentAhead] = x[featureSiblingAhead]
		}
	}
}

// form says what sort of value it is.
func (v *view) form(x *[NumFeatures]float32, c *class, value penumbra.Value) {
	switch value.Kind() {
	case penumbra.BoolKind:
		x[featureIsBool] = 1
	case penumbra.NumberKind:
		x[featureIsNumber] = 1
	case penumbra.StringKind:
		switch text := value.Text(); {
		case IsReference(text):
			x[featureIsReference] = 1
		case looksLikeVersion(text):
			x[featureIsVersion] = 1
		default:
			if _, _, ok := quantity(value); ok {
				x[featureIsNumber] = 1
			}
		}
	}
	if strings.IndexByte(c.key.path, '*') >= 0 {
		x[featureIsList] = 1
	}
}

// IsReference reports whether a text is an expression that was not resolved:
// its value is not known, only that it stays or is rewritten.
func IsReference(text string) bool {
	for _, start := range [...]string{"module.", "var.", "local.", "data.", "each.", "${"} {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	return strings.Contains(text, "${")
}

// looksLikeVersion reports whether the text has numbers joined by dots, alone or
// after a 'v' or a colon.
func looksLikeVersion(text string) bool {
	if i := strings.LastIndexAny(text, ":="); i >= 0 {
		text = text[i+1:]
	}
	text = strings.TrimPrefix(text, "v")
	dots, digits := 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			dots++
		case c == '-' || c == '+':
			return dots > 0 && digits > 0
		default:
			return false
		}
	}
	return dots > 0 && digits > dots && dots < 5
}

// newest holds the value against those that members began with or went to of
// late, and against greater ones.
func (v *view) newest(x *[NumFeatures]float32, c *class, s *setting) {
	var births, own, arrivals, ownArrivals, held, above, fresh, freshAbove float64
	var ownBorn, born int64
	for i := range c.values {
		y, now := &c.values[i], &c.view.values[i]
		births += float64(now.births)
		arrivals += float64(now.arrivals)
		born = max(born, y.born)
		held += y.holders
		fresh += float64(now.births + now.arrivals)
		if y.value == s.actual {
			own, ownBorn, ownArrivals = float64(now.births), y.born, float64(now.arrivals)
			continue
		}
		if newer(y.value, s.actual) {
			above += y.holders
			freshAbove += float64(now.births + now.arrivals)
		}
	}
	x[featureBornShare] = float32((own+0.05)/(births+0.1+0.05) - 0.5)
	x[featureBornSince] = ago(v.at, ownBorn)
	x[featureBornLead] = ago(v.at, born) - ago(v.at, ownBorn)
	x[featureArrivalShare] = float32((ownArrivals+0.05)/(arrivals+0.15) - 0.5)
	x[featureBehind] = float32(above / (held + 1))
	x[featureBehindNew] = float32(freshAbove / (fresh + 1))
}

// newer reports whether a is greater than b: as numbers, or as versions.
func newer(a, b penumbra.Value) bool {
	if a.Kind() == penumbra.NumberKind && b.Kind() == penumbra.NumberKind {
		x, _, _ := quantity(a)
		y, _, _ := quantity(b)
		return x > y
	}
	if a.Kind() != penumbra.StringKind || b.Kind() != penumbra.StringKind {
		return false
	}
	return compareVersions(a.Text(), b.Text()) > 0
}

// compareVersions compares texts with numbers in them, number by number and
// text by text; 0 if their texts differ.
func compareVersions(a, b string) int {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		if digit(a[i]) && digit(b[j]) {
			x, y := 0, 0
			for ; i < len(a) && digit(a[i]); i++ {
				x = x*10 + int(a[i]-'0')
			}
			for ; j < len(b) && digit(b[j]); j++ {
				y = y*10 + int(b[j]-'0')
			}
			if x != y {
				if x > y {
					return 1
				}
				return -1
			}
			continue
		}
		if a[i] != b[j] {
			return 0
		}
		i++
		j++
	}
	return (len(a) - i) - (len(b) - j)
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
