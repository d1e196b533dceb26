package policy

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/schema"

	"github.com/penumbra-iac/penumbra"
)

// acts are those of the schema with the groups that each is in.
var acts = sync.OnceValue(func() map[penumbra.Act]cedar.EntityUIDSet {
	out := map[penumbra.Act]cedar.EntityUIDSet{}
	var s schema.Schema
	if s.UnmarshalCedar(accessSchema) != nil {
		return out // LoadAccess tells
	}
	resolved, err := s.Resolve()
	if err != nil {
		return out
	}
	for uid, a := range resolved.Actions {
		if a.AppliesTo != nil {
			out[penumbra.Act(uid.ID)] = a.Entity.Parents
		}
	}
	return out
})

func actGroups(act penumbra.Act) cedar.EntityUIDSet { return acts()[act] }

// Acts returns all acts that are asked about, sorted.
func Acts() []penumbra.Act {
	var out []penumbra.Act
	for act := range acts() {
		out = append(out, act)
	}
	slices.Sort(out)
	return out
}

// needed returns the least role that may do something where nothing bounds it, with
// what its grant has to say besides; "" if none may.
func (a *Access) needed(p *penumbra.Principal, act penumbra.Act, t penumbra.Target) (role penumbra.Role, rights string) {
	for _, r := range append(slices.Clone(ranks), penumbra.Sender) {
		for _, g := range []penumbra.Grant{{Role: r}, {Role: r, Values: true}, {Role: r, Logs: true}, {Role: r, Values: true, Logs: true}} {
			if ok, _ := a.ask(&penumbra.Principal{ID: p.ID, Name: p.Name, Kind: p.Kind}, act, t, []penumbra.Grant{g}); ok {
				var words []string
				if g.Values {
					words = append(words, valuesRight)
				}
				if g.Logs {
					words = append(words, logsRight)
				}
				return r, strings.Join(words, " and ")
			}
		}
	}
	return "", ""
}

// refusal says what is missing.
func (a *Access) refusal(p *penumbra.Principal, act penumbra.Act, t penumbra.Target, refusedBy []*rule) error {
	where := placeOf(act, t)
	e := &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s may not %s%s", p.Name, act, where)}
	own := slices.DeleteFunc(slices.Clone(refusedBy), func(r *rule) bool { return r == nil || r.id == "admins-only" || r.id == "send-by-grant" })
	role, rights := a.needed(p, act, t)
	switch {
	case len(own) > 0:
		e.What += ": refused by " + named(own)
	case role == "":
		e.What += ": no role allows it"
	default:
		has := "has no role there"
		if held := rolesHeld(p, act, t); held != "" {
			has = "has " + held + " there"
		}
		needs := "the role " + string(role)
		if rights != "" {
			needs += " with the right to " + rights
		}
		e.What += fmt.Sprintf(": it takes %s, and %s %s", needs, p.Name, has)
		e.Remedy = "ask an admin for it; `penumbra whoami` shows what you may"
	}
	return e
}

// placeOf says on what an act is.
func placeOf(act penumbra.Act, t penumbra.Target) string {
	var words []string
	for _, w := range []struct{ noun, name string }{{"stack", t.Stack}, {"environment", t.Environment}, {"type", t.Type}} {
		if w.name != "" {
			words = append(words, w.noun+" "+w.name)
		}
	}
	if act == sendAct && t.ID != "" {
		words = append(words, "input "+t.ID)
	}
	if len(words) == 0 {
		return ""
	}
	return " on " + strings.Join(words, ", ")
}

func rolesHeld(p *penumbra.Principal, act penumbra.Act, t penumbra.Target) string {
	var out []string
	for _, g := range coveringOf(p, act, t) {
		if !slices.Contains(out, string(g.Role)) {
			out = append(out, string(g.Role))
		}
	}
	return strings.Join(out, ", ")
}
