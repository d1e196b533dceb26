package departure

import (
	"math"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/daily"
	"github.com/penumbra-iac/penumbra/shadow"
)

// Half-lives of what is counted of departures, in days.
const (
	followLife = 30
	ownLife    = 180
	yearLife   = 365
)

// decayed is a sum that halves in its half-life, as of a time.
type decayed struct {
	_   struct{} `cbor:",toarray"`
	Sum float64
	At  int64
}

func (d *decayed) as(at int64, life float64) float64 {
	return d.Sum * math.Exp2(-float64(max(0, at-d.At))/daily.Seconds/life)
}

func (d *decayed) add(at int64, life float64) { d.Sum, d.At = d.as(at, life)+1, max(at, d.At) }

// class is what is kept of the settings of one type and masked path.
type class struct {
	kind, path string
	values     []*held
	byValue    map[penumbra.Value]*held
	families   map[string]*decayed       // departures by family of resources, yearLife
	last       map[string]penumbra.Value // what was last departed to, by line of versions
	roster     []uint32                  // of resources of the type, at most Options.Members
	scanned    uint32                    // numbers that were looked at for the roster
	members    float64                   // that are declared, at the last census
	controls   []*example                // that were asked about at the last census
	cases      []*example                // that departed since
	shift      [horizons]float64         // see balance
	kept       []*example                // a sample of all questions so far
	questions  uint64                    // so far
}

// held is one value that members have or had.
type held struct {
	value   penumbra.Value
	version version
	first   int64 // Unix seconds when the fleet first had it
	holders float64
	to      []arrival      // where those went that departed from it
	newer   float64        // values of its line that came later and have holders
	common  penumbra.Value // the commonest of them
	newest  penumbra.Value // the last of them that came
}

// arrival counts the departures to a value.
type arrival struct {
	_     struct{} `cbor:",toarray"`
	Value penumbra.Value
	Count decayed
}

func newClass(kind, path string) *class {
	return &class{kind: kind, path: path, byValue: map[penumbra.Value]*held{}, families: map[string]*decayed{}, last: map[string]penumbra.Value{}}
}

// mostValues bounds the values that are kept of a class.
const mostValues = 512

// value returns what is kept of a value, made at the time if there is room; nil
// if there is none.
func (c *class) value(v penumbra.Value, at int64) *held {
	x := c.byValue[v]
	if x == nil {
		if len(c.values) >= mostValues && !c.drop() {
			return nil
		}
		x = &held{value: v, version: versionOf(v), first: at}
		c.byValue[v] = x
		c.values = append(c.values, x)
	}
	return x
}

// drop makes room: of the values that nobody has the one that came first goes.
func (c *class) drop() bool {
	least := -1
	for i, x := range c.values {
		if x.holders == 0 && (least < 0 || x.first < c.values[least].first) {
			least = i
		}
	}
	if least < 0 {
		return false
	}
	delete(c.byValue, c.values[least].value)
	c.values = append(c.values[:least], c.values[least+1:]...)
	return true
}

// census counts who has which value, and visits the settings that are at risk.
func (c *class) census(m *Model, at time.Time, visit func(*shadow.AtRisk)) {
	c.enlist(m)
	for _, x := range c.values {
		x.holders = 0
	}
	c.members = 0
	kept := c.roster[:0]
	for _, number := range c.roster {
		if m.counts.TypeOf(number) != c.kind {
			continue // it has ended
		}
		kept = append(kept, number)
		m.counts.DepartingNumber(number, at, func(x *shadow.AtRisk) {
			if x.Class != c.path {
				return
			}
			c.members++
			if h := c.value(x.Value, x.Since); h != nil {
				h.holders++
				h.first = min(h.first, x.Since)
			}
			if visit != nil && !x.Away {
				visit(x)
			}
		})
	}
	c.roster = kept
	c.compare()
}

// enlist takes resources in that came since the last census. Beyond what is
// allowed the first ones stand for the rest.
func (c *class) enlist(m *Model) {
	for n := uint32(m.counts.Numbers()); c.scanned < n; {
		c.scanned++
		if len(c.roster) < m.options.Members && m.counts.TypeOf(c.scanned) == c.kind {
			c.roster = append(c.roster, c.scanned)
		}
	}
}

// compare sees which values are newer versions of others.
func (c *class) compare() {
	lines := map[string][]*held{}
	for _, x := range c.values {
		if x.version.depth > 0 && x.holders > 0 {
			lines[x.version.line] = append(lines[x.version.line], x)
		}
	}
	for _, x := range c.values {
		x.newer, x.common, x.newest = 0, penumbra.Null(), penumbra.Null()
		var most float64
		var latest int64
		for _, y := range lines[x.version.line] {
			if y.first <= x.first || !x.version.replacedBy(y.version) {
				continue
			}
			x.newer++
			if y.holders > most {
				most, x.common = y.holders, y.value
			}
			if y.first > latest {
				latest, x.newest = y.first, y.value
			}
		}
	}
}

// depart counts a departure.
func (c *class) depart(family string, from, to penumbra.Value, at int64) {
	f := c.families[family]
	if f == nil {
		f = &decayed{}
		c.families[family] = f
	}
	f.add(at, yearLife)
	if len(c.last) < mostValues {
		c.last[versionOf(from).line] = to
	}
	known := c.byValue[from] != nil
	x := c.value(from, at)
	if x == nil {
		return
	}
	if !known { // so that a model read back, which compares all, says the same
		c.compare()
	}
	for i := range x.to {
		if x.to[i].Value == to {
			x.to[i].Count.add(at, followLife)
			return
		}
	}
	if len(x.to) == mostTargets {
		least := 0
		for i := range x.to {
			if x.to[i].Count.as(at, followLife) < x.to[least].Count.as(at, followLife) {
				least = i
			}
		}
		x.to = append(x.to[:least], x.to[least+1:]...)
	}
	x.to = append(x.to, arrival{Value: to, Count: decayed{Sum: 1, At: at}})
}

// mostTargets bounds where departures from one value are counted to.
const mostTargets = 8

// forget drops families whose departures are long past.
func (c *class) forget(at int64) {
	for name, f := range c.families {
		if f.as(at, yearLife) < 0.02 {
			delete(c.families, name)
		}
	}
}
