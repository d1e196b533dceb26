// Package words writes for a person what the program knows, and reads what a
// person wrote: durations, times, findings, causes. It knows the nouns only, so
// that what joins the engine can use it as the verbs do.
package words

import (
	"fmt"
	"strings"
	"time"
)

// Ago writes how long before now t was, never for none.
func Ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return Span(now.Sub(t)) + " ago"
}

// Ahead writes how long after now t is, nothing once it is past.
func Ahead(now, t time.Time) string {
	if t.IsZero() || t.Before(now) {
		return ""
	}
	return "in " + Span(t.Sub(now))
}

// Span writes a duration the way a person says it.
func Span(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// Shorten cuts text to at most n runes.
func Shorten(text string, n int) string {
	text = strings.ReplaceAll(text, "\n", " ")
	r := []rune(text)
	if len(r) <= n {
		return text
	}
	return string(r[:n-1]) + "…"
}

// Counted writes a number with its noun.
func Counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Prefixed writes text behind a prefix, nothing if it is empty.
func Prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}
