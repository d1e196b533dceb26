package penumbra

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// known are the credentials that the process was given itself, the longest first, in
// the forms in which they may come back.
var (
	known       atomic.Pointer[[]string]
	addingKnown sync.Mutex
)

// Conceal has [Redact] take texts out wherever they stand: credentials that the process
// was given for others, which a server that refuses one may answer with in words of its
// own. Of a URL it is what only who was given it knows: its path, and values of its
// query. What is no more than a short word stays, for it stands in other places too.
func Conceal(secrets ...string) {
	addingKnown.Lock()
	defer addingKnown.Unlock()
	var list []string
	if old := known.Load(); old != nil {
		list = slices.Clone(*old)
	}
	for _, secret := range secrets {
		for _, part := range partsOf(secret) {
			quoted, _ := json.Marshal(part)
			for _, form := range []string{part, url.QueryEscape(part), url.PathEscape(part), strings.Trim(string(quoted), `"`)} {
				if !slices.Contains(list, form) {
					list = append(list, form)
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	known.Store(&list)
}

// ConcealNamed is [Conceal] for those of NAME=value lines whose name says that it is a
// secret, such as a process's environment.
func ConcealNamed(lines []string) {
	var secrets []string
	for _, line := range lines {
		if name, value, _ := strings.Cut(line, "="); LooksSecret(name, String(value)) {
			secrets = append(secrets, value)
		}
	}
	Conceal(secrets...)
}

// partsOf returns what is to be concealed of a credential.
func partsOf(secret string) []string {
	const (
		shortest = 8  // of what is concealed
		word     = 20 // of what is letters alone
	)
	telling := func(text string) bool {
		letters := strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz") == ""
		return len(text) >= word || len(text) >= shortest && !letters
	}
	var out []string
	if u, err := url.Parse(secret); err == nil && u.Host != "" {
		password, _ := u.User.Password()
		out = append(strings.Split(u.Path, "/"), password)
		for _, values := range u.Query() {
			out = append(out, values...)
		}
	} else {
		out = []string{secret}
	}
	return slices.DeleteFunc(out, func(text string) bool { return !telling(text) })
}

// concealed takes the known credentials out of a text.
func concealed(text string) string {
	list := known.Load()
	if list == nil {
		return text
	}
	for _, secret := range *list {
		if strings.Contains(text, secret) {
			text = strings.ReplaceAll(text, secret, redacted)
		}
	}
	return text
}
