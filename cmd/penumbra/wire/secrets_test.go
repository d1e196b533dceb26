package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPathsAreNoCredentials(t *testing.T) {
	t.Parallel()
	got := credentials([]string{"PWD=/srv/shop", "OLDPWD=/gone", "CREDENTIALS_TOKEN=" + t.TempDir(), "DB_PASSWORD=/x8Kq2", "TOKEN=a"})
	if diff := cmp.Diff([]string{"DB_PASSWORD=/x8Kq2", "TOKEN=a"}, got); diff != "" {
		t.Errorf("what may be a credential (-want +got):\n%s", diff)
	}
}
