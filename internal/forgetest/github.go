package forgetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// github has the routes of GitHub's API: docs.github.com/rest/pulls.
func (s *Server) github(mux *http.ServeMux) {
	base := "/api/v3/repos/" + s.Project
	mux.HandleFunc("GET "+base+"/pulls", s.locked(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		branch, state := "", q.Get("state")
		if head := q.Get("head"); head != "" {
			_, branch, _ = strings.Cut(head, ":")
		}
		if state == "" {
			state = "open"
		}
		out := []any{}
		for _, p := range s.of(branch, state) {
			out = append(out, s.hubPull(p))
		}
		say(w, http.StatusOK, out)
	}))
	mux.HandleFunc("POST "+base+"/pulls", s.locked(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Title, Head, Base, Body string
			Draft                   bool
		}
		if !read(w, r, &in) {
			return
		}
		p, exists, missing := s.add(Pull{Branch: in.Head, Base: in.Base, Title: in.Title, Body: in.Body, Draft: in.Draft})
		switch {
		case exists:
			invalid(w, "custom", fmt.Sprintf("A pull request already exists for %s:%s.", s.owner(), in.Head))
		case missing:
			invalid(w, "invalid", "")
		default:
			say(w, http.StatusCreated, s.hubPull(p))
		}
	}))
	mux.HandleFunc("GET "+base+"/pulls/{number}", s.locked(func(w http.ResponseWriter, r *http.Request) {
		if p := s.find(w, r); p != nil {
			say(w, http.StatusOK, s.hubPull(p))
		}
	}))
	mux.HandleFunc("PATCH "+base+"/pulls/{number}", s.locked(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Title, Body, State *string }
		p := s.find(w, r)
		if p == nil || !read(w, r, &in) {
			return
		}
		if in.Title != nil {
			p.Title = *in.Title
		}
		if in.Body != nil {
			p.Body = *in.Body
		}
		if in.State != nil {
			if p.State == "merged" {
				invalid(w, "invalid", "")
				return
			}
			p.State = *in.State
		}
		say(w, http.StatusOK, s.hubPull(p))
	}))
	mux.HandleFunc("POST "+base+"/pulls/{number}/requested_reviewers", s.locked(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Reviewers     []string `json:"reviewers"`
			TeamReviewers []string `json:"team_reviewers"`
		}
		p := s.find(w, r)
		if p == nil || !read(w, r, &in) {
			return
		}
		for _, name := range in.Reviewers {
			if !slices.Contains(s.Users, name) {
				say(w, http.StatusUnprocessableEntity, map[string]any{"message": "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the " + s.Project + " repository."})
				return
			}
		}
		p.Reviewers = append(p.Reviewers, in.Reviewers...)
		for _, team := range in.TeamReviewers {
			p.Reviewers = append(p.Reviewers, s.owner()+"/"+team)
		}
		say(w, http.StatusCreated, s.hubPull(p))
	}))
	mux.HandleFunc("POST "+base+"/issues/{number}/labels", s.locked(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Labels []string }
		var list []string
		p := s.find(w, r)
		if p == nil || !read(w, r, &list) {
			return
		}
		p.Labels = append(p.Labels, append(in.Labels, list...)...)
		say(w, http.StatusOK, named(p.Labels))
	}))
	mux.HandleFunc("GET "+base+"/issues/{number}/comments", s.locked(func(w http.ResponseWriter, r *http.Request) {
		if p := s.find(w, r); p != nil {
			out := []any{}
			for i, c := range p.Comments {
				out = append(out, map[string]any{"id": i + 1, "body": c})
			}
			say(w, http.StatusOK, out)
		}
	}))
	mux.HandleFunc("POST "+base+"/issues/{number}/comments", s.locked(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Body string }
		p := s.find(w, r)
		if p == nil || !read(w, r, &in) {
			return
		}
		p.Comments = append(p.Comments, in.Body)
		say(w, http.StatusCreated, map[string]any{"id": len(p.Comments), "body": in.Body})
	}))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusNotFound, map[string]any{"message": "Not Found", "documentation_url": "https://docs.github.com/rest"})
	})
}

func invalid(w http.ResponseWriter, code, message string) {
	is := map[string]any{"resource": "PullRequest", "code": code, "field": "head"}
	if message != "" {
		is["message"] = message
	}
	say(w, http.StatusUnprocessableEntity, map[string]any{"message": "Validation Failed", "errors": []any{is}})
}

func named(labels []string) []any {
	out := []any{}
	for _, l := range labels {
		out = append(out, map[string]any{"name": l})
	}
	return out
}

func (s *Server) hubPull(p *Pull) map[string]any {
	state, merged := p.State, any(nil)
	if state == "merged" {
		state, merged = "closed", "2026-03-02T10:00:00Z"
	}
	users, teams := []any{}, []any{}
	for _, r := range p.Reviewers {
		if _, team, ok := strings.Cut(r, "/"); ok {
			teams = append(teams, map[string]any{"slug": team})
		} else {
			users = append(users, map[string]any{"login": r})
		}
	}
	return map[string]any{
		"number": p.Number, "state": state, "merged_at": merged, "merged": merged != nil, "title": p.Title, "body": p.Body, "draft": p.Draft,
		"html_url": fmt.Sprintf("%s/%s/pull/%d", s.URL, s.Project, p.Number), "labels": named(p.Labels),
		"requested_reviewers": users, "requested_teams": teams,
		"head": map[string]any{"ref": p.Branch, "sha": p.Commit}, "base": map[string]any{"ref": p.Base},
	}
}
