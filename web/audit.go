package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// shownEntries is how many entries of the audit log stand on one page.
const shownEntries = 100

// auditPage is a part of the audit log, the newest first.
type auditPage struct {
	Entries  []penumbra.AuditEntry
	Query    penumbra.AuditQuery
	Outcomes []penumbra.AuditOutcome
	Older    string // where the entries before these are, "" if there are none
	Head     penumbra.AuditHead
	Report   *penumbra.AuditReport // if it was asked to verify
	Verifies bool                  // who is signed in may
}

func (s *site) audit(w http.ResponseWriter, r *http.Request, sess session) error {
	data, err := s.auditPage(r)
	if err != nil {
		return err
	}
	s.show(w, http.StatusOK, "audit.html", s.frame(r, "Audit log", sess, data))
	return nil
}

func (s *site) auditPage(r *http.Request) (*auditPage, error) {
	asked := r.URL.Query()
	word := func(name string) string { return strings.TrimSpace(asked.Get(name)) }
	before, _ := strconv.ParseInt(asked.Get("before"), 10, 64) // 0, and so the newest, if it is none
	data := &auditPage{Outcomes: penumbra.AuditOutcomes, Query: penumbra.AuditQuery{
		Principal: word("who"), Act: penumbra.Act(word("act")), Outcome: penumbra.AuditOutcome(word("outcome")),
		Stack: word("stack"), ID: word("on"), Before: max(before, 0), Limit: shownEntries, Latest: true,
	}}
	data.Verifies = s.may(r.Context(), "audit.verify", penumbra.Target{})
	var err error
	if data.Entries, err = s.service.AuditEntries(r.Context(), data.Query); err != nil {
		return nil, err
	}
	if data.Head, err = s.service.AuditHead(r.Context()); err != nil {
		return nil, err
	}
	if n := len(data.Entries); n == shownEntries && data.Entries[n-1].Sequence > 1 {
		next := url.Values{}
		for _, name := range []string{"who", "act", "outcome", "stack", "on"} {
			if v := word(name); v != "" {
				next.Set(name, v)
			}
		}
		next.Set("before", strconv.FormatInt(data.Entries[n-1].Sequence, 10))
		data.Older = "/audit?" + next.Encode()
	}
	return data, nil
}

// verifyAudit shows the log with what became of holding it against its chain.
func (s *site) verifyAudit(w http.ResponseWriter, r *http.Request, sess session) error {
	report, err := s.service.VerifyAudit(r.Context(), nil)
	if err != nil {
		return err
	}
	data, err := s.auditPage(r)
	if err != nil {
		return err
	}
	data.Report = &report
	s.show(w, http.StatusOK, "audit.html", s.frame(r, "Audit log", sess, data))
	return nil
}
