package departure

import (
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func TestVersionOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]version{
		"14.7": {"14", 2}, "14": {"14", 1}, "v1.25.3": {"v1", 3}, "postgres:14.7-alpine": {"postgres:14", 3},
		"19.0.0.0.ru-2025-01.rur-2025-01.r1": {"19", 11}, "postgres": {}, "": {}, "3 replicas": {}, "var.version": {},
	} {
		if got := versionOf(penumbra.String(text)); got != want {
			t.Errorf("%q is read as %+v, want %+v", text, got, want)
		}
	}
	if got := versionOf(penumbra.Number(14.1)); got != (version{"14", 2}) {
		t.Errorf("the number 14.1 is read as %+v", got)
	}
	if got := versionOf(penumbra.Bool(true)); got != (version{}) {
		t.Errorf("a switch is read as %+v", got)
	}
}

func TestReplaces(t *testing.T) {
	t.Parallel()
	s := penumbra.String
	for _, x := range []struct {
		old, other string
		want       bool
	}{{"14.7", "14.10", true}, {"14", "14.10", true}, {"14.7", "14", false}, {"14.7", "15.1", false}, {"16.4", "16.00.4140.3.v1", false}} {
		if got := Replaces(s(x.old), s(x.other)); got != x.want {
			t.Errorf("%s replaces %s: %v", x.other, x.old, got)
		}
	}
}
