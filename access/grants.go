package access

import (
	"fmt"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// CheckGrants returns an error of kind Invalid that names the first grant that is
// none.
func CheckGrants(grants []penumbra.Grant) error {
	for _, g := range grants {
		if !g.Role.Known() {
			return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%q is no role", g.Role), Remedy: "choose sender, viewer, operator, approver or admin"}
		}
		for _, patterns := range [][]string{g.Stacks, g.Environments, g.Types, g.Inputs} {
			for _, p := range patterns {
				if strings.TrimSpace(p) == "" {
					return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("the grant of %s has an empty pattern", g.Role), Remedy: "leave it out, or write a name; * stands for any text"}
				}
			}
		}
	}
	return nil
}

// Within returns what of the wanted grants the held ones cover: the lower role, and
// of each list the patterns that the other list covers. Two patterns of which neither
// covers the other ("a*" and "*b") leave nothing: it never gives more than both.
func Within(held, wanted []penumbra.Grant) []penumbra.Grant {
	var out []penumbra.Grant
	for _, w := range wanted {
		for _, h := range held {
			g := penumbra.Grant{Values: h.Values && w.Values, Logs: h.Logs && w.Logs}
			switch {
			case h.Role.Includes(w.Role):
				g.Role = w.Role
			case w.Role.Includes(h.Role):
				g.Role = h.Role
			case w.Role == penumbra.Sender && h.Role == penumbra.Admin:
				g.Role = w.Role // an admin could make a source's token
			default:
				continue
			}
			var some [4]bool
			g.Stacks, some[0] = common(h.Stacks, w.Stacks)
			g.Environments, some[1] = common(h.Environments, w.Environments)
			g.Types, some[2] = common(h.Types, w.Types)
			g.Inputs, some[3] = common(h.Inputs, w.Inputs)
			if some == [4]bool{true, true, true, true} {
				out = append(out, g)
			}
		}
	}
	return out
}

// common returns the patterns that hold in both lists, of which an empty one is no
// bound, and whether there are any.
func common(a, b []string) (both []string, some bool) {
	switch {
	case len(a) == 0:
		return b, true
	case len(b) == 0:
		return a, true
	}
	for _, x := range a {
		for _, y := range b {
			switch {
			case covers(x, y):
				both = append(both, y)
			case covers(y, x):
				both = append(both, x)
			}
		}
	}
	return both, len(both) > 0
}

// covers reports whether a pattern, in which * stands for any text, matches all that
// another does: the other's * can only be matched by one.
func covers(pattern, other string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == other
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(other) < len(first)+len(last) || !strings.HasPrefix(other, first) || !strings.HasSuffix(other, last) {
		return false
	}
	rest := other[len(first) : len(other)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return true
}

// ParseGrant reads a grant as people write it: a role, and behind colons where it
// holds and what it shows. "approver:stack=shop*,bank:env=prod:values". It returns an
// error of kind Invalid that names what is wrong.
func ParseGrant(text string) (penumbra.Grant, error) {
	role, rest, more := strings.Cut(text, ":")
	g := penumbra.Grant{Role: penumbra.Role(strings.TrimSpace(role))}
	for part := range strings.SplitSeq(rest, ":") {
		key, list, _ := strings.Cut(strings.TrimSpace(part), "=")
		to := map[string]*[]string{"stack": &g.Stacks, "env": &g.Environments, "type": &g.Types}[key]
		switch {
		case !more:
		case to != nil:
			for name := range strings.SplitSeq(list, ",") {
				*to = append(*to, strings.TrimSpace(name))
			}
		case key == "values" && list == "":
			g.Values = true
		case key == "logs" && list == "":
			g.Logs = true
		default:
			return g, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("the grant %q: %q means nothing", text, part), Remedy: "write stack=, env=, type=, values or logs behind the role"}
		}
	}
	return g, CheckGrants([]penumbra.Grant{g})
}

// FormatGrant writes a grant as [ParseGrant] reads it.
func FormatGrant(g penumbra.Grant) string {
	out := string(g.Role)
	for _, x := range []struct {
		key  string
		list []string
	}{{"stack", g.Stacks}, {"env", g.Environments}, {"type", g.Types}} {
		if len(x.list) > 0 {
			out += ":" + x.key + "=" + strings.Join(x.list, ",")
		}
	}
	if g.Values {
		out += ":values"
	}
	if g.Logs {
		out += ":logs"
	}
	return out
}
