// Package chat answers: how does a notice look in Slack or in Microsoft Teams? Slack
// gets Block Kit messages, by an incoming webhook or by a bot's token; with a token
// what becomes of a drift goes into the thread of its first message, which itself says
// how things are by now. Teams gets Adaptive Cards, by a Workflow's webhook.
//
// It guarantees that no text of a notice is read as markup: names and values of an
// infrastructure mention nobody and make no link. Addresses and tokens are in no error.
package chat

import (
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// heading is the first line, with how grave it is in words.
func heading(n *penumbra.Notice) string {
	switch {
	case n.Verb == penumbra.NoticeResolved, n.About == penumbra.AboutTest:
		return n.Title
	case n.Severity == penumbra.CriticalSeverity:
		return "CRITICAL: " + n.Title
	case n.Severity == penumbra.HighSeverity:
		return "High: " + n.Title
	default:
		return n.Title
	}
}

// cut shortens a text to so many characters.
func cut(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

// body is what a notice says below its heading.
func body(n *penumbra.Notice) string { return strings.Join(n.Lines, "\n") }
