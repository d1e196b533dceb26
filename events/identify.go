package events

import (
	"path"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// rank says how much an identifier tells. Where a record fits several resources,
// those that it fits by the highest rank are left.
type rank uint8

const (
	derived rank = iota + 1 // a part of an identifier: a host without its domain, a tag
	name                    // one in a scope that the record may not name
	scoped                  // one with its scope: namespace and name, an identifier of a provider
	global                  // the same in the whole world: an ARN, a link, a UID, an absolute path
	address                 // Penumbra's own
)

// identifying are the settings whose values name the resource that has them, by
// the path without its indexes.
var identifying = map[string]rank{
	"arn": global, "self_link": global, "selfLink": global, "uid": global, "unique_id": global, "metadata.uid": global, "url": global,
	"id": scoped, "resource_id": scoped, "instance_id": name, "identifier": scoped, "qualified_name": scoped,

	"name": name, "metadata.name": name, "bucket": name, "function_name": name, "cluster_name": derived, "db_name": derived,
	"repository": name, "unit": name, "service": derived, "service_name": derived, "server_name": name, "role_name": name, "user_name": name,
	"hostname": name, "host": name, "host_name": name, "fqdn": name, "inventory_hostname": name, "node_name": name, "machine": name,
	"address": name, "endpoint": name, "domain_name": name, "dns_name": name, "private_dns": name, "public_dns": name,
	"private_ip": name, "public_ip": name, "ip_address": name, "private_ip_address": name, "public_ip_address": name, "ip": name, "ansible_host": name,
	"path": name, "filename": name, "file": name, "dest": name, "config_file": derived, "data_directory": derived,
	"tags.Name": derived, "tags.name": derived,
}

// hostPaths are those whose values are hosts, perhaps with a port and a domain.
var hostPaths = set("hostname", "host", "host_name", "fqdn", "inventory_hostname", "node_name", "machine", "address", "endpoint",
	"domain_name", "dns_name", "private_dns", "public_dns", "ansible_host", "server_name")

// identifierRank returns what the value at a path says of the resource, 0 if it
// does not name it.
func identifierRank(at string) rank {
	if len(at) > 64 {
		return 0
	}
	if r := identifying[at]; r != 0 {
		return r
	}
	if strings.HasSuffix(at, "_identifier") && !strings.Contains(at, ".") {
		return name // perhaps its parent's: then the type or the ARN has to tell
	}
	if strings.HasPrefix(at, "metadata") { // "metadata.0.name", as providers have it
		return identifying[withoutIndexes(at)]
	}
	return 0
}

// withoutIndexes returns a path without the places in lists.
func withoutIndexes(at string) string {
	if !strings.ContainsAny(at, "0123456789") {
		return at
	}
	var b strings.Builder
	for step := range strings.SplitSeq(strings.ReplaceAll(at, "[", "."), ".") {
		step = strings.TrimSuffix(step, "]")
		if step == "" || strings.Trim(step, "0123456789") == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(step)
	}
	return b.String()
}

// maxIdentifier is how long a name may be, in bytes; longer ones are texts.
const maxIdentifier = 1024

// canonical returns an identifier in the form in which it is looked for, "" if it
// is none: paths cleaned, links without their host, everything else in lower case.
func canonical(text string) string {
	text = strings.TrimSpace(text)
	if len(text) < 2 || len(text) > maxIdentifier {
		return ""
	}
	if i := strings.Index(text, "/projects/"); i >= 0 && (strings.Contains(text[:i], "://") || strings.HasPrefix(text, "//")) {
		text = text[i+1:]
	}
	text = strings.TrimPrefix(text, "file://")
	if strings.HasPrefix(text, "/") && !strings.HasPrefix(strings.ToLower(text[:min(len(text), 15)]), "/subscriptions/") {
		if text = path.Clean(text); text == "/" {
			return ""
		}
		return text
	}
	if strings.HasPrefix(text, "./") {
		text = path.Clean(text)
	}
	return strings.ToLower(text)
}

// identifier is one that a resource has.
type identifier struct {
	key  string
	rank rank
}

// identifiers returns those of a resource, each once with its highest rank.
func identifiers(r *penumbra.Resource) []identifier {
	var list []identifier
	add := func(text string, of rank) {
		key := canonical(text)
		if key == "" {
			return
		}
		for i := range list {
			if list[i].key == key {
				list[i].rank = max(list[i].rank, of)
				return
			}
		}
		list = append(list, identifier{key, of})
	}
	local := r.Address.Local()
	add(string(r.Address), address)
	add(local, address)
	if i := strings.LastIndexByte(local, '|'); i >= 0 {
		add(local[i+1:], scoped) // "file|Deployment/web@shop", as a repository's history has it
	}
	if host, on, found := strings.Cut(local, "/"); found && !strings.ContainsAny(host, "|.[") {
		add(host, derived) // "inventory/host/role": of all that is on the host
		if kind, of, inBrackets := strings.Cut(on, "["); inBrackets && strings.HasSuffix(of, "]") && kind != "" {
			add(strings.TrimSuffix(of, "]"), name) // "host/file[/etc/nginx/nginx.conf]", "host/service[nginx]"
		}
	}
	var namespace, objectName string
	for _, settings := range []penumbra.Settings{r.Template, r.Actual} {
		for i := range settings {
			x := &settings[i]
			of := identifierRank(x.Path)
			isNamespace := of == 0 && strings.HasPrefix(x.Path, "metadata") && withoutIndexes(x.Path) == "metadata.namespace"
			if of == 0 && !isNamespace || x.Sensitive || x.Value.Kind() != penumbra.StringKind {
				continue
			}
			text := x.Value.Text()
			switch {
			case isNamespace:
				namespace = text
				continue
			case withoutIndexes(x.Path) == "metadata.name":
				objectName = text
			}
			add(text, rankOf(text, of))
			if hostPaths[x.Path] {
				addParts(text, add)
			}
		}
	}
	if namespace != "" && objectName != "" {
		add(namespace+"/"+objectName, scoped)
	}
	return list
}

// rankOf raises the rank of a value that shows itself what it is.
func rankOf(text string, of rank) rank {
	switch {
	case strings.HasPrefix(text, "arn:"), strings.HasPrefix(text, "projects/"), strings.Contains(text, "/projects/"),
		strings.HasPrefix(strings.ToLower(text[:min(len(text), 15)]), "/subscriptions/"):
		return global
	case of == name && strings.HasPrefix(text, "/"):
		return global
	}
	return of
}

// addParts adds a host without its port and without its domain.
func addParts(text string, add func(string, rank)) {
	host := withoutPort(text)
	if host != text {
		add(host, name)
	}
	if short := shortHost(host); short != host {
		add(short, derived)
	}
}

// withoutPort returns "db1" of "db1:9187" and "::1" of "[::1]:80".
func withoutPort(text string) string {
	if strings.HasPrefix(text, "[") {
		if i := strings.Index(text, "]"); i > 0 {
			return text[1:i]
		}
	}
	i := strings.LastIndexByte(text, ':')
	if i <= 0 || strings.IndexByte(text, ':') != i || i+1 == len(text) || strings.Trim(text[i+1:], "0123456789") != "" {
		return text
	}
	return text[:i]
}

// shortHost returns "db1" of "db1.example.com"; what does not look like a host
// with a domain stays as it is.
func shortHost(text string) string {
	short, rest, found := strings.Cut(text, ".")
	if !found || short == "" || rest == "" || strings.ContainsAny(text, "/:@ _[|") || strings.Trim(text, "0123456789.") == "" {
		return text
	}
	return short
}
