package words

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// ParseSpan reads a duration that may be in days.
func ParseSpan(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		return time.Duration(n * 24 * float64(time.Hour)), err
	}
	return time.ParseDuration(text)
}

// ParseSince reads a time, a day, or how long ago.
func ParseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range [...]string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	if ago, err := ParseSpan(text); err == nil && ago > 0 {
		return now.Add(-ago).UTC(), nil
	}
	return time.Time{}, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--since %q", text), Remedy: "write a time such as 2026-03-01T00:00:00Z, a day such as 2026-03-01, or how long ago such as 365d"}
}

// ParseTime reads a time that a flag gives.
func ParseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%s %q", flag, text), Remedy: "write a time such as 2026-03-01T00:00:00Z"}
	}
	return t.UTC(), nil
}
