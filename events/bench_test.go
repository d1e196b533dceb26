package events

import (
	"fmt"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// many returns an estate of n database instances with 40 settings each.
func many(n int) []*penumbra.Resource {
	out := make([]*penumbra.Resource, n)
	for i := range out {
		r := known(penumbra.Address(fmt.Sprintf("shop/aws_db_instance.db[%d]", i)), "aws_db_instance",
			"identifier", fmt.Sprintf("orders-%d", i), "arn", fmt.Sprintf("arn:aws:rds:eu-west-1:1:db:orders-%d", i),
			"address", fmt.Sprintf("orders-%d.abc.eu-west-1.rds.amazonaws.com", i), "instance_class", "db.t3.small")
		for j := range 36 {
			r.Actual = append(r.Actual, penumbra.Setting{Path: fmt.Sprintf("setting_%d.value", j), Value: penumbra.Number(float64(i + j))})
		}
		r.Actual = penumbra.NewSettings(r.Actual...)
		out[i] = r
	}
	return out
}

func BenchmarkKnow(b *testing.B) {
	all := many(100_000)
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		m, _ := New(Rules{})
		for i := 0; b.Loop(); i++ {
			if i%len(all) == 0 {
				m, _ = New(Rules{})
			}
			m.Know(all[i%len(all)])
		}
	})
	b.Run("unchanged", func(b *testing.B) {
		m, _ := New(Rules{})
		for _, r := range all {
			m.Know(r)
		}
		b.ReportAllocs()
		b.ResetTimer()
		for i := 0; b.Loop(); i++ {
			m.Know(all[i%len(all)])
		}
	})
}

func BenchmarkMap(b *testing.B) {
	all := many(100_000)
	m, _ := New(Rules{
		Actors:    []ActorRule{{Match: Match{Actor: "^ci-(.*)$"}, Kind: "automation"}},
		Resources: []ResourceRule{{Match: Match{Input: "other", Action: "Describe*"}, Ignore: true, Reason: "noise"}},
	})
	for _, r := range all {
		m.Know(r)
	}
	settings := penumbra.Settings{{Path: "dBInstanceClass", Value: penumbra.String("db.t3.large")}, {Path: "multiAZ", Value: penumbra.Bool(true)}}
	run := func(name string, rec func(i int) *penumbra.Record) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.Map(rec(i))
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
	run("ARN", func(i int) *penumbra.Record {
		r := record("AWS::RDS::DBInstance", fmt.Sprintf("arn:aws:rds:eu-west-1:1:db:orders-%d", i%len(all)))
		r.Settings = settings
		return r
	})
	run("free text", func(i int) *penumbra.Record {
		r := record("", fmt.Sprintf("orders-%d.abc.eu-west-1.rds.amazonaws.com:5432", i%len(all)))
		r.Action, r.Message = "", fmt.Sprintf("connection authorized: user=u%d database=shop", i%50)
		return r
	})
	run("unmapped", func(i int) *penumbra.Record { return record("aws_db_instance", "ghost.example.com", "ghost") })
	b.Run("series", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			m.Series("prom", map[string]string{"instance": fmt.Sprintf("orders-%d.abc.eu-west-1.rds.amazonaws.com:9187", i%len(all)), "job": "pg"})
		}
	})
}
