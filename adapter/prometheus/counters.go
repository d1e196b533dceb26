package prometheus

import (
	"strings"
	"sync"

	"github.com/penumbra-iac/penumbra"
)

// Bounds on the metadata remembered: 20,000 names of 256 bytes are 5 MB.
const (
	maxFamilies   = 20_000
	maxFamilyName = 256
)

// counters knows which metrics are counters: by metadata where it came, else by
// the suffixes that the Prometheus naming practice gives to counters. Safe for
// concurrent use.
type counters struct {
	mu    sync.RWMutex
	kinds map[string]metricType
}

// learn remembers metadata. Names beyond the bound are judged by their suffix.
func (c *counters) learn(families []family) {
	if len(families) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range families {
		if _, known := c.kinds[f.name]; known || len(c.kinds) < maxFamilies {
			c.kinds[f.name] = f.kind
		}
	}
}

// mark sets Counter on each series that is one.
func (c *counters) mark(series []penumbra.Series) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for i := range series {
		series[i].Counter = c.is(series[i].Metric)
	}
}

func (c *counters) is(metric string) bool {
	if kind, ok := c.kinds[metric]; ok {
		// A summary's or histogram's own name is that of its quantiles.
		return kind == typeCounter
	}
	for _, suffix := range [...]string{"_total", "_count", "_sum", "_bucket"} {
		name, found := strings.CutSuffix(metric, suffix)
		if !found {
			continue
		}
		switch c.kinds[name] {
		case 0, typeCounter, typeHistogram, typeSummary:
			return true
		default: // such as a gauge histogram, whose count may fall
			return false
		}
	}
	return false
}
