package penumbra_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

func TestNumbersHaveOneSpelling(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"0", "0"}, {"-0", "0"}, {"7", "7"}, {"7.0", "7"}, {"7e0", "7"}, {"1e3", "1000"}, {"0.5", "0.5"}, {"5e-1", "0.5"},
		{"12345678901234567890123", "12345678901234567890123"}, {"-42", "-42"},
	} {
		v, err := penumbra.ParseNumber(c.text)
		if err != nil || v.Text() != c.want {
			t.Errorf("ParseNumber(%q) = %q, %v; want %q", c.text, v.Text(), err, c.want)
		}
	}
	for _, bad := range []string{"", "-", "abc", "1e999", "NaN", "Inf", "0x", "1 2"} {
		if v, err := penumbra.ParseNumber(bad); err == nil {
			t.Errorf("ParseNumber(%q) = %s, want an error", bad, v)
		}
	}
	if !penumbra.Number(math.NaN()).IsNull() || !penumbra.Number(math.Inf(1)).IsNull() {
		t.Error("NaN and infinity are values")
	}
}

func TestValueJSONRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(
			rapid.Just(penumbra.Null()),
			rapid.Map(rapid.Bool(), penumbra.Bool),
			rapid.Map(rapid.Float64(), penumbra.Number),
			rapid.Map(rapid.String(), penumbra.String),
		).Draw(t, "value")
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var back penumbra.Value
		if err := json.Unmarshal(text, &back); err != nil || back != v {
			t.Fatalf("%s reads back as %s: %v", v, back, err)
		}
	})
}

func TestNestedValuesAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{}`, `[1]`, `nope`} {
		var v penumbra.Value
		if err := v.UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s was read as %s", text, v)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	one, two := penumbra.Number(1), penumbra.Number(2)
	s := penumbra.NewSettings(penumbra.Setting{Path: "b", Value: one}, penumbra.Setting{Path: "a", Value: one}, penumbra.Setting{Path: "b", Value: two})
	want := penumbra.Settings{{Path: "a", Value: one}, {Path: "b", Value: two}}
	if !s.Equal(want) {
		t.Fatalf("sorted, the last of two with one path: %v", s)
	}
	if got := s.Merge(penumbra.Settings{{Path: "a"}, {Path: "c", Value: one}}); !got.Equal(penumbra.Settings{{Path: "b", Value: two}, {Path: "c", Value: one}}) {
		t.Errorf("merged: %v", got)
	}
	if !s.Equal(want) {
		t.Error("a merge changed what it started from")
	}
	if got := s.Get("zzz"); !got.IsNull() {
		t.Errorf("a setting that is not there is %s", got)
	}
}

func TestFlatten(t *testing.T) {
	t.Parallel()
	decode := func(text string) any {
		var x any
		if err := json.Unmarshal([]byte(text), &x); err != nil {
			t.Fatal(err)
		}
		return x
	}
	paths := func(s penumbra.Settings) map[string]string {
		out := map[string]string{}
		for _, x := range s {
			out[x.Path] = x.Value.Text()
		}
		return out
	}
	set := func(path string) bool { return path == "groups" || path == "rules" }
	got := paths(penumbra.Flatten(decode(`{"size":3,"none":null,"tags":{"team":"pay"},"ports":[80,443],"empty":[],
		"containers":[{"name":"web","image":"w:1"},{"name":"log","image":"l:1"}],"groups":["sg-2","sg-1"]}`), set))
	want := map[string]string{
		"size": "3", "tags.team": "pay", "ports.0": "80", "ports.1": "443", "groups.sg-1": "true", "groups.sg-2": "true",
		"containers.web.image": "w:1", "containers.web.name": "web", "containers.log.image": "l:1", "containers.log.name": "log",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	a := penumbra.Flatten(decode(`{"rules":[{"port":80,"cidr":"a"},{"port":443,"cidr":"b"}]}`), set)
	b := penumbra.Flatten(decode(`{"rules":[{"cidr":"b","port":443},{"port":80,"cidr":"a"}]}`), set)
	if !a.Equal(b) || len(a) != 4 {
		t.Errorf("the order of a set matters: %v, %v", a, b)
	}
}

func TestIdentityIsWhatIsSaid(t *testing.T) {
	t.Parallel()
	o := penumbra.Observation{Kind: penumbra.EventKind, Resource: "s/a", Action: "x", Actor: "ab"}
	same := o
	same.Seen = same.Seen.AddDate(1, 0, 0)
	if o.Identity() != same.Identity() {
		t.Error("when it was seen is part of the identity")
	}
	moved := o
	moved.Action, moved.Actor = "xa", "b"
	if o.Identity() == moved.Identity() {
		t.Error("two texts run together")
	}
	o.ID, moved.ID = "e-1", "e-1"
	if o.Identity() != moved.Identity() {
		t.Error("the source's identifier does not make the identity")
	}
}
