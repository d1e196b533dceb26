package wire

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/shadow/creep"
)

// limitConfig is bounds of settings.
type limitConfig struct {
	// Setting is a pattern as in an ignore rule: "lab/db1/postgresql.work_mem".
	Setting string `koanf:"setting"`
	// Min and Max are numbers or amounts with a unit, such as "8MB".
	Min    any    `koanf:"min"`
	Max    any    `koanf:"max"`
	Reason string `koanf:"reason"`
}

var knownOfLimit = keysOf[limitConfig]()

// limits returns what follows the configured limits, nil if there are none.
func (c *Config) limits(log *slog.Logger) func() engine.Limits {
	if len(c.Limits) == 0 {
		return nil
	}
	return func() engine.Limits {
		w, err := c.newLimits(log)
		if err != nil {
			panic(err) // the configuration was checked when it was read
		}
		return w
	}
}

// newLimits makes what follows the limits. Its error is Invalid and names the
// limit.
func (c *Config) newLimits(log *slog.Logger) (*creep.Watch, error) {
	var out []creep.Limit
	for i, l := range c.Limits {
		invalid := func(what, remedy string, err error) error {
			return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%s: limits[%d] %s", orDefaults(c.file), i, what), Remedy: remedy, Err: err}
		}
		const pattern = "write stack/type.name.path, with * for any characters: lab/db1/postgresql.work_mem"
		if l.Setting == "" || strings.HasPrefix(l.Setting, "!") {
			return nil, invalid(fmt.Sprintf("has setting %q", l.Setting), pattern, nil)
		}
		rules, err := drift.NewRules([]penumbra.Rule{{Pattern: l.Setting}})
		if err != nil {
			return nil, invalid(fmt.Sprintf("has setting %q", l.Setting), pattern, err)
		}
		low, lowOK := amountOf(l.Min)
		high, highOK := amountOf(l.Max)
		if !lowOK || !highOK {
			return nil, invalid("has a bound that is neither a number nor a text", "write max: 8MB or max: 200", nil)
		}
		name := lastName(l.Setting)
		out = append(out, creep.Limit{Min: low, Max: high, Reason: l.Reason, Match: func(address penumbra.Address, path string) bool {
			if !strings.Contains(path, name) && !strings.Contains(string(address), name) {
				return false // nearly all settings: the rules need not spell them out
			}
			_, ok := rules.Match(address, path, penumbra.Null(), time.Time{})
			return ok
		}})
	}
	var warn func(string)
	if log != nil {
		warn = func(text string) { log.Warn(text) }
	}
	w, err := creep.New(out, warn)
	var e *penumbra.Error
	if errors.As(err, &e) {
		e.What = orDefaults(c.file) + ": " + e.What
	}
	return w, err
}

// lastName returns the letters and digits that a pattern ends in: whatever it
// matches has them in its address or its path.
func lastName(pattern string) string {
	i := strings.LastIndexFunc(pattern, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	return pattern[i+1:]
}

// amountOf returns a bound of the configuration as a value, null if there is none.
func amountOf(x any) (v penumbra.Value, ok bool) {
	switch x := x.(type) {
	case nil:
		return penumbra.Null(), true
	case string:
		return penumbra.String(x), true
	case int:
		return penumbra.Number(float64(x)), true
	case int64:
		return penumbra.Number(float64(x)), true
	case uint64:
		return penumbra.Number(float64(x)), true
	case float64:
		return penumbra.Number(x), true
	default:
		return penumbra.Null(), false
	}
}
