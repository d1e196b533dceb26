package penumbra

// Effect is what a setting's having a value does to a performance metric, by
// intervention: what the network beside the shadow has learnt of hours of resources of
// the type.
type Effect struct {
	Metric string `json:"metric"`
	// Threshold, in the metric's unit, is what the mean of an hour is beyond in one
	// hour of ten while nothing is wrong: above it, or below it if Below.
	Threshold float64 `json:"threshold"`
	Below     bool    `json:"below,omitempty"`
	// Chance is that of an hour beyond the threshold; Low and High are its 90 %
	// interval, Least and Most its bounds over the directions of causes that data
	// cannot tell apart.
	Chance float64 `json:"chance"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
	// Cases are how many hours stand behind it; of few it is the prior's answer.
	Cases float64 `json:"cases"`
}

// Prediction is what a proposal is expected to do to a performance metric by setting one
// setting.
type Prediction struct {
	Path   string `json:"path"`   // of the setting
	Before Effect `json:"before"` // as it is, if nothing is done
	After  Effect `json:"after"`
}

// Load is how busy a resource is by the hour of the day, as one of its metrics tells.
type Load struct {
	Metric string `json:"metric"`
	// Hours are the means of the hours of the day, UTC, over days; an hour that was
	// never seen is NaN.
	Hours [24]float64 `json:"-"`
	Days  int         `json:"days"`
}
