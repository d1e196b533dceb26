package penumbra

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"regexp"
	"slices"
	"strings"
)

// Key makes keyed hashes of sensitive values. The same value under the same
// key gives the same hash, so that a change shows and the value does not.
type Key []byte

// Seal returns the secret that stands for v: HMAC-SHA-256 over the kind and
// the text, cut to 128 bits. Null, unknown and secret values stay as they are.
func (k Key) Seal(v Value) Value {
	switch v.kind {
	case NullKind, UnknownKind, SecretKind:
		return v
	}
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte{byte(v.kind), 0})
	mac.Write([]byte(v.text))
	return Value{SecretKind, SecretPrefix + hex.EncodeToString(mac.Sum(nil)[:16])}
}

// SealSettings seals, in place, each setting that is marked sensitive or that
// [LooksSecret]. It is called where data enters, before anything is stored.
func (k Key) SealSettings(s Settings) {
	for i := range s {
		if s[i].Sensitive || LooksSecret(s[i].Path, s[i].Value) {
			s[i].Sensitive = true
			s[i].Value = k.Seal(s[i].Value)
		}
	}
}

// secretName matches the last words of a path under which secrets are kept.
// Names that only mention one (password_length, secret_arn, key_name) end in a
// word that is not in the list, so they do not match.
var secretName = regexp.MustCompile(`(?i)(^|[._-])(password|passwd|passphrase|pwd|secret|token|private[_-]?key|api[_-]?key|access[_-]?key|secret[_-]?key|auth[_-]?key|encryption[_-]?key|client[_-]?secret|connection[_-]?string|credentials?|user[_-]?data(_base64)?)(\.[0-9]+)?$`)

// secretText matches texts that are secrets whatever their name: PEM private
// keys, cloud access keys, forge and chat tokens, JSON web tokens, URLs with a
// password.
var secretText = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{40,}|\bglpat-[A-Za-z0-9_-]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.|://[^/\s:@]+:[^/\s:@]+@`)

// LooksSecret reports whether a setting should be treated as sensitive though
// nobody marked it. Providers do not mark every secret.
func LooksSecret(path string, v Value) bool {
	if v.kind != StringKind || v.text == "" {
		return false
	}
	if containsAny(strings.ToLower(path), secretWords) && secretName.MatchString(path) && !isReference(v.text) {
		return true
	}
	return len(v.text) >= 16 && containsAny(v.text, secretMarks) && secretText.MatchString(v.text)
}

// What a path or a text must contain for its expression to match at all: nearly
// none does, and the search is a tenth of the expression's cost.
var (
	secretWords = []string{"pass", "pwd", "secret", "token", "key", "credential", "string", "data"}
	secretMarks = []string{"-----BEGIN", "AKIA", "ASIA", "gh", "glpat-", "xox", "eyJ", "://"}
)

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// isReference reports whether text names a secret kept elsewhere rather than
// being one: an unresolved expression, or an identifier of a secrets manager.
func isReference(text string) bool {
	return strings.HasPrefix(text, "arn:") || strings.HasPrefix(text, "${") ||
		strings.HasPrefix(text, `"${`) || strings.HasPrefix(text, "projects/")
}

// Redact replaces what looks like a secret inside free text, such as the
// output of a run or an error of a provider.
func Redact(text string) string {
	text = secretText.ReplaceAllString(text, "[redacted]")
	text = assignment.ReplaceAllString(text, "${1}${3}[redacted]")
	return longToken.ReplaceAllStringFunc(text, func(tok string) string {
		parts := []string{tok}
		if absolutePath.MatchString(tok) {
			parts = strings.Split(tok, "/") // an error must name its file
		}
		if slices.ContainsFunc(parts, looksRandom) {
			return "[redacted]"
		}
		return tok
	})
}

func looksRandom(text string) bool {
	return len(text) >= 40 && strings.ContainsAny(text, "0123456789") && entropy(text) > 4.3
}

var (
	assignment = regexp.MustCompile(`(?i)\b([a-z0-9_.-]*(password|passwd|passphrase|secret|token|private_key|api_key|access_key))("?\s*[:=]\s*"?)[^\s",;()]+`)
	longToken  = regexp.MustCompile(`[A-Za-z0-9+/_=-]{40,}`)
	// absolutePath matches the start of a path such as /home/…: base64 may hold
	// slashes, but seldom starts with a word between two.
	absolutePath = regexp.MustCompile(`^/[A-Za-z][a-z]+/`)
)

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
