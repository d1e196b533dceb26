package reads

import (
	"fmt"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/atrest"
)

// BenchmarkAnswer is what the answer of 500 resources of eight settings takes on its way: to
// encode, compress and encrypt it where it was read, and the reverse where it is judged.
func BenchmarkAnswer(b *testing.B) {
	text, err := atrest.NewMaster()
	if err != nil {
		b.Fatal(err)
	}
	master, err := atrest.MasterFrom(text, "the benchmark")
	if err != nil {
		b.Fatal(err)
	}
	const resources = 500
	var a answer
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for i := range resources {
		s := penumbra.NewSettings(
			penumbra.Setting{Path: "size", Value: penumbra.String("small")}, penumbra.Setting{Path: "region", Value: penumbra.String(fmt.Sprint("eu-", i%3))},
			penumbra.Setting{Path: "tags.team", Value: penumbra.String(fmt.Sprint("team", i%7))}, penumbra.Setting{Path: "port", Value: penumbra.Number(float64(5000 + i))},
			penumbra.Setting{Path: "public", Value: penumbra.Bool(false)}, penumbra.Setting{Path: "backup.days", Value: penumbra.Number(7)},
			penumbra.Setting{Path: "image", Value: penumbra.String(fmt.Sprint("img-", i))}, penumbra.Setting{Path: "monitoring", Value: penumbra.Bool(true)})
		for _, kind := range []penumbra.ObservationKind{penumbra.TemplateKind, penumbra.SnapshotKind} {
			a.Observations = append(a.Observations, penumbra.Observation{Kind: kind, Time: at, Seen: at, Resource: penumbra.Address(fmt.Sprintf("shop/vm.web[%d]", i)), Type: "vm", Source: "tofu", Full: true, Settings: s})
		}
	}
	each := func(b *testing.B) { b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N)/resources, "µs/resource") }
	sealed, err := seal(&a, master)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			if _, err := seal(&a, master); err != nil {
				b.Fatal(err)
			}
		}
		each(b)
		b.ReportMetric(float64(len(sealed))/resources, "bytes/resource")
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			var got answer
			if err := open(sealed, master, &got); err != nil || len(got.Observations) != len(a.Observations) {
				b.Fatal(err)
			}
		}
		each(b)
	})
}
