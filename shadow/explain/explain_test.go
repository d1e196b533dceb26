package explain_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/explain"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
)

var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func settings(pairs ...any) penumbra.Settings {
	var out []penumbra.Setting
	for i := 0; i < len(pairs); i += 2 {
		v := penumbra.Scalar(pairs[i+1])
		if n, ok := pairs[i+1].(int); ok {
			v = penumbra.Number(float64(n))
		}
		out = append(out, penumbra.Setting{Path: pairs[i].(string), Value: v})
	}
	return penumbra.NewSettings(out...)
}

// observer is a model that a history is played to.
type observer interface {
	Observe(o *penumbra.Observation)
	shadow.Explainer
}

// history is one that is being made: observations in their order.
type history []penumbra.Observation

// code adds a change of the code by somebody.
func (h *history) code(at time.Time, resource, action, actor string, by penumbra.ActorKind, pairs ...any) {
	*h = append(*h, penumbra.Observation{
		Kind: penumbra.EventKind, Time: at, Source: "git:0", Action: action, Type: "service", Actor: actor, ActorKind: by,
		Resource: penumbra.Address("e/" + resource), Settings: settings(pairs...),
	})
}

// estate makes services, and what is going on among them by chance over so many
// days: a change of one setting of one service every other day. Image changes of
// the quiet ones are left out.
func estate(random *rand.Rand, services, days int, quiet func(service int) bool) history {
	var h history
	for i := range services {
		h.code(start, fmt.Sprintf("prod%d|service.s", i), "create", "alice", penumbra.User, "image", "v1.0", "replicas", 1, "memory", "512Mi")
	}
	for d := 2; d < days; d += 2 {
		i, who := random.IntN(services), []string{"alice", "bob", "carol"}[random.IntN(3)]
		at := start.Add(time.Duration(d)*day + time.Duration(random.IntN(86400))*time.Second)
		name := fmt.Sprintf("prod%d|service.s", i)
		switch random.IntN(4) {
		case 0:
			h.code(at, name, "update", who, penumbra.User, "replicas", 2+d%5)
		case 1:
			h.code(at, name, "update", who, penumbra.User, "memory", fmt.Sprint(d, "Mi"))
		case 2:
			if !quiet(i) {
				h.code(at, name, "update", who, penumbra.User, "image", fmt.Sprint("v1.0.", d))
			}
		}
	}
	return h
}

// wave has six of ten services go to one image, one every few hours, while their
// images also change by themselves now and then.
func wave(random *rand.Rand) (h history, at time.Time) {
	h = estate(random, 10, 300, func(int) bool { return false })
	end := start.Add(300 * day)
	for i := range 6 {
		h.code(end.Add(time.Duration(8*i)*time.Hour), fmt.Sprintf("prod%d|service.s", i), "update", "dave", penumbra.User, "image", "v1.4")
	}
	return h, end.Add(2 * day)
}

// weekly has a bot change the image of one service every week.
func weekly(random *rand.Rand) (h history, at time.Time) {
	quiet := estate(random, 10, 300, func(i int) bool { return i == 3 })
	for d, k := 7, 0; d < 300; d += 7 {
		at := start.Add(time.Duration(d)*day + 3*time.Hour)
		for ; k < len(quiet) && (quiet[k].Time.Before(at) || d+7 >= 300); k++ {
			h = append(h, quiet[k])
		}
		h.code(at, "prod3|service.s", "update", "renovate", penumbra.Automation, "image", fmt.Sprint("v2.", d))
	}
	return h, start.Add(300 * day)
}

// sibling has services in two environments: when the image of one changes in dev,
// and only then, it does in prod four days later. It ends a day after the first of
// them has moved in dev, for the first time.
func sibling(random *rand.Rand) (h history, at time.Time) {
	const services, days, lag = 40, 600, 4
	for i := range services {
		for _, env := range []string{"dev", "prod"} {
			h.code(start, fmt.Sprintf("%s|service.s%d", env, i), "create", "alice", penumbra.User, "image", "v0")
		}
	}
	var moved [days + lag + 1][]int
	for d := 1; d <= days; d++ {
		at = start.Add(time.Duration(d)*day + 10*time.Hour)
		for _, i := range moved[d] {
			h.code(at, fmt.Sprintf("prod|service.s%d", i), "update", "carol", penumbra.User, "image", fmt.Sprint("v", d-lag))
		}
		for i := range services {
			if i == 0 && d == days || i != 0 && random.Float64() < 1.0/60 {
				h.code(at.Add(time.Hour), fmt.Sprintf("dev|service.s%d", i), "update", "bob", penumbra.User, "image", fmt.Sprint("v", d))
				moved[d+lag] = append(moved[d+lag], i)
			}
		}
	}
	return h, at.Add(day)
}

// nightly has a person set one machine's size by hand from two to four each night,
// and other machines leave their template now and then.
func nightly(random *rand.Rand) (h history, at time.Time) {
	look := func(at time.Time, i, size int) {
		h = append(h, penumbra.Observation{
			Kind: penumbra.SnapshotKind, Time: at, Type: "vm", Resource: machine(i), Settings: settings("size", size, "disk", 10), Full: true,
		})
	}
	for i := range 5 {
		h = append(h, penumbra.Observation{Kind: penumbra.TemplateKind, Time: start, Type: "vm", Resource: machine(i), Settings: settings("size", 3)})
	}
	away := [5]bool{}
	for at = start; at.Before(start.Add(25 * day)); at = at.Add(30 * time.Minute) {
		for i := 1; i < 5; i++ {
			if random.Float64() < 0.0004 || away[i] && random.Float64() < 0.2 {
				away[i] = !away[i]
			}
			look(at, i, map[bool]int{false: 3, true: 5}[away[i]])
		}
		size := 3
		if hour := at.Hour(); hour == 2 || hour == 3 {
			size = 9
			if hour == 2 && at.Minute() == 0 {
				h = append(h, penumbra.Observation{
					Kind: penumbra.EventKind, Time: at, Type: "vm", Resource: machine(0), Action: "resize", Actor: "alice", ActorKind: penumbra.User, Settings: settings("size", 9),
				})
			}
		}
		look(at, 0, size)
	}
	return h, at
}

func machine(i int) penumbra.Address { return penumbra.Address(fmt.Sprintf("shop/vm.n%d", i)) }

// told is what a history's end is explained with: all that moved the forecast, or
// only what happened at a time, not how often things happen.
func told(e *penumbra.Explanation, events bool) *penumbra.Influence {
	for i := range e.Influences {
		switch x := &e.Influences[i]; x.Kind {
		case penumbra.ActorChanges:
		case penumbra.OwnChanges, penumbra.OwnDepartures, penumbra.DailyHabit, penumbra.FleetRate, penumbra.FolderActivity, penumbra.NewerValue:
			if !events {
				return x
			}
		default:
			return x
		}
	}
	return &penumbra.Influence{}
}

// TestNamesTheCause plays histories with one known cause, and counts in how many
// of them it is the first that is named. The sibling is the first of what happened:
// the mixture holds how often all such settings change against one event.
func TestNamesTheCause(t *testing.T) {
	t.Parallel()
	pooled := func(uint64) observer { return shadow.NewPooled(shadow.Options{}) }
	mixed := func(seed uint64) observer { return mixture.New(mixture.Options{Seed: seed, NoNetwork: true}) }
	whole := func(seed uint64) observer { return mixture.New(mixture.Options{Seed: seed}) }
	for _, c := range []struct {
		name    string
		make    func(*rand.Rand) (history, time.Time)
		model   func(seed uint64) observer
		seeds   uint64
		least   int
		setting string
		want    penumbra.InfluenceKind
		actor   string
		events  bool
	}{
		{"a wave, pooled", wave, pooled, 12, 10, "e/prod9|service.s image", penumbra.PeerWave, "dave", false},
		{"a wave, mixture", wave, mixed, 4, 3, "e/prod9|service.s image", penumbra.PeerWave, "dave", false},
		{"a bot's week, pooled", weekly, pooled, 12, 12, "e/prod3|service.s image", penumbra.OwnChanges, "renovate", false},
		{"a bot's week, mixture", weekly, whole, 3, 3, "e/prod3|service.s image", penumbra.OwnChanges, "renovate", false},
		{"a sibling ahead, mixture", sibling, mixed, 3, 3, "e/prod|service.s0 image", penumbra.SiblingMove, "bob", true},
		{"a person's night, pooled", nightly, pooled, 6, 6, "shop/vm.n0 size", penumbra.DailyHabit, "alice", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			right := 0
			var sentences []string
			for seed := range c.seeds {
				h, at := c.make(rand.New(rand.NewPCG(seed, 7)))
				e := end(c.model(seed), h, c.setting, at)
				sentences = append(sentences, e.Sentence)
				first := told(&e, c.events)
				if first.Kind == c.want && first.Effect > 0 && len(first.Actors) > 0 && first.Actors[0] == c.actor && strings.Contains(e.Sentence, first.Text) {
					right++
				}
			}
			t.Logf("%d of %d; %s", right, c.seeds, sentences[0])
			if right < c.least {
				t.Errorf("%v by %s was named in %d of %d: %s", c.want, c.actor, right, c.seeds, strings.Join(sentences, "\n"))
			}
		})
	}
}

// end plays a history to a model and explains a setting at the end.
func end(m observer, h history, setting string, at time.Time) penumbra.Explanation {
	address, path, _ := strings.Cut(setting, " ")
	r := &penumbra.Resource{Address: penumbra.Address(address)}
	for i := range h {
		m.Observe(&h[i])
		if h[i].Resource == r.Address {
			fold(r, &h[i])
		}
	}
	return explain.Of(m, explain.Question{Resource: r, Path: path, Time: at})
}

// fold folds an observation into a resource, as far as it is needed here.
func fold(r *penumbra.Resource, o *penumbra.Observation) {
	r.Type = o.Type
	switch o.Kind {
	case penumbra.TemplateKind:
		r.Template = o.Settings
	case penumbra.SnapshotKind:
		r.Actual, r.SnapshotTime = o.Settings, o.Time
	case penumbra.EventKind:
		if o.Source != "" {
			r.Actual = r.Actual.Merge(o.Settings)
		}
	}
}
