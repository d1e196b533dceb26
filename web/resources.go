package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// resourcesPerPage keeps the list short whatever the number of resources.
const resourcesPerPage = 50

// resourceList is one page of the filtered resources.
type resourceList struct {
	Text, Stack, Verdict, Order string // the filter and the order
	Stacks                      []string
	Found, Of                   int
	Rows                        []penumbra.ResourceStatus
	Here                        *url.URL
	paging
}

func (s *site) resources(w http.ResponseWriter, r *http.Request, sess session) error {
	status, err := s.service.Status(r.Context())
	if err != nil {
		return err
	}
	query := r.URL.Query()
	list := resourceList{Text: query.Get("q"), Stack: query.Get("stack"), Verdict: query.Get("verdict"), Order: query.Get("order"), Of: status.Resources, Here: r.URL}
	for _, st := range status.Stacks {
		list.Stacks = append(list.Stacks, st.Name)
		if st.Name == list.Stack {
			list.Of = st.Resources
		}
	}
	q, err := list.query()
	if err != nil {
		return err
	}
	found, err := s.service.FindResources(r.Context(), q)
	if err != nil {
		return err
	}
	list.Found = found.Found
	if first, _ := list.take(found.Found, resourcesPerPage, r.URL); first != q.Offset { // a page that is not there
		q.Offset = first
		if found, err = s.service.FindResources(r.Context(), q); err != nil {
			return err
		}
	}
	list.Rows = found.Resources
	s.show(w, http.StatusOK, "resources.html", s.frame(r, "Resources", sess, &list))
	return nil
}

// query is what the list asks for. What is no order is the first one.
func (l *resourceList) query() (penumbra.ResourceQuery, error) {
	orders := []penumbra.ResourceOrder{penumbra.ByAddress, penumbra.ByType, penumbra.BySettings, penumbra.LongestUnseen}
	if !slices.Contains(orders, penumbra.ResourceOrder(l.Order)) {
		l.Order = ""
	}
	q := penumbra.ResourceQuery{Stack: l.Stack, Text: strings.TrimSpace(l.Text), Order: penumbra.ResourceOrder(l.Order)}
	q.Limit, q.Offset = resourcesPerPage, offset(resourcesPerPage, l.Here)
	if l.Verdict != "" {
		var v penumbra.Verdict
		if err := v.UnmarshalText([]byte(l.Verdict)); err != nil {
			return q, &penumbra.Error{Kind: penumbra.Invalid, What: "list resources", Remedy: "choose one of the verdicts that are offered", Err: err}
		}
		q.Verdicts = []penumbra.Verdict{v}
	}
	return q, nil
}

// Sorted is the address of the list in another order.
func (l *resourceList) Sorted(order string) string {
	query := l.Here.Query()
	query.Del("page")
	query.Del("order")
	if order != "" {
		query.Set("order", order)
	}
	return localURL(l.Here.Path, query)
}
