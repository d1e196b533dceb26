// Package conf reads and edits the configuration file of a service: one "key = value" a line.
//
// It answers one question: what does the file set, and how does it look after a change that
// leaves everything else alone. Comments, blank lines, the order of the lines, indentation,
// line endings and settings that nobody asked to change come back byte for byte.
//
// The format:
//
//	# a comment; so is a line that starts with ;
//	log_level = info
//	tag.team  = payments
//	banner    = "  quoted when spaces, quotes or control characters matter  "
//
// A key has no spaces and no equals sign. A value is the rest of the line without the space
// around it; a value in double quotes is a Go string literal. A key that stands twice is an
// error, because services disagree about which of the two counts.
package conf

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SyntaxError says which line of a file cannot be read, why, and what to do about it.
type SyntaxError struct {
	Line    int    // 1 is the first line
	Problem string // what is wrong, a phrase
	Remedy  string // what a person does about it, a sentence
}

// Error returns the line and the problem, without the remedy.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d: %s", e.Line, e.Problem)
}

// File is a parsed configuration file. The zero value is an empty file.
type File struct {
	lines []line
}

// line is one line of a file: raw text, and what it sets when it is a setting.
type line struct {
	raw   string // with its ending, if it has one
	key   string // empty for comments and blank lines
	value string
}

// Parse reads a file. The error is a *SyntaxError for the first line that cannot be read.
func Parse(data []byte) (*File, error) {
	file := &File{}
	seen := make(map[string]int)
	for number, raw := range strings.SplitAfter(string(data), "\n") {
		if raw == "" {
			continue // what follows the last line ending
		}
		parsed, err := parseLine(raw, number+1)
		if err != nil {
			return nil, err
		}
		if parsed.key != "" {
			if first, twice := seen[parsed.key]; twice {
				return nil, &SyntaxError{
					Line:    number + 1,
					Problem: fmt.Sprintf("%q is already set on line %d", parsed.key, first),
					Remedy:  "Keep one of the two lines and delete the other.",
				}
			}
			seen[parsed.key] = number + 1
		}
		file.lines = append(file.lines, parsed)
	}
	return file, nil
}

// parseLine reads one line, with its ending.
func parseLine(raw string, number int) (line, error) {
	if !utf8.ValidString(raw) {
		return line{}, &SyntaxError{number, "not valid UTF-8", "Save the file as UTF-8."}
	}
	text := strings.TrimSpace(raw)
	if text == "" || text[0] == '#' || text[0] == ';' {
		return line{raw: raw}, nil
	}
	key, value, found := strings.Cut(text, "=")
	if !found {
		return line{}, &SyntaxError{
			number, fmt.Sprintf("%q is not a setting", abbreviate(text)),
			"Write it as key = value, or put # in front to make it a comment.",
		}
	}
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if err := CheckKey(key); err != nil {
		return line{}, &SyntaxError{number, err.Error(), "Rename the key, or put # in front to make the line a comment."}
	}
	if strings.HasPrefix(value, `"`) {
		unquoted, err := strconv.Unquote(value)
		if err != nil {
			return line{}, &SyntaxError{
				number, fmt.Sprintf("the quoted value of %q does not end, or has an unknown escape", key),
				`End it with a double quote, and write \" and \\ inside it.`,
			}
		}
		if !utf8.ValidString(unquoted) {
			return line{}, &SyntaxError{number, fmt.Sprintf("the value of %q is not valid UTF-8", key), "Write the value as UTF-8 text."}
		}
		value = unquoted
	}
	return line{raw: raw, key: key, value: value}, nil
}

// CheckKey says why a text cannot be the key of a setting; nil when it can.
func CheckKey(key string) error {
	if key == "" {
		return fmt.Errorf("the key is empty")
	}
	if !utf8.ValidString(key) {
		return fmt.Errorf("the key is not valid UTF-8")
	}
	if strings.ContainsRune("#;", rune(key[0])) {
		return fmt.Errorf("the key %q starts like a comment", key)
	}
	for _, r := range key {
		if r == '=' || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return fmt.Errorf("the key %q holds %q", key, r)
		}
	}
	return nil
}

// Get returns the value of a key and its line number; found is false when nothing sets it.
func (f *File) Get(key string) (value string, number int, found bool) {
	if i := f.index(key); i >= 0 {
		return f.lines[i].value, i + 1, true
	}
	return "", 0, false
}

// Keys returns the keys that are set, in the order of the file.
func (f *File) Keys() []string {
	var keys []string
	for _, l := range f.lines {
		if l.key != "" {
			keys = append(keys, l.key)
		}
	}
	return keys
}

// Set gives a key a value: in its line if it has one, otherwise in a new line after its family
// (the keys with the same first part, as in tag.team and tag.owner) or at the end. A line that
// already says so is left as it is. The error is that of [CheckKey], or says that the value is
// not UTF-8.
func (f *File) Set(key, value string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if !utf8.ValidString(value) {
		return fmt.Errorf("the value of %q is not valid UTF-8", key)
	}
	i := f.index(key)
	if i < 0 {
		f.insert(line{raw: key + " = " + quote(value), key: key, value: value})
		return nil
	}
	old := &f.lines[i]
	if old.value == value {
		return nil
	}
	// Everything up to the value, its alignment included, stays as the person wrote it.
	start := strings.IndexByte(old.raw, '=') + 1
	rest := old.raw[start:]
	gap := rest[:len(rest)-len(strings.TrimLeft(rest, " \t"))]
	if gap == "" && strings.HasSuffix(old.raw[:start-1], " ") {
		gap = " "
	}
	old.raw = old.raw[:start] + gap + quote(value) + ending(old.raw)
	old.value = value
	return nil
}

// Delete removes the line of a key, if there is one.
func (f *File) Delete(key string) {
	if i := f.index(key); i >= 0 {
		f.lines = append(f.lines[:i], f.lines[i+1:]...)
	}
}

// Bytes returns the text of the file.
func (f *File) Bytes() []byte {
	var text strings.Builder
	for _, l := range f.lines {
		text.WriteString(l.raw)
	}
	return []byte(text.String())
}

// AddComment adds a comment at the end of the file, a line for each line of the text.
func (f *File) AddComment(text string) {
	for _, part := range strings.Split(text, "\n") {
		f.lines = append(f.lines, line{raw: strings.TrimRight("# "+part, " ") + "\n"})
	}
}

func (f *File) index(key string) int {
	for i, l := range f.lines {
		if l.key != "" && l.key == key {
			return i
		}
	}
	return -1
}

// insert adds a setting after its family, or at the end, with the file's own line ending.
func (f *File) insert(added line) {
	at, newline := len(f.lines), "\n"
	if at > 0 {
		if e := ending(f.lines[0].raw); e != "" {
			newline = e
		}
	}
	if family, _, inFamily := strings.Cut(added.key, "."); inFamily {
		for i, l := range f.lines {
			if strings.HasPrefix(l.key, family+".") {
				at = i + 1
			}
		}
	}
	if at > 0 && ending(f.lines[at-1].raw) == "" {
		f.lines[at-1].raw += newline // the last line of a file may lack its ending
	}
	added.raw += newline
	f.lines = append(f.lines[:at], append([]line{added}, f.lines[at:]...)...)
}

// ending returns the line ending of a raw line: "\n", "\r\n" or nothing.
func ending(raw string) string {
	switch {
	case strings.HasSuffix(raw, "\r\n"):
		return "\r\n"
	case strings.HasSuffix(raw, "\n"):
		return "\n"
	}
	return ""
}

// quote returns a value as it is written: in quotes only if it would not read back without.
func quote(value string) string {
	plain := value != "" && value[0] != '"' && strings.TrimSpace(value) == value
	for _, r := range value {
		plain = plain && unicode.IsPrint(r)
	}
	if plain {
		return value
	}
	return strconv.Quote(value)
}

// abbreviate shortens a text for a message.
func abbreviate(text string) string {
	const most = 40
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most]) + "…"
}
