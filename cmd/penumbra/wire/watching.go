package wire

import "time"

const watchRunsRemedy = "give a time such as 10m, or 0 to watch nothing"

// watchRuns is for how long the metrics of what a run of a stack changed are
// watched.
func (c *Config) watchRuns(s StackConfig) time.Duration {
	if s.WatchRuns != nil {
		return *s.WatchRuns
	}
	return c.WatchRuns
}
