package git

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"unicode/utf8"
	"unique"

	"github.com/penumbra-iac/penumbra"
)

// leaf is one setting as it stands in a file.
type leaf struct {
	path  string
	value penumbra.Value
	// reference marks an expression without a text of its own: what it stands
	// for is kept elsewhere, so that it is no secret whatever its name.
	reference bool
	// mixed marks an expression that holds texts: under a name that secrets are
	// kept under, one of them may be the secret.
	mixed bool
	// secret marks what is one by its place.
	secret bool
}

// leaves collects the settings of one resource.
type leaves struct {
	list []leaf
	over bool // there were more than maxSettings, or they were nested too deeply
}

const (
	// maxSettings bounds the settings of a resource. What has more is a
	// generated document, of which no single setting is anybody's doing.
	maxSettings = 1000
	// maxDepth bounds how deep a setting may be nested.
	maxDepth = 64
	// maxText is the length, in bytes, from which a text is cut to its
	// beginning and a digest.
	maxText = 160
	kept    = 40
	maxStep = 100
)

func (l *leaves) add(x leaf) {
	if len(l.list) >= maxSettings || strings.Count(x.path, ".") > maxDepth*2 {
		l.over = true
		return
	}
	l.list = append(l.list, x)
}

// settings hashes what is secret, cuts what is long, and sorts.
func (l *leaves) settings(key penumbra.Key) penumbra.Settings {
	names := map[string]string{} // of the pairs of a name and a value, by where they are
	inside := map[string]bool{}  // where Kubernetes secrets are within another resource
	for _, x := range l.list {
		if base, ok := strings.CutSuffix(x.path, ".kind"); ok && x.value.Text() == "Secret" {
			inside[base] = true
		}
		if base, ok := strings.CutSuffix(x.path, ".name"); ok {
			names[base] = x.value.Text()
		} else if base, ok := strings.CutSuffix(x.path, ".key"); ok && names[base] == "" {
			names[base] = x.value.Text()
		}
	}
	out := make([]penumbra.Setting, 0, len(l.list))
	for _, x := range l.list {
		if x.value.IsNull() {
			continue
		}
		s := penumbra.Setting{Path: unique.Make(strings.ToValidUTF8(x.path, "\ufffd")).Value()}
		pair := ""
		if base, ok := strings.CutSuffix(x.path, ".value"); ok {
			pair = names[base]
		}
		switch {
		case isSecret(x, pair) || len(inside) > 0 && !x.reference && isData(x.path, inside):
			s.Sensitive, s.Value = true, key.Seal(x.value)
		case x.value.Kind() == penumbra.StringKind:
			s.Value = penumbra.String(unique.Make(cut(x.value.Text(), key)).Value())
		default:
			s.Value = x.value
		}
		out = append(out, s)
	}
	return penumbra.NewSettings(out...)
}

// isData reports whether a path is the data of one of the Kubernetes secrets.
func isData(path string, secrets map[string]bool) bool {
	for _, name := range [...]string{".data", ".stringData"} {
		if i := strings.Index(path, name); i >= 0 && secrets[path[:i]] {
			return true
		}
	}
	return false
}

// isSecret reports whether a value has to be hashed; pair is the name beside it
// where a value is one of a list of names and values.
func isSecret(x leaf, pair string) bool {
	switch {
	case x.secret:
		return true
	case x.reference || x.value.Kind() == penumbra.BoolKind:
		return false
	}
	text := x.value
	if text.Kind() != penumbra.StringKind {
		text = penumbra.String(text.Text()) // a password of digits
	}
	for _, name := range [...]string{x.path, pair} {
		if name == "" {
			continue
		}
		name = penumbra.Words(name)
		if strings.HasSuffix(name, "existing_secret") {
			continue // Helm's word for the name of a secret
		}
		if penumbra.HoldsSecret(name, text) || x.mixed && penumbra.LooksSecret(name, penumbra.String("x")) {
			return true
		}
	}
	if strings.HasPrefix(text.Text(), "ENC[") || strings.HasPrefix(text.Text(), "$ANSIBLE_VAULT") {
		return true
	}
	return mentionsSecret(text.Text())
}

// manifest matches a Kubernetes secret that is one text of another resource.
var manifest = regexp.MustCompile(`\bkind"?\s*[:=]\s*"?Secret\b`)

var secretMentions = regexp.MustCompile(`(?i)passw|passphrase|secret|token|private_key|api_key|access_key`)

var resourceName = regexp.MustCompile(`\barn:[^\s",]+`)

// mentionsSecret reports whether a text has a secret inside, such as a line of
// a configuration file or an argument of a command.
func mentionsSecret(text string) bool {
	if len(text) < 8 || !strings.ContainsAny(text, ":=") || !secretMentions.MatchString(text) {
		return false
	}
	if manifest.MatchString(text) && strings.Contains(strings.ToLower(text), "data") {
		return true
	}
	text = resourceName.ReplaceAllString(text, "arn") // …:secret:name is where a secret is kept
	return penumbra.Redact(text) != text
}

// cut brings a text to the form in which it is kept: white space of several
// lines collapsed, valid UTF-8, and a long one cut to its beginning with a
// digest behind, so that a change of the rest shows. The digest is keyed: from
// a known text nothing can be guessed of what differs.
func cut(text string, key penumbra.Key) string {
	if strings.ContainsAny(text, "\n\t") {
		text = strings.Join(strings.Fields(text), " ")
	}
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) <= maxText {
		return text
	}
	return prefix(text, kept) + "…#" + key.Short(penumbra.String(text))
}

// prefix returns the first n characters.
func prefix(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}

// join appends a step to a path; bracketed is an element's name or number.
func join(path, step string) string {
	step = clean(step)
	if path == "" {
		return step
	}
	return path + "." + step
}

func element(path, name string) string { return path + "[" + clean(name) + "]" }

// clean keeps a name from being too long for a path.
func clean(step string) string {
	if len(step) <= maxStep && utf8.ValidString(step) && !strings.ContainsAny(step, "\n\t") {
		return step
	}
	digest := sha256.Sum256([]byte(step))
	return prefix(strings.Join(strings.Fields(strings.ToValidUTF8(step, "\ufffd")), " "), kept) + "…#" + hex.EncodeToString(digest[:6])
}
