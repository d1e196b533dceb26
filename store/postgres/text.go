package postgres

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// mark begins a text that stands for bytes which PostgreSQL takes in no text.
const mark = "\ufffd\ufffdx"

// text returns a string as a column of type text holds it: as it is, unless it has a
// NUL or is not UTF-8, as what comes from logs may be. Different strings stay
// different.
func text[S ~string](s S) string {
	if utf8.ValidString(string(s)) && strings.IndexByte(string(s), 0) < 0 && !strings.HasPrefix(string(s), mark) {
		return string(s)
	}
	return mark + hex.EncodeToString([]byte(s))
}

// untext reads what [text] wrote.
func untext(s string) string {
	rest, marked := strings.CutPrefix(s, mark)
	if !marked {
		return s
	}
	if b, err := hex.DecodeString(rest); err == nil {
		return string(b)
	}
	return s
}
