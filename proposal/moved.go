package proposal

import (
	"cmp"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// A Rename is a resource that a plan would destroy at one address and create at
// another, though it is the same one.
type Rename struct {
	From penumbra.Address `json:"from"`
	To   penumbra.Address `json:"to"`
}

// Covers reports whether a resource is one of the two, or an instance of one.
func (r Rename) Covers(a penumbra.Address) bool {
	block, _ := splitKey(a)
	return slices.Contains([]penumbra.Address{r.From, r.To}, a) || slices.Contains([]penumbra.Address{r.From, r.To}, block)
}

// Renames returns what in a plan is no more than another address: a resource to
// be destroyed that has every setting that one of the same type, to be created,
// would get. Where more than one fits it is not said which. The instances of a
// for_each or count that all keep their keys are one rename, of their block.
func Renames(plan *penumbra.Plan) []Rename {
	fits := map[penumbra.Address][]penumbra.Address{} // by the old address
	taken := map[penumbra.Address]int{}
	for i := range plan.Changes {
		old := &plan.Changes[i]
		if old.Action != penumbra.Destroy {
			continue
		}
		for j := range plan.Changes {
			if now := &plan.Changes[j]; now.Action == penumbra.Create && now.Type == old.Type && isSame(old, now) {
				fits[old.Resource] = append(fits[old.Resource], now.Resource)
				taken[now.Resource]++
			}
		}
	}
	var out []Rename
	for old, now := range fits {
		if len(now) == 1 && taken[now[0]] == 1 {
			out = append(out, Rename{old, now[0]})
		}
	}
	slices.SortFunc(out, func(a, b Rename) int { return cmp.Compare(a.From, b.From) })
	return ofBlocks(out)
}

// isSame reports whether an object has every setting that a new one would get.
func isSame(old, now *penumbra.PlannedChange) bool {
	has := map[string]penumbra.Value{}
	for _, x := range old.Changes {
		has[x.Path] = x.Before
	}
	known := 0
	for _, x := range now.Changes {
		if x.Unknown {
			continue
		}
		if was, ok := has[x.Path]; !ok || was != x.After {
			return false
		}
		known++
	}
	return known > 0
}

// ofBlocks joins the renames of a block's instances.
func ofBlocks(list []Rename) []Rename {
	var out []Rename
	whole := map[Rename]bool{}
	for _, r := range list {
		from, oldKey := splitKey(r.From)
		to, key := splitKey(r.To)
		block := Rename{from, to}
		if key == "" || key != oldKey {
			out = append(out, r)
		} else if !whole[block] {
			whole[block] = true
			out = append(out, block)
		}
	}
	return out
}

// splitKey parts an instance's key from its address.
func splitKey(a penumbra.Address) (block penumbra.Address, key string) {
	text := string(a)
	if !strings.HasSuffix(text, "]") {
		return a, ""
	}
	i := strings.LastIndexByte(text, '[')
	if quoted := strings.Index(text, `["`); strings.HasSuffix(text, `"]`) && quoted >= 0 {
		// A key may hold brackets; the last one that opens a quoted key counts.
		i = strings.LastIndex(text, `["`)
	}
	if i < 0 {
		return a, ""
	}
	return penumbra.Address(text[:i]), text[i:]
}
