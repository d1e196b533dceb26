package penumbra

import (
	"math"
	"regexp"
	"slices"
	"strings"
)

// Redact replaces what looks like a secret inside free text, such as a line of a log,
// the output of a run or an error of a provider. It is the second net at every way
// out, and idempotent.
func Redact(text string) string {
	text = concealed(text)
	found, longest := look(text)
	if found == 0 && longest < longRun {
		return text
	}
	return redact(text, found)
}

// redact applies the expressions that what was found in the text has a part for.
func redact(text string, found marks) string {
	text = redactNamed(text, found)
	text = longToken.ReplaceAllStringFunc(text, func(tok string) string {
		parts := []string{tok}
		if absolutePath.MatchString(tok) {
			parts = strings.Split(tok, "/") // an error must name its file
		}
		if slices.ContainsFunc(parts, looksRandom) {
			return redacted
		}
		return tok
	})
	return text
}

// redactNamed replaces what a format, a rule of the configuration or a name before it
// says is a secret.
func redactNamed(text string, found marks) string {
	text = secretRules.Load().redact(redactFormats(text, found))
	if found&headerMark != 0 {
		text = replaced(httpHeader, text, func(i []int) (from, to int) {
			head := max(i[3], i[5])
			if strings.HasSuffix(text[:i[1]], redacted) && i[1]-head <= len(redacted) {
				return 0, 0
			}
			return head, i[1]
		})
	}
	if found&nameMark == 0 {
		return text
	}
	if strings.IndexByte(text, '<') >= 0 || strings.Contains(text, `\u003c`) {
		text = element.ReplaceAllString(text, "${1}"+redacted+"${2}")
	}
	text = replaced(prose, text, func(i []int) (from, to int) {
		if word := text[i[2]:i[3]]; strings.ContainsAny(word, "0123456789!#$%^&*") && word[0] != '{' && word[0] != '[' && !isReference(word) {
			return i[2], i[3]
		}
		return 0, 0
	})
	return redactAssignments(text)
}

// replaced redacts what part returns of each match, by the match's indexes in the text;
// nothing if it is empty. A match is not looked at by itself: at its edges an expression
// may see something else there.
func replaced(re *regexp.Regexp, text string, part func(match []int) (from, to int)) string {
	var b strings.Builder
	at := 0
	for _, m := range re.FindAllStringSubmatchIndex(text, -1) {
		if from, to := part(m); from < to {
			b.WriteString(text[at:from] + redacted)
			at = to
		}
	}
	if at == 0 {
		return text
	}
	b.WriteString(text[at:])
	return b.String()
}

// MentionsSecret reports whether a text has a secret inside, such as an argument
// --password=x or a line of a file of settings.
func MentionsSecret(text string) bool { return Redact(text) != text }

// mentionsNamed is MentionsSecret for settings: random text alone does not count, for
// settings hold certificates and digests.
func mentionsNamed(text string) bool {
	if concealed(text) != text {
		return true
	}
	found, _ := look(text)
	return found != 0 && redactNamed(text, found) != text
}

const textName = `[a-z0-9_.-]*(?:passw(?:or)?d|passphrase|passcode|pwd|secret|token|credentials?|(?:private|api|access|account|auth|encryption|shared|sharedaccess|signing|master|license)[_-]?key|connection[_-]?string|authorization)`

var (
	// assigned matches a name of a secret and what stands between it and its value: in
	// shells, files of settings, JSON (escaped in JSON or not), URLs and their escapes,
	// options of a command.
	assigned = regexp.MustCompile(`(?i)(?:\b` + textName + `(?:_?(?:wo|base64|b64|hash|old|new|[0-9]{1,2}))?\\*["'\]]{0,2}\s{0,4}(?:=>|=\\u003e|:=|==|[:=]|%3[AaDd])\s{0,4}|(?:^|[\s"'\[,])--?` + textName + `(?:\s+|\\*["'],\s*))`)
	// httpHeader matches what a request carries to say who it is from.
	httpHeader = regexp.MustCompile(`(?i)(\b(?:set-)?cookie\\*"?\s*:\s*(?:\[\s*)?\\*"?|\b(?:proxy-)?authorization\\*"?\s*[:=]\s*(?:\[\s*)?\\*"?|\bx-[a-z0-9-]*(?:token|key|secret|signature)\\*"?\s*[:=]\s*(?:\[\s*)?\\*"?)` +
		`(?:(?:digest|aws4-hmac-sha256|signature)\s[^\r\n"\\]+|(?:(?:bearer|basic|token|negotiate|apikey|ntlm)\s+)?[^\s"'\\]+(?:;\s*[^\s"'\\;=]+=[^\s"'\\;]*)*)` +
		`|(\b(?:bearer|basic)\s+)[A-Za-z._~+/-]{0,60}[0-9=][A-Za-z0-9._~+/=-]*`)
	// element matches an element of XML with the name of a secret.
	element = regexp.MustCompile(`(?is)((?:<|\\u003c)(?:[a-z0-9]+:)?` + textName + `(?:\s[^<>]*?)?(?:>|\\u003e))[^<]+?(<|\\u003c)`)
	// prose matches what people write of a password, and SQL: the word is taken for one
	// only if it has a digit or a sign.
	prose = regexp.MustCompile(`(?i)\b(?:password|passphrase|passwd|passcode|secret|token|identified by)\s+(?:(?:is|was|to|of|set to|changed to|->)\s+)?(?:["'` + "`" + `]?)([^\s"'` + "`" + `,;]{5,})`)

	longToken = regexp.MustCompile(`[A-Za-z0-9+/_=-]{32,}`)
	// absolutePath matches the start of a path such as /home/…: base64 may hold
	// slashes, but seldom starts with a word between two.
	absolutePath = regexp.MustCompile(`^/[A-Za-z][a-z]+/`)
)

// redactAssignments replaces the values that stand after names of secrets. Values are
// taken to their end by hand: the quotes say where it is.
func redactAssignments(text string) string {
	var b strings.Builder
	rest := text
	for {
		at := assigned.FindStringIndex(rest)
		if at == nil {
			break
		}
		whole := rest
		b.WriteString(rest[:at[1]])
		rest = rest[at[1]:]
		open, n := valueEnd(rest)
		value := rest[open:n]
		// "holds credentials: name a file" is what people write.
		name := lower(whole[max(0, at[1]-13):at[1]])
		prose := open == 0 && (strings.HasSuffix(name, "credentials: ") || strings.HasSuffix(name, "credential: "))
		if value == "" || prose || strings.HasPrefix(value, redacted) || strings.HasPrefix(value, "(sensitive") || isPlaceholder(value) || isOpening(value) {
			b.WriteString(rest[:n])
		} else {
			b.WriteString(rest[:open] + redacted)
		}
		rest = rest[n:]
	}
	if b.Len() == 0 {
		return text
	}
	return b.String() + rest
}

// isOpening reports whether what stands where a value would is a structure, whose parts
// have names of their own, or an expression.
func isOpening(value string) bool {
	switch value[0] {
	case '{', '[', '(', '&', '|':
		return len(value) == 1
	}
	return value == "<<" || strings.HasPrefix(value, "<<~") || strings.HasPrefix(value, "<<-")
}

// valueEnd returns where the value at the start of a text begins, after quotes, and
// where it ends, before them.
func valueEnd(s string) (open, end int) {
	for open < len(s) && s[open] == '\\' {
		open++
	}
	slashes := open
	if open < len(s) && (s[open] == '"' || s[open] == '\'') {
		quote := s[open]
		open++
		for i := open; i < len(s); i++ {
			if s[i] == '\n' && quote == '\'' {
				return open, i
			}
			if s[i] != quote {
				continue
			}
			n := 0
			for n < i-open && s[i-1-n] == '\\' {
				n++
			}
			if n <= slashes {
				return open, i - min(n, slashes)
			}
		}
		return open, len(s)
	}
	open = 0
	if strings.HasPrefix(s, redacted) {
		return 0, len(redacted)
	}
	for _, p := range placeholders {
		if i := strings.Index(s, p[1]); i >= 0 && strings.HasPrefix(s, p[0]) {
			end = i + len(p[1])
		}
	}
	for end < len(s) {
		switch c := s[end]; c {
		case ' ', '\t', '\r', '\n', '"', '\v', '\f':
			return 0, end
		case ',', ';', '&', ')', '}', ']':
			if end > 0 && endsValue(s[end+1:]) {
				return 0, end
			}
		}
		end++
	}
	return 0, end
}

// nextName matches the name of what comes after a value.
var nextName = regexp.MustCompile(`^\s*["']?[A-Za-z_][A-Za-z0-9_.-]*["']?\s*[=:]`)

// endsValue reports whether a separator before rest ends a value, rather than being
// part of it.
func endsValue(rest string) bool {
	if rest == "" {
		return true
	}
	switch rest[0] {
	case ' ', '\t', '\r', '\n', '"', '\'', ',', ';', ')', '}', ']':
		return true
	}
	return nextName.MatchString(rest)
}

func looksRandom(text string) bool {
	if len(text) >= 40 && strings.ContainsAny(text, "0123456789") && entropy(text) > 4.3 {
		return true
	}
	return len(text) >= 32 && isMixed(text)
}

// isRandomText reports whether a whole value is random, as keys and tokens are: one
// word of letters of both cases and digits in no order.
func isRandomText(text string) bool {
	if len(text) < 20 || len(text) > 512 || strings.ContainsAny(text, " \t\r\n{}()<>\",;:|*[]@") || strings.HasPrefix(text, "/") {
		return false
	}
	return isMixed(text)
}

// isMixed reports whether the classes of a text's characters alternate as they do in
// random text. Of 62 letters and digits drawn at random, 62 % of neighbours differ in
// class, with a standard deviation of 11 points at 20 characters; in names that people
// make (of camel case, with versions) it is a quarter. Hexadecimal and words of small
// letters stay below by having two classes only: digests and identifiers are such.
func isMixed(text string) bool {
	var uppers, lowers, digits, changes, letters int
	last := 0
	for i := range len(text) {
		class := 0
		switch c := text[i]; {
		case c >= 'A' && c <= 'Z':
			class = 1
			uppers++
		case c >= 'a' && c <= 'z':
			class = 2
			lowers++
		case c >= '0' && c <= '9':
			class = 3
			digits++
		default:
			last = 0
			continue
		}
		letters++
		if last != 0 && class != last {
			changes++
		}
		last = class
	}
	return uppers >= 3 && lowers >= 3 && digits >= 2 && letters*10 >= len(text)*8 && changes*100 >= (letters-1)*45 && entropy(text) > 3.6
}

// entropy is Shannon's, in bits a character. Hexadecimal digests stay below 4;
// random base64 of 40 characters and more is above 4.3.
func entropy(s string) float64 {
	var count [256]int
	for i := range len(s) {
		count[s[i]]++
	}
	var h float64
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(s))
			h -= p * math.Log2(p)
		}
	}
	return h
}
