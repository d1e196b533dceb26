package models

import (
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

func TestTimeToChoose(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	trained := func(ago time.Duration, observations int) []penumbra.ModelVersion {
		return []penumbra.ModelVersion{
			{Origin: penumbra.LearntVersion, Created: now},
			{Origin: penumbra.TrainedVersion, Created: now.Add(-ago), Observations: observations},
		}
	}
	for name, x := range map[string]struct {
		versions     []penumbra.ModelVersion
		observations int64
		want         bool
	}{
		"too little past":       {nil, leastPast - 1, false},
		"enough past":           {nil, leastPast, true},
		"trained today":         {trained(time.Hour, 1000), 9000, false},
		"hardly grown":          {trained(48*time.Hour, 1000), 1050, false},
		"grown since":           {trained(48*time.Hour, 1000), 1200, true},
		"only learnt by itself": {trained(0, 0)[:1], leastPast, true},
	} {
		if got := timeToChoose(x.versions, x.observations, now); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
