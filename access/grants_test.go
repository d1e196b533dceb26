package access

import (
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

func TestWithin(t *testing.T) {
	t.Parallel()
	g := func(role penumbra.Role, stacks ...string) []penumbra.Grant {
		return []penumbra.Grant{{Role: role, Stacks: stacks}}
	}
	for _, tc := range []struct{ held, wanted, want []penumbra.Grant }{
		{g("admin"), g("viewer", "shop"), g("viewer", "shop")},
		{g("viewer", "shop"), g("admin"), g("viewer", "shop")},
		{g("viewer", "shop*"), g("viewer", "shop-a", "bank"), g("viewer", "shop-a")},
		{g("viewer", "shop"), g("viewer", "bank"), nil},
		{g("viewer", "a*"), g("viewer", "*b"), nil},
		{g("sender"), g("viewer"), nil},
		{g("operator"), g("sender"), nil},
		{g("admin"), g("sender"), g("sender")},
		{nil, g("viewer"), nil},
		{[]penumbra.Grant{{Role: "viewer", Values: true, Types: []string{"aws_*"}}}, []penumbra.Grant{{Role: "viewer", Values: true, Logs: true, Environments: []string{"prod"}}},
			[]penumbra.Grant{{Role: "viewer", Values: true, Types: []string{"aws_*"}, Environments: []string{"prod"}}}},
	} {
		if d := cmp.Diff(tc.want, Within(tc.held, tc.wanted)); d != "" {
			t.Errorf("%v within %v (-want +got)\n%s", tc.wanted, tc.held, d)
		}
	}
}

// TestCoversIsSound holds that what a pattern covers matches nothing else: every name
// that the covered one matches, the other does.
func TestCoversIsSound(t *testing.T) {
	t.Parallel()
	word := rapid.StringOfN(rapid.SampledFrom([]rune("ab*")), 0, 5, -1)
	plain := rapid.StringOfN(rapid.SampledFrom([]rune("ab")), 0, 6, -1)
	matches := func(t *rapid.T, pattern, name string) bool {
		ok, err := path.Match(pattern, name)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	rapid.Check(t, func(t *rapid.T) {
		p, q, name := word.Draw(t, "pattern"), word.Draw(t, "other"), plain.Draw(t, "name")
		if covers(p, q) && matches(t, q, name) && !matches(t, p, name) {
			t.Fatalf("%q is said to cover %q, and does not match %q", p, q, name)
		}
		if covers(p, name) != matches(t, p, name) {
			t.Fatalf("%q and %q: %v", p, name, covers(p, name))
		}
	})
}
