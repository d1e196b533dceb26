package knowledge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Mistake is one thing wrong in a file of knowledge.
type Mistake struct {
	File string `json:"file"`
	// Line and Column count from 1; both are 0 if it is the file as a whole.
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Entry  string `json:"entry,omitempty"` // the entry's identifier, if it has one
	What   string `json:"what"`
	Remedy string `json:"remedy"`
}

// String returns "file:line:column: what; remedy".
func (m Mistake) String() string {
	place := m.File
	if m.Line > 0 {
		place += fmt.Sprintf(":%d:%d", m.Line, m.Column)
	}
	text := place + ": " + m.What
	if m.Entry != "" {
		text = place + ": " + m.Entry + ": " + m.What
	}
	if m.Remedy != "" {
		text += "; " + m.Remedy
	}
	return text
}

// Mistakes are all that is wrong, by place.
type Mistakes []Mistake

// Error returns one mistake a line.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, x := range m {
		lines[i] = x.String()
	}
	return strings.Join(lines, "\n")
}

func (m Mistakes) sort() {
	slices.SortStableFunc(m, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.What, b.What))
	})
}
