package procgroup

import (
	"slices"
	"testing"
)

func TestEnvironHasNothingOfPenumbra(t *testing.T) {
	t.Setenv("PENUMBRA_KEY", "planted")
	t.Setenv("AWS_PROFILE", "shop")
	got := Environ()
	if slices.Contains(got, "PENUMBRA_KEY=planted") || !slices.Contains(got, "AWS_PROFILE=shop") {
		t.Fatalf("a tool is started with %q", got)
	}
}
