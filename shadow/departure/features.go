package departure

import (
	"math"

	"github.com/penumbra-iac/penumbra/internal/daily"
	"github.com/penumbra-iac/penumbra/shadow"
)

// The features of a setting at risk.
const (
	featurePooled = iota
	featureMinor
	featureOwn
	featureOwnLately
	featureFamily
	featureBehind
	featureNewer
	featureMinorBehind
	featureMinorNewer
	numFeatures
)

// FeatureNames say what each feature is.
var FeatureNames = [numFeatures]string{
	featurePooled:      "the pooled model's log odds of a departure within 30 days",
	featureMinor:       "its version names more than the major",
	featureOwn:         "its own departures",
	featureOwnLately:   "time since its last departure, half-life 180 d",
	featureFamily:      "departures in sibling environments, half-life 365 d",
	featureBehind:      "peers have a newer version of its line",
	featureNewer:       "how many newer versions of its line there are",
	featureMinorBehind: "its version names more than the major, and is behind",
	featureMinorNewer:  "the same by how many versions",
}

// features fills in what is known of a setting of the class.
func (c *class) features(out *[numFeatures]float32, x *shadow.AtRisk, at int64, pooled float64) {
	*out = [numFeatures]float32{}
	out[featurePooled] = float32(pooled / 4)
	out[featureOwn] = float32(math.Log1p(float64(len(x.Left))))
	own := 0.0
	if n := len(x.Left); n > 0 {
		out[featureOwnLately] = float32(math.Exp2(-float64(max(0, at-x.Left[n-1])) / daily.Seconds / ownLife))
		for _, t := range x.Left {
			own += math.Exp2(-float64(max(0, at-t)) / daily.Seconds / yearLife)
		}
	}
	if f := c.families[shadow.Family(x.Resource)]; f != nil {
		out[featureFamily] = float32(min(2, max(0, f.as(at, yearLife)-own)))
	}
	v := c.byValue[x.Value]
	if v == nil {
		return
	}
	if v.version.depth > 1 {
		out[featureMinor] = 1
	}
	if v.newer > 0 {
		out[featureBehind] = 1
	}
	out[featureNewer] = float32(math.Log1p(v.newer) / 2)
	out[featureMinorBehind] = out[featureMinor] * out[featureBehind]
	out[featureMinorNewer] = out[featureMinor] * out[featureNewer]
}
