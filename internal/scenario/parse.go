package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// statement is one line: its words, or a block with the lines in it.
type statement struct {
	line  int
	words []string
	block []statement // of repeat; nil for none
}

// fault returns an error that names the statement's place.
func fault(file string, line int, remedy, format string, args ...any) error {
	return &penumbra.Error{
		Kind: penumbra.Invalid, What: fmt.Sprintf("%s:%d: ", file, line) + fmt.Sprintf(format, args...), Remedy: remedy,
	}
}

// parse reads a script.
func parse(file, text string) ([]statement, error) {
	type open struct {
		line  int
		lines []statement
	}
	blocks := []open{{}} // the innermost last
	for i, line := range strings.Split(text, "\n") {
		words, err := split(line)
		if err != nil {
			return nil, fault(file, i+1, `close it with "`, "%v", err)
		}
		if len(words) == 0 {
			continue
		}
		inner := &blocks[len(blocks)-1]
		switch {
		case words[0] == "}":
			if len(blocks) == 1 || len(words) > 1 {
				return nil, fault(file, i+1, "write } on a line of its own, once for each repeat", "unexpected }")
			}
			outer := &blocks[len(blocks)-2]
			outer.lines[len(outer.lines)-1].block = inner.lines
			blocks = blocks[:len(blocks)-1]
		case words[len(words)-1] == "{":
			inner.lines = append(inner.lines, statement{line: i + 1, words: words[:len(words)-1]})
			blocks = append(blocks, open{line: i + 1, lines: []statement{}})
		default:
			inner.lines = append(inner.lines, statement{line: i + 1, words: words})
		}
	}
	if len(blocks) > 1 {
		return nil, fault(file, blocks[len(blocks)-1].line, "write } on a line of its own after its last statement", "the block is not closed")
	}
	return blocks[0].lines, nil
}

// split returns a line's words with their quotes, without its comment.
func split(line string) ([]string, error) {
	var words []string
	start, quoted := -1, false
	for i := 0; i <= len(line); i++ {
		switch {
		case i == len(line) && quoted:
			return nil, errors.New("a quote is not closed")
		case i == len(line) || !quoted && strings.IndexByte(" \t\r", line[i]) >= 0:
			if start >= 0 {
				words = append(words, line[start:i])
			}
			start = -1
		case !quoted && start < 0 && line[i] == '#':
			return words, nil
		default:
			if start < 0 {
				start = i
			}
			switch {
			case line[i] == '"':
				quoted = !quoted
			case quoted && line[i] == '\\' && i+1 < len(line):
				i++
			}
		}
	}
	return words, nil
}

// text takes the quotes off a word that has them around it.
func text(word string) (string, error) {
	if !strings.HasPrefix(word, `"`) {
		return word, nil
	}
	s, err := strconv.Unquote(word)
	if err != nil {
		return "", fmt.Errorf("%s is not a quoted text", word)
	}
	return s, nil
}

func value(word string) (penumbra.Value, error) {
	switch word {
	case "null":
		return penumbra.Null(), nil
	case "true", "false":
		return penumbra.Bool(word == "true"), nil
	}
	if strings.HasPrefix(word, `"`) {
		s, err := text(word)
		return penumbra.String(s), err
	}
	v, err := penumbra.ParseNumber(word)
	if err != nil {
		return v, fmt.Errorf("%q is no value: write true, false, null, a number or a quoted text", word)
	}
	return v, nil
}

// settings reads PATH=VALUE words.
func settings(words []string) (penumbra.Settings, error) {
	var out []penumbra.Setting
	for _, word := range words {
		path, v, found := strings.Cut(word, "=")
		if !found || path == "" {
			return nil, fmt.Errorf("%q is not PATH=VALUE", word)
		}
		x, err := value(v)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(s penumbra.Setting) bool { return s.Path == path }) {
			return nil, fmt.Errorf("%s is given twice", path)
		}
		out = append(out, penumbra.Setting{Path: path, Value: x})
	}
	return penumbra.NewSettings(out...), nil
}

// duration reads what time.ParseDuration does, and whole days.
func duration(word string) (time.Duration, error) {
	if days, found := strings.CutSuffix(word, "d"); found {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 36500 {
			return 0, fmt.Errorf("%q is not a duration such as 5m, 1h30m or 2d", word)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(word)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration such as 5m, 1h30m or 2d", word)
	}
	return d, nil
}

// number reads a count, up to a million.
func number(word string) (int, error) {
	n, err := strconv.Atoi(word)
	if err != nil || n < 0 || n > 1_000_000 {
		return 0, fmt.Errorf("%q is not a number from 0 to 1000000", word)
	}
	return n, nil
}
