package events

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"github.com/penumbra-iac/penumbra"
)

// resource is what is kept of a known one.
type resource struct {
	address penumbra.Address
	kind    *kind
	sight   uint64 // digest of what the index takes from it
	keys    []identifier
	paths   *vocabulary
}

// entry is one resource that has an identifier.
type entry struct {
	of   *resource
	rank rank
}

// holders are the resources that have an identifier: nearly always one.
type holders struct {
	first entry
	more  []entry
}

// index finds resources by their identifiers.
type index struct {
	mu           sync.RWMutex
	seed         maphash.Seed
	resources    map[penumbra.Address]*resource
	keys         map[string]holders
	kinds        map[string]*kind
	vocabularies map[uint64]*vocabulary
	names        names
}

func newIndex() *index {
	return &index{
		seed: maphash.MakeSeed(), resources: make(map[penumbra.Address]*resource), keys: make(map[string]holders),
		kinds: make(map[string]*kind), vocabularies: make(map[uint64]*vocabulary),
	}
}

// know takes in a resource as it is now. If nothing that matters here changed
// that costs one pass over its settings.
func (x *index) know(r *penumbra.Resource) {
	if r.Deleted {
		x.forget(r.Address)
		return
	}
	sight, paths := x.digest(r)
	x.mu.RLock()
	known := x.resources[r.Address]
	same := known != nil && known.sight == sight && known.kind.name == r.Type
	x.mu.RUnlock()
	if same {
		return
	}
	keys := identifiers(r)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(r.Address)
	k := x.kinds[r.Type]
	if k == nil {
		k = newKind(r.Type)
		x.kinds[r.Type] = k
	}
	v := x.vocabularies[paths]
	if v == nil {
		v = newVocabulary(paths, k, r.Template, r.Actual)
		x.vocabularies[paths] = v
	}
	v.users++
	of := &resource{address: r.Address, kind: k, sight: sight, keys: keys, paths: v}
	x.resources[r.Address] = of
	for _, id := range keys {
		h := x.keys[id.key]
		if h.first.of == nil {
			h.first = entry{of, id.rank}
		} else {
			h.more = append(h.more, entry{of, id.rank})
		}
		x.keys[id.key] = h
	}
}

// digest returns one digest of all that the index takes from a resource, and one
// of its type, its paths and which of them are sensitive.
func (x *index) digest(r *penumbra.Resource) (sight, paths uint64) {
	var of, all maphash.Hash
	of.SetSeed(x.seed)
	all.SetSeed(x.seed)
	_, _ = of.WriteString(r.Type)
	for _, settings := range []penumbra.Settings{r.Template, r.Actual} {
		_ = of.WriteByte(1)
		for i := range settings {
			s := &settings[i]
			_, _ = of.WriteString(s.Path)
			if s.Sensitive {
				_ = of.WriteByte(2)
			}
			_ = of.WriteByte(0)
			if s.Value.Kind() == penumbra.StringKind && (identifierRank(s.Path) > 0 || strings.HasPrefix(s.Path, "metadata")) {
				_, _ = all.WriteString(s.Path)
				_ = all.WriteByte(0)
				_, _ = all.WriteString(s.Value.Text())
				_ = all.WriteByte(0)
			}
		}
	}
	paths = of.Sum64()
	return all.Sum64() ^ paths*0x9e3779b97f4a7c15, paths
}

func (x *index) forget(a penumbra.Address) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(a)
}

// drop removes a resource; the caller holds the lock.
func (x *index) drop(a penumbra.Address) {
	of := x.resources[a]
	if of == nil {
		return
	}
	delete(x.resources, a)
	if of.paths.users--; of.paths.users == 0 {
		delete(x.vocabularies, of.paths.digest)
	}
	for _, id := range of.keys {
		h := x.keys[id.key]
		h.more = slices.DeleteFunc(h.more, func(e entry) bool { return e.of == of })
		if h.first.of == of {
			h.first = entry{}
			if n := len(h.more); n > 0 {
				h.first, h.more = h.more[n-1], h.more[:n-1]
			}
		}
		if h.first.of == nil {
			delete(x.keys, id.key)
		} else {
			x.keys[id.key] = h
		}
	}
}

// find appends the resources that have an identifier. The caller holds the lock.
func (x *index) find(to []entry, key string) []entry {
	if h, ok := x.keys[key]; ok && key != "" {
		to = append(append(to, h.first), h.more...)
	}
	return to
}

// lookup returns the resources that a target names, however it is written. The
// caller holds the lock.
func (x *index) lookup(target string) []entry {
	key := canonical(target)
	if key == "" {
		return nil
	}
	if found := x.find(nil, key); len(found) > 0 {
		return found
	}
	switch {
	case strings.HasPrefix(key, "arn:"):
		return x.lookupARN(key)
	case strings.Contains(strings.Trim(key, "/"), "/"):
		if found := x.lookupObject(target, key); len(found) > 0 || key[0] != '/' {
			return found
		}
		return x.lookupRelative(key)
	}
	return x.lookupHost(key)
}

// lookupARN looks for the last part of an ARN, among resources of a type that
// its service and its other parts name and that have no other ARN.
func (x *index) lookupARN(key string) []entry {
	parts := strings.SplitN(key, ":", 6) // arn, partition, service, region, account, resource
	if len(parts) < 6 {
		return nil
	}
	at := strings.LastIndexAny(parts[5], "/:")
	about := x.names.of("aws:" + parts[2] + ":" + parts[5][:max(at, 0)])
	found := x.find(nil, parts[5][at+1:])
	return slices.DeleteFunc(found, func(e entry) bool {
		other := slices.ContainsFunc(e.of.keys, func(id identifier) bool { return strings.HasPrefix(id.key, "arn:") })
		return other || !slices.ContainsFunc(e.of.kind.words, func(w string) bool { return about.words[w] })
	})
}

// lookupObject looks for an object of Kubernetes, as a request's path has it, or
// as kind/namespace/name with or without the API's version before it,
// namespace/kind/name, kind/name@namespace or kind/name.
func (x *index) lookupObject(target, key string) []entry {
	parts := strings.Split(strings.ToLower(strings.Trim(target, "/")), "/")
	if i := slices.Index(parts, "namespaces"); i >= 0 && len(parts) >= i+4 {
		return x.findKind(parts[i+1]+"/"+parts[i+3], parts[i+2])
	}
	n := len(parts)
	if key[0] == '/' {
		if n >= 3 && (parts[0] == "api" || parts[0] == "apis") {
			return x.findKind(parts[n-1], parts[n-2])
		}
		return nil
	}
	if n >= 3 {
		if found := x.findKind(parts[n-2]+"/"+parts[n-1], parts[n-3]); len(found) > 0 {
			return found
		}
		if found := x.findKind(parts[n-3]+"/"+parts[n-1], parts[n-2]); len(found) > 0 {
			return found
		}
	}
	if objectName, namespace, found := strings.Cut(parts[n-1], "@"); found {
		return x.findKind(namespace+"/"+objectName, parts[n-2])
	}
	return x.findKind(parts[n-1], parts[n-2])
}

// findKind returns the resources of a kind that have an identifier.
func (x *index) findKind(key, kind string) []entry {
	about := x.names.of(kind)
	return slices.DeleteFunc(x.find(nil, key), func(e entry) bool { return about == nil || about.fits(e.of.kind) == 0 })
}

// lookupRelative looks for resources whose path is relative and ends like an
// absolute one, in two steps at least: one alone is in many folders.
func (x *index) lookupRelative(key string) []entry {
	for at := strings.IndexByte(key[1:], '/') + 1; at > 0; {
		rest := strings.ToLower(key[at+1:])
		if !strings.Contains(rest, "/") {
			break
		}
		if found := x.find(nil, rest); len(found) > 0 {
			for i := range found {
				found[i].rank = derived
			}
			return found
		}
		next := strings.IndexByte(key[at+1:], '/')
		at += 1 + next
	}
	return nil
}

// lookupHost looks for a host without its port, then without its domain.
func (x *index) lookupHost(key string) []entry {
	host := withoutPort(key)
	if host != key {
		if found := x.find(nil, host); len(found) > 0 {
			return found
		}
	}
	short := shortHost(host)
	if short == host {
		return nil
	}
	// A short name that itself was cut off belongs to another domain.
	found := slices.DeleteFunc(x.find(nil, short), func(e entry) bool { return e.rank == derived })
	for i := range found {
		found[i].rank = derived
	}
	return found
}

// byAddress sorts and drops doubles, keeping the highest rank of each resource.
func byAddress(list []entry) []entry {
	slices.SortFunc(list, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.of.address, b.of.address), cmp.Compare(b.rank, a.rank))
	})
	return slices.CompactFunc(list, func(a, b entry) bool { return a.of == b.of })
}
