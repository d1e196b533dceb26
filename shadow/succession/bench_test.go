package succession_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/succession"

	"github.com/penumbra-iac/penumbra"
)

// large is a resource of 30 settings.
func large() *penumbra.Resource {
	var settings []penumbra.Setting
	for i := range 30 {
		settings = append(settings, set(fmt.Sprintf("s%02d", i), 0))
	}
	return &penumbra.Resource{Address: "e/service.big", Type: "service", Actual: penumbra.NewSettings(settings...)}
}

// learning tells a change of one of 30 settings to each of n resources in turn.
func learning(n int) (*succession.Model, func(i int)) {
	r := large()
	m := succession.New(succession.Options{Known: func(_ penumbra.Address, visit func(path, class string, v penumbra.Value)) {
		for _, s := range r.Actual {
			visit(s.Path, s.Path, s.Value)
		}
	}})
	return m, func(i int) {
		path := r.Actual[i*i%30].Path
		m.Learn(&shadow.Change{
			Resource: penumbra.Address(fmt.Sprint("e/service.", i%n)), Type: "service", Path: path, Class: path,
			From: penumbra.Number(0), To: penumbra.Number(float64(i)), By: &penumbra.Observation{Time: begin.Add(time.Duration(i) * time.Minute)},
		})
	}
}

func BenchmarkLearn(b *testing.B) {
	_, learn := learning(1000)
	for i := range b.N {
		learn(i)
	}
}

func BenchmarkNext(b *testing.B) {
	m, learn := learning(100)
	for i := range 5000 {
		learn(i)
	}
	r := large()
	r.Address = "e/service.7"
	for b.Loop() {
		m.Next(r, begin.Add(10000*time.Minute), 9)
	}
}
