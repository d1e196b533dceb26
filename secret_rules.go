package penumbra

import (
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
)

// SecretRules add to what is held to be a secret, and take from it. What a provider
// or the code marks as sensitive is sealed whatever they say.
type SecretRules struct {
	// Names are patterns of settings' paths, with * for any text, that are secrets:
	// "*_pepper", "seal.*". Case does not matter.
	Names []string
	// Patterns are regular expressions (RE2) of texts that are secrets.
	Patterns []string
	// ExceptNames are patterns of paths that are none, whatever their last word or
	// however random the value. Formats count all the same.
	ExceptNames []string
	// ExceptValues are regular expressions of whole values that are none.
	ExceptValues []string
}

type compiledRules struct {
	names, exceptNames     []*regexp.Regexp
	patterns, exceptValues []*regexp.Regexp
}

// secretRules are the process's. Redact is the second net at every way out, in places
// that have no configuration; a net that only some of them had would have holes.
var secretRules atomic.Pointer[compiledRules]

func init() { secretRules.Store(&compiledRules{}) }

// UseSecretRules has the process keep to rules, from now on. It is called once, where
// the configuration is read, before anything enters. The error is of kind Invalid and
// says which rule it is.
func UseSecretRules(r SecretRules) error {
	c := &compiledRules{}
	for _, list := range []struct {
		from  []string
		to    *[]*regexp.Regexp
		key   string
		globs bool
	}{
		{r.Names, &c.names, "secrets.names", true}, {r.ExceptNames, &c.exceptNames, "secrets.except_names", true},
		{r.Patterns, &c.patterns, "secrets.patterns", false}, {r.ExceptValues, &c.exceptValues, "secrets.except_values", false},
	} {
		for i, text := range list.from {
			invalid := func(why string, err error) error {
				return &Error{Kind: Invalid, What: fmt.Sprintf("%s[%d] %s", list.key, i, why), Remedy: "see docs/security.md for examples", Err: err}
			}
			source := text
			if list.globs {
				source = `(?i)^` + strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, `.*`) + `$`
			} else if list.key == "secrets.except_values" {
				source = `^(?:` + text + `)$`
			}
			re, err := regexp.Compile(source)
			switch {
			case strings.TrimSpace(text) == "":
				return invalid("is empty", nil)
			case err != nil:
				return invalid("is no regular expression", err)
			case !list.globs && re.MatchString(""):
				return invalid("matches an empty text", nil)
			}
			*list.to = append(*list.to, re)
		}
	}
	secretRules.Store(c)
	return nil
}

func anyMatch(list []*regexp.Regexp, text string) bool {
	for _, re := range list {
		if re.MatchString(text) {
			return true
		}
	}
	return false
}

func (c *compiledRules) addsName(path string) bool    { return anyMatch(c.names, path) }
func (c *compiledRules) exceptName(path string) bool  { return anyMatch(c.exceptNames, path) }
func (c *compiledRules) exceptValue(text string) bool { return anyMatch(c.exceptValues, text) }
func (c *compiledRules) matches(text string) bool     { return anyMatch(c.patterns, text) }
func (c *compiledRules) adds() bool                   { return len(c.patterns) > 0 }

func (c *compiledRules) redact(text string) string {
	for _, re := range c.patterns {
		text = re.ReplaceAllString(text, redacted)
	}
	return text
}
