package choice

// origin is where a candidate comes from.
type origin uint8

// The origins.
const (
	latest        origin = iota // what a peer changed to last
	before                      // what the one before it changed to
	recent                      // what peers changed to of late
	common                      // what most peers have
	held                        // what some peers have
	movedLast                   // where a peer that had this value went last
	movedMost                   // where most of them went
	movedAny                    // where any of them went
	movedOn                     // where those went on to that followed the last of them
	tokenMoved                  // where settings of that name that had this value went, of any type
	anyMoved                    // where any setting that had this value went
	tokenRecent                 // what settings of that name changed to of late, of any type
	folderRecent                // the same in this folder
	siblingMoved                // what the sibling environment changed to
	ownLast                     // its value before the present one
	ownOlder                    // an earlier one
	flip                        // the other position of a switch
	nextPatch                   // its version with the last number raised
	nextMinor                   // with the last but one raised
	nextMajor                   // with the last but two raised
	nextDeeper                  // with one more number
	nextWhole                   // its only number raised
	newer                       // the next newer version that peers have
	newest                      // the newest version that peers have
	elementAfter                // the value of the next element of its list
	elementBefore               // of the one before
	classEdit                   // the edit of a peer made here
	tokenEdit                   // the edit of a setting of that name
	siblingEdit                 // the edit of the sibling environment
	classStep                   // the step of a peer's amount made here
	fledAlike                   // what a peer that had this value departed to
	fledOther                   // what another peer departed to
	somethingNew                // none of all these
	origins
)

// priorRates are how often each origin is right where it has something to say,
// before anything is learnt: judgements of which a few dozen changes are left
// when an estate has had its say.
var priorRates = [origins]float64{
	latest: 0.35, before: 0.1, recent: 0.15, common: 0.15, held: 0.2,
	movedLast: 0.6, movedMost: 0.5, movedAny: 0.6, movedOn: 0.4, tokenMoved: 0.4, anyMoved: 0.3,
	tokenRecent: 0.1, folderRecent: 0.2, siblingMoved: 0.3,
	ownLast: 0.05, ownOlder: 0.03, flip: 0.95,
	nextPatch: 0.15, nextMinor: 0.1, nextMajor: 0.03, nextDeeper: 0.02, nextWhole: 0.1, newer: 0.2, newest: 0.2,
	elementAfter: 0.1, elementBefore: 0.1, classEdit: 0.2, tokenEdit: 0.1, siblingEdit: 0.3, classStep: 0.1, fledAlike: 0.5, fledOther: 0.1,
	somethingNew: 0.4,
}

// form is what sort of value a setting has now.
type form uint8

// The forms.
const (
	switched  form = iota // true or false
	number                // a number, or an amount with a unit
	version               // numbers joined by dots
	reference             // an unresolved expression
	digest                // pinned by, or cut to, a hash
	list                  // of several texts
	word                  // a short text
	prose                 // a long one
	forms
)

var formNames = [forms]string{"switch", "number", "version", "reference", "digest", "list", "word", "prose"}

func (f form) String() string { return formNames[f] }

// rates counts how often origins were right.
type rates struct {
	Hits, Asked [origins]float32
}

// enough is the count at which older ones are halved.
const enough = 400

func (r *rates) count(s origin, hits, asked float32) {
	r.Hits[s] += hits
	r.Asked[s] += asked
	if r.Asked[s] > enough {
		r.Hits[s] /= 2
		r.Asked[s] /= 2
	}
}

// How many answers of a class, of a last path token and of a form those of the wider group are
// worth.
const (
	classStrength  = 3
	tokenStrength  = 5
	formStrength   = 10
	estateStrength = 20
)

// of returns the rate of a origin, drawn to the wider group's.
func (r *rates) of(s origin, wider, strength float64) float64 {
	if r == nil {
		return wider
	}
	return (float64(r.Hits[s]) + strength*wider) / (float64(r.Asked[s]) + strength)
}

var originNames = [origins]string{
	latest: "latest", before: "before", recent: "recent", common: "common", held: "held",
	movedLast: "moved last", movedMost: "moved most", movedAny: "moved", movedOn: "moved on", tokenMoved: "moved by name", anyMoved: "moved anywhere",
	tokenRecent: "recent by name", folderRecent: "recent in folder", siblingMoved: "sibling",
	ownLast: "own last", ownOlder: "own older", flip: "flip",
	nextPatch: "next patch", nextMinor: "next minor", nextMajor: "next major", nextDeeper: "next deeper", nextWhole: "next whole", newer: "newer", newest: "newest",
	elementAfter: "element after", elementBefore: "element before", classEdit: "edit", tokenEdit: "edit by name", siblingEdit: "edit of sibling",
	classStep: "step", fledAlike: "departed", fledOther: "departed from another", somethingNew: "something new",
}

func (s origin) String() string { return originNames[s] }
