package timeline

import (
	"bytes"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

// drawValue draws any value that an actual configuration or a template can
// hold.
func drawValue(t *rapid.T, label string) penumbra.Value {
	switch rapid.IntRange(0, 6).Draw(t, label) {
	case 0:
		return penumbra.Null()
	case 1:
		return penumbra.Bool(rapid.Bool().Draw(t, "bool"))
	case 2:
		return penumbra.Number(rapid.Float64().Draw(t, "number"))
	case 3:
		v, err := penumbra.ParseNumber(rapid.StringMatching(`-?[1-9][0-9]{0,30}`).Draw(t, "integer"))
		if err != nil {
			t.Fatal(err)
		}
		return v
	case 4:
		return penumbra.Key("key").Seal(penumbra.String(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "secret")))
	default:
		return penumbra.String(rapid.String().Draw(t, "string"))
	}
}

func drawSettings(t *rapid.T, label string, unknown bool) penumbra.Settings {
	var out []penumbra.Setting
	for range rapid.IntRange(0, 6).Draw(t, label) {
		x := penumbra.Setting{Path: rapid.SampledFrom([]string{"a", "a.b", "a-b", "b", "é", "tags.\"q\"", "z\n"}).Draw(t, "path"), Value: drawValue(t, "value")}
		if unknown && rapid.IntRange(0, 5).Draw(t, "unknown") == 0 {
			x.Value = penumbra.Unknown()
		}
		out = append(out, x)
	}
	s := penumbra.NewSettings(out...)
	if len(s) == 0 {
		return nil
	}
	return s
}

func drawTime(t *rapid.T, label string) time.Time {
	return time.Unix(rapid.Int64Range(-1e9, 4e9).Draw(t, label), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).UTC()
}

// drawObservation draws any valid observation, with its sensitive marks as a
// decoder leaves them: on every secret, and on all that lies below a mark.
func drawObservation(t *rapid.T) penumbra.Observation {
	text := func(label string) string { return rapid.String().Draw(t, label) }
	name := func(label string) string {
		return rapid.StringMatching(`[\pL\pN ._/"<>'\[\]-]*`).Draw(t, label) // what a resource or type may be called
	}
	o := penumbra.Observation{
		Kind: rapid.SampledFrom([]penumbra.ObservationKind{penumbra.TemplateKind, penumbra.SnapshotKind, penumbra.EventKind, penumbra.MetricKind}).Draw(t, "kind"),
		Time: drawTime(t, "time"), Resource: penumbra.Address("s/" + name("resource")), Type: name("type"),
		Source: text("source"), ID: text("id"),
		Settings: drawSettings(t, "settings", true), Applied: drawSettings(t, "applied", false),
		Full:  rapid.Bool().Draw(t, "full"),
		Actor: text("actor"), ActorKind: penumbra.ActorKind(rapid.IntRange(0, 3).Draw(t, "actor_kind")),
		Action: text("action"), Message: text("message"),
	}
	if rapid.Bool().Draw(t, "has seen") {
		o.Seen = drawTime(t, "seen")
	}
	if o.Kind == penumbra.SnapshotKind && rapid.Bool().Draw(t, "not checked") {
		o.Settings, o.NotChecked = nil, "no credentials"
	}
	if o.Kind == penumbra.MetricKind {
		o.Metrics = []penumbra.Metric{{Name: "cpu", Value: rapid.Float64().Draw(t, "cpu")}, {Name: "é", Value: math.Copysign(0, -1)}}
		if rapid.Bool().Draw(t, "directed") {
			o.Metrics[1].Worse, o.Metrics[1].Directed = rapid.SampledFrom([]penumbra.Direction{penumbra.Either, penumbra.Up, penumbra.Down}).Draw(t, "worse"), true
		}
	}
	for _, s := range []penumbra.Settings{o.Settings, o.Applied} {
		for _, x := range s {
			if x.Value.Kind() == penumbra.SecretKind || rapid.IntRange(0, 9).Draw(t, "sensitive") == 0 {
				markSensitive(o.Settings, x.Path)
				markSensitive(o.Applied, x.Path)
			}
		}
	}
	return o
}

func TestEncodeDecodeIsIdentity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawObservation(t)
		var first bytes.Buffer
		if err := NewEncoder(&first).Encode(&want); err != nil {
			t.Fatal(err)
		}
		line := first.String()
		got, err := NewDecoder(strings.NewReader(line), "").Next()
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if diff := cmp.Diff(want, got, compareValues); diff != "" {
			t.Fatalf("%s(-want +got)\n%s", line, diff)
		}
		if got.Identity() != want.Identity() {
			t.Fatalf("another identity: %s", line)
		}
		var second bytes.Buffer
		if err := NewEncoder(&second).Encode(&got); err != nil || second.String() != line {
			t.Fatalf("written again: %v\n%s%s", err, line, second.String())
		}
	})
}

func TestEncodeText(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	e := NewEncoder(&out)
	for _, o := range designObservations() {
		if o.Source == "file" {
			o.Source = ""
		}
		if err := e.Encode(&o); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Encode(&penumbra.Observation{Kind: penumbra.MetricKind, Time: at("2026-03-01T00:00:00Z"), Resource: "r", Metrics: []penumbra.Metric{
		{Name: "a", Value: 1, Directed: true}, {Name: "b", Value: 2}, {Name: "c", Value: 3, Worse: penumbra.Down, Directed: true},
	}}); err != nil {
		t.Fatal(err)
	}
	if err := e.Encode(&penumbra.Observation{Kind: penumbra.SnapshotKind, Time: at("2026-03-01T01:00:00.25+01:00"), Resource: "r", NotChecked: "a\x02\"\xff"}); err != nil {
		t.Fatal(err)
	}
	const want = `{"kind":"template","time":"2026-03-01T00:00:00Z","resource":"shop/aws_db_instance.main","type":"aws_db_instance","source":"git:3fa2c1d","settings":{"instance_class":"db.t3.small","tags.team":"pay"}}
{"kind":"snapshot","time":"2026-03-01T00:05:00Z","resource":"shop/aws_db_instance.main","type":"aws_db_instance","settings":{"instance_class":"db.t3.small","tags.team":"pay"}}
{"kind":"event","time":"2026-03-01T09:12:44Z","resource":"shop/aws_db_instance.main","type":"aws_db_instance","id":"e-91","actor":"alice","actor_kind":"user","action":"ModifyDBInstance","settings":{"instance_class":"db.t3.large"}}
{"kind":"metric","time":"2026-03-01T09:15:00Z","resource":"shop/aws_db_instance.main","type":"aws_db_instance","metrics":{"cpu":0.83,"memory":0.41,"network_io":1.2e+06}}
{"kind":"metric","time":"2026-03-01T00:00:00Z","resource":"r","metrics":{"a":1,"b":2,"c":3},"worse":{"a":"either","c":"down"}}
{"kind":"snapshot","time":"2026-03-01T00:00:00.25Z","resource":"r","not_checked":"a\u0002\"` + "\ufffd" + `"}
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestEncodeRefusesWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	good := penumbra.Observation{Kind: penumbra.MetricKind, Time: at("2026-03-01T00:00:00Z"), Resource: "r", Metrics: []penumbra.Metric{{Name: "cpu", Value: 1}}}
	for name, spoil := range map[string]func(*penumbra.Observation){
		"no time":         func(o *penumbra.Observation) { o.Time = time.Time{} },
		"far time":        func(o *penumbra.Observation) { o.Time = at("2300-01-01T00:00:00Z") },
		"no resource":     func(o *penumbra.Observation) { o.Resource = "" },
		"NaN":             func(o *penumbra.Observation) { o.Metrics = []penumbra.Metric{{Name: "cpu", Value: math.NaN()}} },
		"infinity":        func(o *penumbra.Observation) { o.Metrics = []penumbra.Metric{{Name: "cpu", Value: math.Inf(-1)}} },
		"sideways":        func(o *penumbra.Observation) { o.Metrics = []penumbra.Metric{{Name: "cpu", Worse: 3, Directed: true}} },
		"unknown applied": func(o *penumbra.Observation) { o.Applied = penumbra.Settings{{Path: "a", Value: penumbra.Unknown()}} },
	} {
		var out bytes.Buffer
		o := good
		spoil(&o)
		if err := NewEncoder(&out).Encode(&o); penumbra.KindOf(err) != penumbra.Invalid || out.Len() > 0 {
			t.Errorf("%s: %v, wrote %q", name, err, out.String())
		}
	}
}

func BenchmarkEncodeSnapshots(b *testing.B) {
	lines := manyLines(2000)
	d := NewDecoder(bytes.NewReader(lines), "")
	var obs []penumbra.Observation
	for {
		o, err := d.Next()
		if err != nil {
			break
		}
		obs = append(obs, o)
	}
	b.SetBytes(int64(len(lines)))
	b.ReportAllocs()
	for b.Loop() {
		e := NewEncoder(io.Discard)
		for i := range obs {
			if err := e.Encode(&obs[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(obs))*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
