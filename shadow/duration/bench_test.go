package duration_test

import (
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/duration"
)

func BenchmarkLearn(b *testing.B) {
	m := duration.New(duration.Options{})
	at := begin
	for i := range b.N {
		at = at.Add(time.Minute)
		step(m, at, i/2%1000, "upgrade", []penumbra.Value{off, on}[i%2], []penumbra.Value{on, off}[i%2])
	}
}
