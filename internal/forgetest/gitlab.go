package forgetest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// gitlab has the routes of GitLab's API: docs.gitlab.com/api/merge_requests. The
// project stands in the path as one part, escaped.
func (s *Server) gitlab(mux *http.ServeMux) {
	base := "/api/v4/projects/{project}/merge_requests"
	handle := func(pattern string, f func(w http.ResponseWriter, r *http.Request)) {
		mux.HandleFunc(pattern, s.locked(func(w http.ResponseWriter, r *http.Request) {
			if r.PathValue("project") != s.Project {
				say(w, http.StatusNotFound, map[string]any{"message": "404 Project Not Found"})
				return
			}
			f(w, r)
		}))
	}
	handle("GET "+base, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		state := q.Get("state")
		if state == "opened" {
			state = "open"
		}
		out := []any{}
		for _, p := range s.of(q.Get("source_branch"), state) {
			out = append(out, s.labPull(p))
		}
		say(w, http.StatusOK, out)
	})
	handle("POST "+base, func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Title, Description string
			SourceBranch       string `json:"source_branch"`
			TargetBranch       string `json:"target_branch"`
		}
		if !read(w, r, &in) {
			return
		}
		p, exists, missing := s.add(Pull{Branch: in.SourceBranch, Base: in.TargetBranch, Title: in.Title, Body: in.Description, Draft: strings.HasPrefix(in.Title, "Draft: ")})
		switch {
		case exists:
			say(w, http.StatusConflict, map[string]any{"message": []string{fmt.Sprintf("Another open merge request already exists for this source branch: !%d", s.of(in.SourceBranch, "open")[0].Number)}})
		case missing:
			say(w, http.StatusBadRequest, map[string]any{"message": map[string]any{"source_branch": []string{"does not exist"}}})
		default:
			say(w, http.StatusCreated, s.labPull(p))
		}
	})
	handle("GET "+base+"/{number}", func(w http.ResponseWriter, r *http.Request) {
		if p := s.find(w, r); p != nil {
			say(w, http.StatusOK, s.labPull(p))
		}
	})
	handle("PUT "+base+"/{number}", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Title, Description *string
			StateEvent         string  `json:"state_event"`
			AddLabels          string  `json:"add_labels"`
			ReviewerIDs        []int64 `json:"reviewer_ids"`
		}
		p := s.find(w, r)
		if p == nil || !read(w, r, &in) {
			return
		}
		if in.Title != nil {
			p.Title = *in.Title
		}
		if in.Description != nil {
			p.Body = *in.Description
		}
		if in.StateEvent == "close" && p.State == "open" {
			p.State = "closed"
		}
		if in.AddLabels != "" {
			p.Labels = append(p.Labels, strings.Split(in.AddLabels, ",")...)
		}
		if in.ReviewerIDs != nil {
			p.Reviewers = nil
			for _, id := range in.ReviewerIDs {
				p.Reviewers = append(p.Reviewers, s.Users[id-1])
			}
		}
		say(w, http.StatusOK, s.labPull(p))
	})
	handle("GET "+base+"/{number}/notes", func(w http.ResponseWriter, r *http.Request) {
		if p := s.find(w, r); p != nil {
			out := []any{}
			for i, c := range p.Comments {
				out = append(out, map[string]any{"id": i + 1, "body": c})
			}
			say(w, http.StatusOK, out)
		}
	})
	handle("POST "+base+"/{number}/notes", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Body string }
		p := s.find(w, r)
		if p == nil || !read(w, r, &in) {
			return
		}
		p.Comments = append(p.Comments, in.Body)
		say(w, http.StatusCreated, map[string]any{"id": len(p.Comments), "body": in.Body})
	})
	mux.HandleFunc("GET /api/v4/users", s.locked(func(w http.ResponseWriter, r *http.Request) {
		out := []any{}
		if i := slices.Index(s.Users, r.URL.Query().Get("username")); i >= 0 {
			out = append(out, map[string]any{"id": i + 1, "username": s.Users[i]})
		}
		say(w, http.StatusOK, out)
	}))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusNotFound, map[string]any{"error": "404 Not Found"})
	})
}

func (s *Server) labPull(p *Pull) map[string]any {
	state := p.State
	if state == "open" {
		state = "opened"
	}
	users := []any{}
	for _, r := range p.Reviewers {
		users = append(users, map[string]any{"id": slices.Index(s.Users, r) + 1, "username": r})
	}
	labels := p.Labels
	if labels == nil {
		labels = []string{}
	}
	return map[string]any{
		"iid": p.Number, "project_id": 1, "source_project_id": 1, "target_project_id": 1, "state": state, "title": p.Title, "description": p.Body,
		"source_branch": p.Branch, "target_branch": p.Base, "sha": p.Commit, "draft": p.Draft, "labels": labels, "reviewers": users,
		"web_url": fmt.Sprintf("%s/%s/-/merge_requests/%d", s.URL, (&url.URL{Path: s.Project}).EscapedPath(), p.Number),
	}
}
