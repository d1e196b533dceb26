package cloudtrail

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/penumbra-iac/penumbra"
)

const (
	// maxSettings bounds the settings of a record, maxText the length of a
	// value in bytes: a longer one is touched, its value unknown. maxDepth
	// bounds the nesting.
	maxSettings = 1000
	maxText     = 16 << 10
	maxDepth    = 32
)

// controls are parameters that say how a call is to be carried out. They are
// no settings.
var controls = map[string]bool{
	"applyImmediately": true, "dryRun": true, "clientToken": true, "clientRequestToken": true, "idempotencyToken": true,
	"skipFinalSnapshot": true, "finalDBSnapshotIdentifier": true, "Host": true, "force": true, "forceDetach": true,
	"bypassPolicyLockoutSafetyCheck": true, "requestId": true, "xmlns": true, "revisionId": true, "maxResults": true, "nextToken": true,
}

// sets are settings whose scalar elements have no order.
var sets = map[string]bool{
	"vpc_security_group_ids": true, "security_groups": true, "security_group_ids": true, "subnet_ids": true, "subnets": true,
	"availability_zones": true, "target_group_arns": true, "load_balancers": true, "enabled_cloudwatch_logs_exports": true,
	"suspended_processes": true, "managed_policy_arns": true,
}

// names of people's own choosing below these are left as they are.
var verbatim = map[string]bool{"tags": true, "variables": true, "environment": true, "attributes": true}

// settings returns what the call touches, with the new values where they are
// told. Secrets are sealed.
func (r *reader) settings(e *event, k *kind) penumbra.Settings {
	parameters, _ := e.RequestParameters.(map[string]any)
	var out penumbra.Settings
	if len(parameters) > 0 {
		n := normaliser{reader: r, kind: k, removes: removes(e.EventName)}
		config := n.object(launched(parameters), 0, false)
		out = penumbra.Flatten(config, func(path string) bool { return sets[path] })
		out = append(out, n.removed...)
	}
	if k != nil {
		for part, path := range k.open {
			if strings.Contains(e.EventName, part) {
				out = append(out, penumbra.Setting{Path: path, Value: penumbra.Unknown()})
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return r.seal(penumbra.NewSettings(out...))
}

// launched adds what RunInstances says of its instances one level down. All
// that one call launches are alike.
func launched(parameters map[string]any) map[string]any {
	set, _ := parameters["instancesSet"].(map[string]any)
	items, _ := set["items"].([]any)
	if len(items) != 1 {
		return parameters
	}
	out := maps.Clone(parameters)
	item, _ := items[0].(map[string]any)
	for name, value := range item {
		out[name] = value
	}
	return out
}

// removes reports that the call takes away what its lists name.
func removes(name string) bool {
	return strings.HasPrefix(name, "Untag") || strings.HasPrefix(name, "RemoveTags") || strings.HasPrefix(name, "DeleteTags")
}

// hidden are the texts that AWS puts in the place of a secret.
var hidden = []string{"HIDDEN_DUE_TO_SECURITY_REASONS", "<sensitiveDataRemoved>", "HIDDEN_FOR_SECURITY", "****", "***"}

// seal hashes what is secret and bounds the rest.
func (r *reader) seal(s penumbra.Settings) penumbra.Settings {
	s = slices.DeleteFunc(s, func(x penumbra.Setting) bool { return len(x.Path) > maxName })
	s = s[:min(len(s), maxSettings)]
	for i, x := range s {
		text := x.Value.Text()
		switch {
		case x.Value.Kind() != penumbra.StringKind:
		case isHidden(text):
			// The same text stands for every secret: it is no value.
			s[i].Value, s[i].Sensitive = penumbra.Unknown(), true
		case isSecret(s, x), penumbra.MentionsSecret(text):
			s[i].Sensitive = true
		case len(text) > maxText:
			s[i].Value = penumbra.Unknown()
		}
	}
	r.key.SealSettings(s)
	return s
}

func isHidden(text string) bool {
	for _, h := range hidden {
		if strings.EqualFold(text, h) {
			return true
		}
	}
	return false
}

// isSecret looks at the name of a variable too, which stands in the path
// (environment.DB_PASSWORD.value) or beside the value.
func isSecret(s penumbra.Settings, x penumbra.Setting) bool {
	if base, ok := strings.CutSuffix(x.Path, ".value"); ok {
		return penumbra.LooksSecret(base, x.Value) || penumbra.LooksSecret(s.Get(base+".name").Text(), x.Value)
	}
	return strings.Contains(x.Path, "user_data") || strings.HasSuffix(x.Path, "secret_string") || strings.HasSuffix(x.Path, "secret_binary")
}

// normaliser turns parameters as CloudTrail writes them into the form that
// Terraform's provider has.
type normaliser struct {
	*reader
	kind    *kind
	removes bool
	removed penumbra.Settings
}

// object renames the fields of one object. In a map of people's own names they
// stay.
func (n *normaliser) object(x map[string]any, depth int, own bool) map[string]any {
	out := make(map[string]any, len(x))
	for name, value := range x {
		if value == nil || value == "" || depth > maxDepth || !own && controls[name] {
			continue
		}
		field := name
		if !own {
			if field = n.field(name); field == "" {
				continue
			}
		}
		if n.removes && field == "tags" && n.remove(value) {
			continue
		}
		if v := n.value(value, depth+1, own || verbatim[field]); v != nil {
			out[field] = v
		}
	}
	return out
}

// field returns the name that the provider gives a parameter, "" if it is none
// of the settings.
func (n *normaliser) field(name string) string {
	if n.kind != nil {
		if to, ok := n.kind.rename[name]; ok {
			return to
		}
		if len(n.kind.rename) == 0 && len(n.kind.ids) > 0 && n.kind.ids[0] == name {
			return ""
		}
	}
	switch name {
	case "tagSet", "tagList", "tagKeys", "tags", "Tags", "tagging", "Tagging":
		return "tags"
	case "resource", "resourceArn", "resourceARN", "resourceName", "resourcesSet", "resourceId":
		return ""
	}
	return n.names.get(name, func() string { return snake(name) })
}

// value unwraps what the XML of the older services wraps: {"items": […]} is a
// list, {"value": 1} is 1, a list of keys and values is a map.
func (n *normaliser) value(x any, depth int, own bool) any {
	switch x := x.(type) {
	case map[string]any:
		if len(x) == 1 || len(x) == 2 && x["xmlns"] != nil {
			for _, wrapper := range [...]string{"items", "value", "tagSet", "TagSet", "tag", "Tag"} {
				if inner, ok := x[wrapper]; ok && (wrapper != "value" || penumbra.Scalar(inner) != penumbra.Null()) {
					return n.value(inner, depth, own)
				}
			}
		}
		if depth > maxDepth {
			return nil
		}
		return n.object(x, depth, own)
	case []any:
		return n.array(x, depth, own)
	}
	return x
}

func (n *normaliser) array(x []any, depth int, own bool) any {
	if pairs, ok := pairs(x); ok {
		return pairs
	}
	if depth > maxDepth {
		return nil
	}
	out := make([]any, 0, len(x))
	for _, element := range x {
		// A list of groups by their ids is a list of ids.
		if object, ok := element.(map[string]any); ok && len(object) == 1 {
			if id, ok := object["groupId"]; ok {
				out = append(out, id)
				continue
			}
		}
		out = append(out, n.value(element, depth+1, own))
	}
	return out
}

// pairs returns the map that a list of keys and values stands for.
func pairs(list []any) (map[string]any, bool) {
	out := make(map[string]any, len(list))
	for _, element := range list {
		object, _ := element.(map[string]any)
		key, value := object["key"], object["value"]
		if key == nil && value == nil {
			key, value = object["Key"], object["Value"]
		}
		name, ok := key.(string)
		if !ok || name == "" || len(object) > 5 {
			return nil, false
		}
		out[name] = value
	}
	return out, len(list) > 0
}

// remove notes that tags are taken away; false if it cannot be told which.
func (n *normaliser) remove(x any) bool {
	if wrapped, ok := x.(map[string]any); ok && len(wrapped) == 1 {
		x = wrapped["items"]
	}
	list, _ := x.([]any)
	for _, element := range list {
		name, ok := element.(string)
		if object, is := element.(map[string]any); is {
			name, ok = object["key"].(string)
		}
		if ok && name != "" && len(n.removed) < maxSettings {
			n.removed = append(n.removed, penumbra.Setting{Path: "tags." + name, Value: penumbra.Null()})
		}
	}
	return len(list) > 0
}

// snake turns a parameter's name into a setting's: dBInstanceClass becomes
// db_instance_class. The first letter is lower-cased in CloudTrail even where
// it begins an abbreviation.
func snake(name string) string {
	r := []rune(clean(name, 200))
	if len(r) > 1 && unicode.IsLower(r[0]) && unicode.IsUpper(r[1]) {
		r[0] = unicode.ToUpper(r[0])
	}
	var b strings.Builder
	for i, c := range r {
		if unicode.IsUpper(c) && i > 0 && r[i-1] != '_' && r[i-1] != '.' && r[i-1] != '-' &&
			(!unicode.IsUpper(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}
