package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// About is what the pages show of how this Penumbra is set up: what does not
// change while it runs.
type About struct {
	// File is the configuration that was read, "" for none; Settings is what holds,
	// in parts. Whoever fills it leaves out what is secret.
	File     string
	Settings []SettingGroup
	// Policies returns the policies in use, nil if there are none.
	Policies func() []PolicyText
	// Knowledge returns what is known of settings, the user's own entries first;
	// nil if nothing is.
	Knowledge func() []KnowledgeEntry
}

func (s *site) policies() []PolicyText {
	if s.about.Policies == nil {
		return nil
	}
	return s.about.Policies()
}

// SettingGroup is a part of the configuration.
type SettingGroup struct {
	Name     string
	Settings []NamedSetting
}

// NamedSetting is a key of the configuration and what it holds, in words.
type NamedSetting struct{ Name, Value string }

// PolicyText is one policy as it is written.
type PolicyText struct{ Name, File, Text string }

// KnowledgeEntry is what the manuals say of settings.
type KnowledgeEntry struct {
	ID           string
	Title        string
	Types, Paths []string
	When         string // the condition, "" for always
	Fact         penumbra.Fact
	Own          bool // the user's
}

func (s *site) settings(w http.ResponseWriter, r *http.Request, sess session) error {
	status, err := s.service.Status(r.Context())
	if err != nil {
		return err
	}
	s.show(w, http.StatusOK, "settings.html", s.frame(r, "Settings", sess, map[string]any{"About": s.about, "Policies": s.policies(), "Status": status}))
	return nil
}

// entriesPerPage keeps the page of what is known short.
const entriesPerPage = 50

// knowledgeList is one page of what is known.
type knowledgeList struct {
	Text      string
	Found, Of int
	Rows      []KnowledgeEntry
	paging
}

func (s *site) knowledge(w http.ResponseWriter, r *http.Request, sess session) error {
	list := knowledgeList{Text: r.URL.Query().Get("q")}
	var rows []KnowledgeEntry
	if s.about.Knowledge != nil {
		all := s.about.Knowledge()
		list.Of = len(all)
		words := strings.Fields(strings.ToLower(list.Text))
		rows = slices.DeleteFunc(slices.Clone(all), func(e KnowledgeEntry) bool { return !e.has(words) })
	}
	list.Found = len(rows)
	first, last := list.take(len(rows), entriesPerPage, r.URL)
	list.Rows = rows[first:last]
	s.show(w, http.StatusOK, "knowledge.html", s.frame(r, "Knowledge", sess, list))
	return nil
}

// has reports whether every word occurs in the entry, in lower case.
func (e *KnowledgeEntry) has(words []string) bool {
	text := strings.ToLower(strings.Join(slices.Concat([]string{e.ID, e.Title, e.Fact.Hazard, e.Fact.OneWay, e.Fact.Owner}, e.Types, e.Paths), " "))
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
}
