package web

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

const (
	// shownUnmapped and shownReasons keep the page of the sources short.
	shownUnmapped = 50
	shownReasons  = 50
	// readReasons bounds the resources whose reasons are counted.
	readReasons = 5000
)

// sourcePage is the health of all that is read, and what could not be.
type sourcePage struct {
	Status     penumbra.Status
	Nodes      []sharing
	Failing    []failingSource
	NotChecked int
	Reasons    []notChecked // the most frequent first
	Unmapped   penumbra.Unmapped
}

// sharing is a node that shares the store.
type sharing struct {
	penumbra.Node
	Gone bool
}

// notChecked is a reason why resources could not be read.
type notChecked struct {
	Stack, Reason string
	Count         int
	Example       penumbra.Address
}

func (s *site) sources(w http.ResponseWriter, r *http.Request, sess session) error {
	status, err := s.service.Status(r.Context())
	if err != nil {
		return err
	}
	page := sourcePage{Status: status, NotChecked: status.Verdicts[penumbra.NotChecked], Failing: failing(&status)}
	nodes, err := s.service.Nodes(r.Context())
	if err != nil {
		return err
	}
	for i := range nodes.Nodes {
		page.Nodes = append(page.Nodes, sharing{nodes.Nodes[i], nodes.Gone(&nodes.Nodes[i])})
	}
	if page.NotChecked > 0 {
		q := penumbra.ResourceQuery{Verdicts: []penumbra.Verdict{penumbra.NotChecked}, Page: penumbra.Page{Limit: readReasons}}
		found, err := s.service.FindResources(r.Context(), q)
		if err != nil {
			return err
		}
		page.Reasons = reasons(found.Resources)
	}
	if page.Unmapped, err = s.service.Unmapped(r.Context(), shownUnmapped); err != nil {
		return err
	}
	s.show(w, http.StatusOK, "sources.html", s.frame(r, "Sources", sess, page))
	return nil
}

// reasons counts why resources were not checked, by stack.
func reasons(all []penumbra.ResourceStatus) []notChecked {
	type key struct{ stack, reason string }
	at := map[key]int{}
	var out []notChecked
	for i := range all {
		x := &all[i]
		if x.Verdict != penumbra.NotChecked && x.NotChecked == "" {
			continue
		}
		k := key{x.Address.Stack(), x.NotChecked}
		n, known := at[k]
		if !known {
			n, at[k] = len(out), len(out)
			out = append(out, notChecked{Stack: k.stack, Reason: k.reason, Example: x.Address})
		}
		out[n].Count++
	}
	slices.SortStableFunc(out, func(a, b notChecked) int { return cmp.Compare(b.Count, a.Count) })
	return out[:min(len(out), shownReasons)]
}
