// Package forgetest is a forge for tests: an HTTP server on loopback that speaks
// the part of GitHub's and of GitLab's REST API that pull requests need, and
// answers as those do: who is not known gets 401, what is not there 404, what is
// there already 422 or 409. It keeps everything in memory.
package forgetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Pull is a pull request as the server keeps it.
type Pull struct {
	Number              int
	Branch, Base        string
	Commit, Title, Body string
	State               string // open, merged, closed
	Draft               bool
	Labels, Reviewers   []string
	Comments            []string
	created             time.Time
}

// Server is the forge. Its fields are set before it is asked anything; what it does
// instead may also be changed later, by [Server.Instead].
type Server struct {
	*httptest.Server
	Project string // "team/estate"
	Token   string
	// Users are those that may be asked for a review.
	Users []string
	// Head returns the commit that a branch leads to, "" if there is none.
	Head func(branch string) string
	// Before may answer a request in the place of the server, as a limit does.
	Before func(w http.ResponseWriter, r *http.Request) bool

	mu      sync.Mutex
	instead func(w http.ResponseWriter, r *http.Request) bool
	pulls   []*Pull
	asked   []string
}

// GitHub starts one that speaks GitHub's API as an Enterprise Server does, below
// /api/v3.
func GitHub(t testing.TB, project, token string) *Server {
	return start(t, project, token, (*Server).github)
}

// GitLab starts one that speaks GitLab's API, below /api/v4.
func GitLab(t testing.TB, project, token string) *Server {
	return start(t, project, token, (*Server).gitlab)
}

func start(t testing.TB, project, token string, routes func(*Server, *http.ServeMux)) *Server {
	s := &Server{Project: project, Token: token, Head: func(string) string { return "c0ffee" }}
	mux := http.NewServeMux()
	routes(s, mux)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+" "+r.URL.EscapedPath())
		instead := s.instead
		s.mu.Unlock()
		if instead != nil && instead(w, r) {
			return
		}
		if s.Before != nil && s.Before(w, r) {
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+s.Token && r.Header.Get("PRIVATE-TOKEN") != s.Token {
			say(w, http.StatusUnauthorized, map[string]any{"message": "Bad credentials"})
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// Instead has a function answer from now on in the place of the server where it returns
// true; nil ends that.
func (s *Server) Instead(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instead = f
}

// Pulls returns what there is, the oldest first.
func (s *Server) Pulls() []Pull {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Pull
	for _, p := range s.pulls {
		copied := *p
		copied.Labels, copied.Reviewers, copied.Comments = slices.Clone(p.Labels), slices.Clone(p.Reviewers), slices.Clone(p.Comments)
		out = append(out, copied)
	}
	return out
}

// Decide merges or closes one, as a reviewer does.
func (s *Server) Decide(number int, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pulls[number-1].State = state
}

// Asked returns the requests that came, as "GET /path".
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func say(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// find returns the one that a path names, nil after an answer of 404. s.mu is
// held.
func (s *Server) find(w http.ResponseWriter, r *http.Request) *Pull {
	for _, p := range s.pulls {
		if fmt.Sprint(p.Number) == r.PathValue("number") {
			return p
		}
	}
	say(w, http.StatusNotFound, map[string]any{"message": "404 Not Found"})
	return nil
}

// add makes one, or returns why not. s.mu is held.
func (s *Server) add(p Pull) (made *Pull, exists, noBranch bool) {
	p.Commit = s.Head(p.Branch)
	if p.Commit == "" || s.Head(p.Base) == "" {
		return nil, false, true
	}
	if slices.ContainsFunc(s.pulls, func(q *Pull) bool { return q.Branch == p.Branch && q.State == "open" }) {
		return nil, true, false
	}
	p.Number, p.State, p.created = len(s.pulls)+1, "open", time.Now()
	s.pulls = append(s.pulls, &p)
	return &p, false, false
}

// of returns those of a branch in a state ("" or "all" for any), the newest first.
// s.mu is held.
func (s *Server) of(branch, state string) []*Pull {
	var out []*Pull
	for _, p := range slices.Backward(s.pulls) {
		if (branch == "" || p.Branch == branch) && (state == "" || state == "all" || p.State == state) {
			if p.State == "open" {
				p.Commit = s.Head(p.Branch)
			}
			out = append(out, p)
		}
	}
	return out
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		say(w, http.StatusBadRequest, map[string]any{"message": "Problems parsing JSON"})
		return false
	}
	return true
}

// locked answers with what f returns while the state is held.
func (s *Server) locked(f func(w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		f(w, r)
	}
}

func (s *Server) owner() string { return strings.Split(s.Project, "/")[0] }
