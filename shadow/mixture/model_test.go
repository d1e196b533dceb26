package mixture_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
)

var begin = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// estate makes so many days of services of which a third change their image
// each week: the first of them by chance, its sibling environment the day after.
func estate(days int, see func(*penumbra.Observation)) {
	random := rand.New(rand.NewPCG(3, 1))
	add := func(day float64, i int, env, action string, image int) {
		see(&penumbra.Observation{
			Kind: penumbra.EventKind, Time: begin.Add(time.Duration(day * float64(24*time.Hour))), Source: "git:0", Action: action, Type: "service",
			Resource: penumbra.Address(fmt.Sprintf("e/%s|service.s%d", env, i)),
			Settings: penumbra.NewSettings(penumbra.Setting{Path: "image", Value: penumbra.String(fmt.Sprint("v", image))}),
		})
	}
	for i := range 30 {
		add(0, i, "dev", "create", 0)
		add(0, i, "prod", "create", 0)
	}
	var moved []int
	for d := 1; d < days; d++ {
		for _, i := range moved {
			add(float64(d), i, "prod", "update", d-1)
		}
		moved = moved[:0]
		for i := range 30 {
			if i%3 == 0 && random.Float64() < 1.0/7 {
				add(float64(d)+0.5, i, "dev", "update", d)
				moved = append(moved, i)
			}
		}
	}
}

func resource(env string, i int) *penumbra.Resource {
	return &penumbra.Resource{
		Address: penumbra.Address(fmt.Sprintf("e/%s|service.s%d", env, i)), Type: "service",
		Template: penumbra.NewSettings(penumbra.Setting{Path: "image", Value: penumbra.String("v0")}),
	}
}

func TestLearnsWhichResource(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	m := mixture.New(mixture.Options{Seed: 1})
	estate(400, m.Observe)
	at := begin.Add(400 * 24 * time.Hour)
	week := len(penumbra.Horizons) - 2
	moves, stays := m.Forecast(resource("prod", 0), at)[0], m.Forecast(resource("prod", 1), at)[0]
	if moves.Leave[week] < 0.3 || stays.Leave[week] > 0.1 {
		t.Errorf("within a week %.3f of what changes weekly and %.3f of what never does", moves.Leave[week], stays.Leave[week])
	}
	var sum float64
	for _, w := range m.Weights() {
		sum += w
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("the weights sum to %v", sum)
	}
}

func TestDeterministic(t *testing.T) {
	t.Parallel()
	var answers [2]string
	for i := range answers {
		m := mixture.New(mixture.Options{Seed: 5})
		estate(150, m.Observe)
		answers[i] = fmt.Sprint(m.Forecast(resource("prod", 0), begin.Add(150*24*time.Hour)), m.Weights())
	}
	if answers[0] != answers[1] {
		t.Errorf("two runs differ:\n%s\n%s", answers[0], answers[1])
	}
}

// TestHorizonsRise holds each expert and the pool to the laws of probability.
func TestHorizonsRise(t *testing.T) {
	t.Parallel()
	m := mixture.New(mixture.Options{Seed: 1})
	estate(200, m.Observe)
	m.Each(resource("dev", 0), begin.Add(200*24*time.Hour), func(_ string, leave [][len(penumbra.Horizons)]float64) {
		if len(leave) != len(m.Experts()) {
			t.Errorf("%d answers of %d experts", len(leave), len(m.Experts()))
		}
		for e, p := range leave {
			for k := range p {
				if p[k] < 0 || p[k] > 1 || k > 0 && p[k] < p[k-1] {
					t.Errorf("%s says %v", m.Experts()[e], p)
				}
			}
		}
	})
}
