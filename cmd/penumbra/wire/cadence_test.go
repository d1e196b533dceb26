package wire

import (
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

func TestCadenceRules(t *testing.T) {
	t.Parallel()
	rules := cadence([]cadenceConfig{
		{`vm.web["a*"]`, time.Minute}, {"SHOP/vm.db", 2 * time.Minute}, {"aws_s3_?ucket", 3 * time.Minute},
		{`^module\.net\.`, 4 * time.Minute}, {"lb", 5 * time.Minute},
	})
	for _, c := range []struct {
		address penumbra.Address
		typ     string
		want    time.Duration
	}{
		{`shop/vm.web["a1"]`, "vm", time.Minute},
		{`shop/vm.web["b1"]`, "vm", 0}, // the brackets are no class of a glob
		{"shop/vm.db", "vm", 2 * time.Minute},
		{"other/vm.db", "vm", 0},
		{"shop/aws_s3_bucket.logs", "aws_s3_bucket", 3 * time.Minute},
		{"shop/module.net.vm.a", "vm", 4 * time.Minute},
		{"shop/vm.lb", "vm", 0}, // a glob is for the whole
		{"shop/vm.x", "lb", 5 * time.Minute},
	} {
		got := time.Duration(0)
		for _, r := range rules {
			if r.Match(c.address, c.typ) {
				got = r.Every
				break
			}
		}
		if got != c.want {
			t.Errorf("%s of type %s is read every %v, want %v", c.address, c.typ, got, c.want)
		}
	}
}
