package succession

import (
	"math"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// question is which of the settings that a resource has change next.
type question struct {
	resource            penumbra.Address
	at                  int64
	own, family, folder *memory
	context             int
	candidates          []candidate
	place               map[uint32]int // by class, in candidates
	hits                int
}

// candidate is a class of settings that the resource has.
type candidate struct {
	class    *class
	value    uint32  // digest of the first one's
	base     float64 // how often it is the one that changes, all of them together
	many     int     // elements of a list share a class
	hit      bool
	features [numFeatures]float32
	p        float64
}

// The features of a candidate. Those that end in Long, Short, After, Years,
// Season, Week and Today are logarithms of shares of changes.
const (
	ownLong       = iota // the resource's own changes
	ownShort             //
	ownLast              // it changed when the resource last did
	ownLastButOne        // or the time before
	ownSince             // log of the days since it changed
	ownNever             // it never did
	ownThen              // it followed what changed last, the last time
	familyLong           // sibling environments' changes
	familyShort
	familyAhead // a sibling environment has moved on
	folderLong
	folderShort
	folderLast
	after // what follows such a setting in its type
	fleetYears
	fleetSeason
	fleetWeek
	fleetToday
	pathYears // the path in all types
	pathWeek
	nameYears // the path's last name in all types
	newer     // the fleet has moved to another value
	newerToday
	leftValue  // and it was this one's that it left
	valueYears // how often the value is left
	elements
	isBool
	isNumber
	isReference
	numFeatures
)

var unknown = &memory{}

// begin starts a question.
func (m *Model) begin(q *question, address penumbra.Address, at int64) {
	place := q.place
	if place == nil {
		place = map[uint32]int{}
	}
	clear(place)
	*q = question{resource: address, at: at, candidates: q.candidates[:0], place: place, own: unknown, family: unknown, folder: unknown}
	if x := m.resources[address]; x != nil {
		q.own = x
	}
	if x := m.families[text(shadow.Family(address))]; x != nil {
		q.family = x
	}
	if x := m.folders[text(folder(address))]; x != nil {
		q.folder = x
	}
}

// add makes a setting one of the candidates.
func (q *question) add(c *class, v penumbra.Value) {
	if i, ok := q.place[c.number]; ok {
		q.candidates[i].many++
		return
	}
	q.place[c.number] = len(q.candidates)
	x := candidate{class: c, value: digest(v), many: 1}
	switch {
	case v.Kind() == penumbra.BoolKind:
		x.features[isBool] = 1
	case v.Kind() == penumbra.NumberKind:
		x.features[isNumber] = 1
	case shadow.IsReference(v.Text()):
		x.features[isReference] = 1
	}
	q.candidates = append(q.candidates, x)
}

// hit notes that a class changed.
func (q *question) hit(class uint32) {
	i, ok := q.place[class]
	if ok && !q.candidates[i].hit {
		q.candidates[i].hit = true
		q.hits++
	}
}

func log(x float64) float32 { return float32(math.Log(x)) }

// The counts that a prior is worth: of a name in all types, and of the
// reach next wider.
const (
	rarely     = 0.02 // the share of questions in which a new name changes
	priorPath  = 1
	priorClass = 2
)

// prepare computes the features when all candidates are there.
func (m *Model) prepare(q *question) {
	q.context = contextOf(q)
	sum := 0.0
	for i := range q.candidates {
		x := &q.candidates[i]
		x.base = x.class.share(years, q.at, x.class.path.share(years, q.at, rarely, priorPath), priorClass)
		sum += x.base
	}
	own, family, folder := q.own.sums(q.at), q.family.sums(q.at), q.folder.sums(q.at)
	lasts, following := m.lastOf(q)
	for i := range q.candidates {
		x := &q.candidates[i]
		prior := x.base / sum
		mine := x.own(q, own, prior)
		x.near(q, family, folder, prior, mine)
		n := float32(0)
		for _, c := range lasts {
			n += c.after.counts(x.class.number, q.at).long
		}
		x.features[after] = blend(n, following, prior)
		x.fleet(q.at, mine)
	}
}

// lastOf returns what the resource changed last, and how much followed such
// changes.
func (m *Model) lastOf(q *question) (lasts []*class, following float32) {
	const most = 4 // of many it hardly matters which
	for i := range q.own.Entries {
		e := &q.own.Entries[i]
		if e.At != q.own.At || len(lasts) == most {
			continue
		}
		c := m.classes[e.Class]
		lasts = append(lasts, c)
		following += c.after.sums(q.at).long
		if j, ok := q.place[e.Then-1]; ok && e.Then != 0 {
			q.candidates[j].features[ownThen] = 1
		}
	}
	return lasts, following
}

// blend is the logarithm of the share that a count is of all, with a prior
// that is worth one.
func blend(n, all float32, prior float64) float32 {
	return log((float64(n) + prior) / (float64(all) + 1))
}

// own fills in what the resource's own changes say, and returns when the
// setting last changed, 0 if it never did.
func (x *candidate) own(q *question, all counts, prior float64) int64 {
	n, f := q.own.counts(x.class.number, q.at), &x.features
	f[ownLong], f[ownShort] = blend(n.long, all.long, prior), blend(n.short, all.short, prior)
	switch n.last {
	case 0:
		f[ownNever] = 1
		return 0
	case q.own.At:
		f[ownLast] = 1
	case q.own.Before:
		f[ownLastButOne] = 1
	}
	f[ownSince] = log(1 + float64(q.at-n.last)/day)
	return n.last
}

// near fills in what changes in sibling environments and of the folder say.
func (x *candidate) near(q *question, family, folder counts, prior float64, mine int64) {
	n, f := q.family.counts(x.class.number, q.at), &x.features
	f[familyLong], f[familyShort] = blend(n.long, family.long, prior), blend(n.short, family.short, prior)
	if n.last > mine && n.to != x.value {
		f[familyAhead] = halved(q.at-n.last, 30)
	}
	n = q.folder.counts(x.class.number, q.at)
	f[folderLong], f[folderShort] = blend(n.long, folder.long, prior), blend(n.short, folder.short, prior)
	if n.last > mine {
		f[folderLast] = halved(q.at-n.last, 2)
	}
}

// fleet fills in what the changes of all resources say.
func (x *candidate) fleet(at, mine int64) {
	c, f := x.class, &x.features
	f[fleetYears] = log(x.base)
	f[fleetSeason] = log(c.share(season, at, x.base, 2))
	f[fleetWeek] = log(c.share(week, at, x.base, 1))
	f[fleetToday] = log(c.share(today, at, x.base, 1))
	f[pathYears] = log(c.path.share(years, at, rarely, priorPath))
	f[pathWeek] = log(c.path.share(week, at, rarely, priorPath))
	f[nameYears] = log(c.name.share(years, at, rarely, priorPath))
	if c.moved > mine && x.value != c.to {
		f[newer] = halved(at-c.moved, 30)
		f[newerToday] = halved(at-c.moved, 1)
		if x.value == c.from {
			f[leftValue] = halved(at-c.moved, 10)
		}
	}
	if v := c.value(x.value); v != nil {
		f[valueYears] = log((float64(v.Changed)+2*x.base)/(float64(v.Asked)+2)) - f[fleetYears]
	}
	f[elements] = log(float64(x.many))
}

// contexts is how many kinds of question have weights of their own: by how
// often the resource changed, and how long ago.
const contexts = 10

func contextOf(q *question) int {
	k := 7
	switch {
	case q.own.Changes == 0:
		return 0
	case q.own.Changes == 1:
		k = 1
	case q.own.Changes < 4:
		k = 4
	}
	switch gap := q.at - q.own.At; {
	case gap < 2*60*60:
		return k
	case gap < 2*day:
		return k + 1
	}
	return k + 2
}
