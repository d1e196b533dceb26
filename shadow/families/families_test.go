package families_test

import (
	"bytes"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/families"
)

func TestReadNamesTheFamily(t *testing.T) {
	t.Parallel()
	for name, start := range families.Starts {
		var b bytes.Buffer
		if _, err := start(7).WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		family, m, err := families.Read(b.Bytes())
		if err != nil || family != name || m == nil {
			t.Errorf("a checkpoint of %s was read as %q, %v", name, family, err)
		}
		if _, _, err := families.Read(b.Bytes()[:b.Len()-1]); penumbra.KindOf(err) != penumbra.Damaged {
			t.Errorf("a part of a checkpoint of %s: %v", name, err)
		}
	}
}
