package shadow

import (
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// activity counts the changes of a resource or of a setting that changed, at
// three time scales.
type activity struct {
	at    int64   // Unix seconds of the last change, 0 if none
	first int64   // of the first
	week  float32 // decayed with the wave's half-life
	month float32
	year  float32
	n     float32 // all of them
}

func (a *activity) count(t int64) {
	a.advance(t)
	if a.first == 0 {
		a.first = t
	}
	a.week++
	a.month++
	a.year++
	a.n++
}

func (a *activity) advance(t int64) {
	if t > a.at && a.at != 0 {
		d := days(t - a.at)
		a.week *= float32(decay(d, waveLife))
		a.month *= float32(decay(d, monthLife))
		a.year *= float32(decay(d, longLife))
	}
	a.at = max(a.at, t)
}

// as returns the sums as of t; the last change's time stays in at.
func (a activity) as(t int64) activity {
	last := a.at
	a.advance(t)
	a.at = last
	return a
}

func (h *history) count(t int64, by penumbra.ActorKind) {
	h.recent.count(t)
	h.actor = by
}

// leave counts a normal change away from v.
func (c *class) leave(v penumbra.Value, t int64) {
	if v.IsNull() {
		return
	}
	x := c.tally(v, t)
	x.left++
	x.lost++
}

// siblingKey names the settings that differ in nothing but the environment.
type siblingKey struct{ family, class uint32 }

// sibling is what is known of the changes of such settings.
type sibling struct {
	last   int64
	week   float32
	month  float32
	year   float32
	value  uint32 // hash of the value last changed to
	before uint32
}

func (p *Pooled) sibling(r *resource, c *class) *sibling {
	key := siblingKey{r.family, c.hash}
	s := p.siblings[key]
	if s == nil {
		s = &sibling{}
		p.siblings[key] = s
	}
	return s
}

func (s *sibling) move(to penumbra.Value, t int64) {
	*s = s.as(t)
	s.last = max(s.last, t)
	s.week++
	s.month++
	s.year++
	s.value, s.before = hashText(to.Text()), s.value
}

func (s sibling) as(t int64) sibling {
	if t > s.last && s.last != 0 {
		d := days(t - s.last)
		s.week *= float32(decay(d, waveLife))
		s.month *= float32(decay(d, monthLife))
		s.year *= float32(decay(d, longLife))
	}
	return s
}

// environments are the words by which the copies of one thing are told apart.
var environments = map[string]bool{
	"dev": true, "development": true, "develop": true, "test": true, "testing": true, "qa": true, "uat": true,
	"int": true, "integration": true, "sandbox": true, "demo": true, "staging": true, "stage": true, "stg": true,
	"preprod": true, "pre": true, "preproduction": true, "prod": true, "production": true, "prd": true, "live": true,
	"training": true, "perf": true, "canary": true, "blue": true, "green": true,
}

// Family returns the address without the words that name an environment: copies
// of a resource in other environments have the same one.
func Family(address penumbra.Address) string { return family(address) }

// family returns the address without the words that name an environment.
func family(address penumbra.Address) string {
	var b strings.Builder
	s := string(address)
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && !separates(s[j]) {
			j++
		}
		if word := s[i:j]; !environments[word] {
			b.WriteString(word)
		}
		if j < len(s) && s[j] != '-' && s[j] != '_' {
			b.WriteByte(s[j])
		}
		i = j + 1
	}
	return b.String()
}

func separates(c byte) bool {
	switch c {
	case '-', '_', '/', '.', '|', '@', '[', ']', '"':
		return true
	}
	return false
}

// folder returns what the resource shares with those declared beside it: the
// part before the last '|', else before the last slash.
func folder(address penumbra.Address) string {
	s := string(address)
	if i := strings.LastIndexByte(s, '|'); i >= 0 {
		return s[:i]
	}
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		return s[:i]
	}
	return s
}

// hashText is the 32-bit FNV-1a hash of the texts, one after the other.
func hashText(texts ...string) uint32 {
	h := uint32(2166136261)
	for _, s := range texts {
		for i := 0; i < len(s); i++ {
			h = (h ^ uint32(s[i])) * 16777619
		}
		h = (h ^ 0xff) * 16777619
	}
	return h
}

// enrol enters the resource under its number.
func (s *state) enrol(r *resource) {
	for int(r.number) > len(s.numbered) {
		s.numbered = append(s.numbered, nil)
	}
	s.numbered[r.number-1] = r
}

func (p *Pooled) newResource(o *penumbra.Observation) *resource {
	r := &resource{
		number: p.serial, address: o.Resource, kind: p.intern(o.Type), born: o.Time.Unix(),
		family: hashText(family(o.Resource)), folder: groupOf(p.folders, folder(o.Resource)),
	}
	p.enrol(r)
	return r
}

// maxActors bounds the names that are kept; who comes later has none.
const maxActors = 1 << 16

// actor returns the number of an actor's name, 0 for none.
func (s *state) actor(name string) uint32 {
	if name == "" {
		return 0
	}
	if n, known := s.actorOf[name]; known {
		return n
	}
	if len(s.actors) == maxActors {
		return 0
	}
	s.actors = append(s.actors, name)
	s.actorOf[name] = uint32(len(s.actors))
	return uint32(len(s.actors))
}

// nameOf returns the name of the numbered actor, "" if there is none.
func (s *state) nameOf(actor uint32) string {
	if actor == 0 || int(actor) > len(s.actors) {
		return ""
	}
	return s.actors[actor-1]
}

// changer returns who made the change that is being learnt: the event that shows
// it, else the one that touched the setting since it was last looked at.
func (p *Pooled) changer(r *resource, s *setting, t int64) touch {
	if o := p.current; o.Kind == penumbra.EventKind && o.Actor != "" {
		return touch{time: t, actor: o.ActorKind, name: p.actor(o.Actor)}
	}
	return r.toucher(s.path, s.seen.unix(), t)
}

// remember keeps a move of the setting with the setting and with its class.
func (p *Pooled) remember(r *resource, s *setting, m moving) {
	m.resource, m.path = r.number, hashText(s.path)
	s.class.remember(m)
	h := s.past()
	if len(h.moves) == maxMoves {
		copy(h.moves, h.moves[1:])
		h.moves = h.moves[:maxMoves-1]
	}
	h.moves = append(h.moves, m)
}
