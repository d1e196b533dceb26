package wire

import (
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/proposal"
)

func TestCriticalityOfTheConfigurationComesFirst(t *testing.T) {
	t.Parallel()
	r := rankingConfig{Criticality: []criticalityConfig{{"shop/db.*", "high"}, {"shop/*", "low"}}}
	if err := r.check(); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[penumbra.Address]proposal.Criticality{"shop/db.main": proposal.High, "shop/web.a": proposal.Low, "other/db.main": proposal.High} {
		ev := proposal.Evidence{Resource: penumbra.Resource{Address: address, Actual: penumbra.NewSettings(penumbra.Setting{Path: "tags.env", Value: penumbra.String("prod")})}}
		r.weigh(&ev)
		if ev.Criticality != want || ev.CriticalBy == "" {
			t.Errorf("%s is %s by %q, want %s", address, ev.Criticality, ev.CriticalBy, want)
		}
	}
	for _, bad := range []criticalityConfig{{"", "high"}, {"shop/*", "urgent"}, {"a b", "low"}} {
		r := rankingConfig{Criticality: []criticalityConfig{bad}}
		if penumbra.KindOf(r.check()) != penumbra.Invalid {
			t.Errorf("%+v is taken", bad)
		}
	}
}
