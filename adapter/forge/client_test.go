package forge

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/forgetest"
)

const token = "token-of-the-tests-4711"

var servers = map[string]func(testing.TB, string, string) *forgetest.Server{GitHub: forgetest.GitHub, GitLab: forgetest.GitLab}

// each runs a test on either forge.
func each(t *testing.T, test func(t *testing.T, s *forgetest.Server, c *Client)) {
	for kind, start := range servers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := start(t, "team/estate", token)
			s.Users = []string{"bob", "carol"}
			test(t, s, client(t, Config{Kind: kind, URL: s.URL, Project: s.Project}))
		})
	}
}

// client returns one that waits for nothing, and notes for how long it would.
func client(t *testing.T, config Config) *Client {
	t.Helper()
	if config.Token == nil {
		config.Token = func() (string, error) { return token, nil }
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	c.http.Transport.(*patient).wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return c
}

func request() Request {
	return Request{
		Branch: "penumbra/d-1-adopt", Commit: "c0ffee", Base: "main", Title: "queue: write it down", Body: "| a | b |",
		Labels: []string{"drift", "penumbra"}, Reviewers: []string{"bob"}, Draft: true,
	}
}

func (c *Client) mustOpen(t *testing.T, r Request) Pull {
	t.Helper()
	p, notes, err := c.Open(t.Context(), r)
	if err != nil || len(notes) > 0 {
		t.Fatalf("%v, notes %q", err, notes)
	}
	return p
}

func TestOpenMakesOne(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *forgetest.Server, c *Client) {
		first := c.mustOpen(t, request())
		if again := c.mustOpen(t, request()); again != first || first.Number != 1 || first.State != penumbra.ReviewOpen || !strings.HasPrefix(first.URL, s.URL) {
			t.Errorf("first %+v, again %+v", first, again)
		}
		later := request()
		later.Title, later.Body = "queue: write another down", "| c |"
		c.mustOpen(t, later)
		pulls := s.Pulls()
		if len(pulls) != 1 {
			t.Fatalf("there are %d", len(pulls))
		}
		p := pulls[0]
		if p.Body != later.Body || !strings.HasSuffix(p.Title, later.Title) || !p.Draft || p.Base != "main" || p.Branch != later.Branch {
			t.Errorf("it is %+v", p)
		}
		if !slices.Equal(p.Labels, later.Labels) || !slices.Equal(p.Reviewers, later.Reviewers) {
			t.Errorf("labels %q, reviewers %q", p.Labels, p.Reviewers)
		}
	})
}

// A kill after the forge made it, and before anybody knew, makes no second one;
// and neither does a person who was faster than that.
func TestOpenAfterALostAnswer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *forgetest.Server, c *Client) {
		lost := false
		s.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || lost {
				return false
			}
			lost = true
			rec := httptest.NewRecorder()
			s.Server.Config.Handler.ServeHTTP(rec, r)
			if rec.Code != http.StatusCreated {
				t.Errorf("answered %d %s", rec.Code, rec.Body)
			}
			w.WriteHeader(http.StatusBadGateway) // the answer is lost on its way
			return true
		}
		if _, _, err := c.Open(t.Context(), request()); penumbra.KindOf(err) != penumbra.Unavailable {
			t.Fatalf("%v", err)
		}
		c.mustOpen(t, request())
		if n := len(s.Pulls()); n != 1 || !slices.Equal(s.Pulls()[0].Labels, request().Labels) {
			t.Errorf("there are %d: %+v", n, s.Pulls())
		}
		s.Decide(1, "merged")
		if p := c.mustOpen(t, request()); p.State != penumbra.ReviewMerged || len(s.Pulls()) != 1 {
			t.Errorf("after the merge: %+v, %d there", p, len(s.Pulls()))
		}
		other := request()
		other.Commit = "another"
		s.Head = func(string) string { return "another" }
		if p := c.mustOpen(t, other); p.Number != 2 {
			t.Errorf("for another commit: %+v", p)
		}
	})
}

// Two at once: one is told that there is one already, and takes that.
func TestOpenLosesARace(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *forgetest.Server, c *Client) {
		raced := false
		s.Before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost && !raced {
				raced = true
				if _, _, err := c.Open(context.Background(), request()); err != nil {
					t.Error(err)
				}
			}
			return false
		}
		if p := c.mustOpen(t, request()); p.Number != 1 || len(s.Pulls()) != 1 {
			t.Errorf("%+v, %d there", p, len(s.Pulls()))
		}
	})
}

func TestWhatCannotBeHadIsNoted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *forgetest.Server, c *Client) {
		r := request()
		r.Reviewers = []string{"nobody"}
		p, notes, err := c.Open(t.Context(), r)
		if err != nil || p.Number != 1 || len(notes) != 1 || !strings.Contains(notes[0], "reviewers") {
			t.Errorf("%+v, %q, %v", p, notes, err)
		}
	})
}

func TestGetCommentClose(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *forgetest.Server, c *Client) {
		p := c.mustOpen(t, request())
		for range 2 {
			if err := c.Comment(t.Context(), p.Number, "withdrawn"); err != nil {
				t.Fatal(err)
			}
			if err := c.Close(t.Context(), p.Number); err != nil {
				t.Fatal(err)
			}
		}
		if is := s.Pulls()[0]; len(is.Comments) != 1 || is.State != "closed" {
			t.Errorf("%+v", is)
		}
		if is, err := c.Get(t.Context(), p.Number); err != nil || is.State != penumbra.ReviewClosed {
			t.Errorf("%+v, %v", is, err)
		}
		s.Decide(1, "merged")
		if err := c.Close(t.Context(), p.Number); penumbra.KindOf(err) != penumbra.Stale {
			t.Errorf("of one that is merged: %v", err)
		}
		if is, err := c.Get(t.Context(), p.Number); err != nil || is.State != penumbra.ReviewMerged {
			t.Errorf("%+v, %v", is, err)
		}
	})
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *forgetest.Server, c *Client) {
		hold := func(name string, err error, kind penumbra.ErrorKind, says string) {
			t.Helper()
			if penumbra.KindOf(err) != kind || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), token) {
				t.Errorf("%s: %v (%s), want %s with %q", name, err, penumbra.KindOf(err), kind, says)
			}
		}
		wrong := c.config
		wrong.Token = func() (string, error) { return token + "-wrong", nil }
		_, err := client(t, wrong).Get(t.Context(), 1)
		hold("a wrong token", err, penumbra.Refused, "token_env")
		wrong = c.config
		wrong.Token = func() (string, error) { return "", nil }
		_, err = client(t, wrong).Get(t.Context(), 1)
		hold("no token", err, penumbra.Refused, "is empty")
		wrong = c.config
		wrong.Project = "team/other"
		_, _, err = client(t, wrong).Open(t.Context(), request())
		hold("no such project", err, penumbra.NotFound, "`project`")
		_, err = c.Get(t.Context(), 7)
		hold("no such request", err, penumbra.NotFound, "request 7")
		s.Head = func(branch string) string { return map[string]string{"main": "1"}[branch] }
		_, _, err = c.Open(t.Context(), request())
		hold("no such branch", err, penumbra.Refused, "open a pull request")
		s.Before = func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"message": "Resource not accessible by ` + token + `"}`))
			return true
		}
		_, err = c.Get(t.Context(), 1)
		hold("not allowed", err, penumbra.Refused, "write pull requests")
		s.Close()
		_, err = c.Get(t.Context(), 1)
		hold("no server", err, penumbra.Unavailable, "reached")
	})
}

// Who is asked to wait waits as long as asked, and does not ask again before.
func TestLimitsAreWaitedFor(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *forgetest.Server, c *Client) {
		var waits []time.Duration
		c.http.Transport.(*patient).wait = func(_ context.Context, d time.Duration) error {
			waits = append(waits, d.Round(time.Second))
			return nil
		}
		refuse := func(status int, headers map[string]string, times int) {
			waits = nil
			s.Before = func(w http.ResponseWriter, _ *http.Request) bool {
				if times--; times < 0 {
					return false
				}
				for k, v := range headers {
					w.Header().Set(k, v)
				}
				w.WriteHeader(status)
				_, _ = w.Write([]byte(`{"message": "slow down"}`))
				return true
			}
		}
		refuse(http.StatusTooManyRequests, map[string]string{"Retry-After": "7"}, 2)
		c.mustOpen(t, request())
		if !slices.Equal(waits, []time.Duration{7 * time.Second, 7 * time.Second}) {
			t.Errorf("waited %v", waits)
		}
		reset := strconv.FormatInt(time.Now().Add(20*time.Second).Unix(), 10)
		refuse(http.StatusForbidden, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}, 1)
		c.mustOpen(t, request())
		if len(waits) != 1 || waits[0] < 15*time.Second || waits[0] > 20*time.Second {
			t.Errorf("waited %v", waits)
		}
		refuse(http.StatusBadGateway, nil, 3)
		c.mustOpen(t, request())
		if len(waits) != 3 {
			t.Errorf("waited %v", waits)
		}
		before := len(s.Asked())
		refuse(http.StatusTooManyRequests, map[string]string{"Retry-After": "3600"}, 9)
		if _, err := c.Get(t.Context(), 1); penumbra.KindOf(err) != penumbra.Unavailable || !strings.Contains(err.Error(), "asks to wait until") || len(waits) != 0 || len(s.Asked()) != before+1 {
			t.Errorf("%v after %v and %d requests", err, waits, len(s.Asked())-before)
		}
	})
}

// The token goes to the forge's own host only.
func TestTokenStaysOnItsHost(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *forgetest.Server, c *Client) {
		came := false
		thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came = true }))
		defer thief.Close()
		s.Before = func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, thief.URL+r.URL.Path, http.StatusFound)
			return true
		}
		if _, err := c.Get(t.Context(), 1); err == nil || came {
			t.Errorf("error %v, the other host was asked: %v", err, came)
		}
	})
}

func TestCAFile(t *testing.T) {
	t.Parallel()
	inner := forgetest.GitHub(t, "team/estate", token)
	s := httptest.NewUnstartedServer(inner.Config.Handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of the client that does not trust it
	s.StartTLS()
	t.Cleanup(s.Close)
	config := Config{Kind: GitHub, URL: s.URL, Project: "team/estate"}
	if _, _, err := client(t, config).Open(t.Context(), request()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without its certificate: %v", err)
	}
	config.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(config.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	inner.Users = []string{"bob"}
	client(t, config).mustOpen(t, request())
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	have := func() (string, error) { return token, nil }
	for name, test := range map[string]struct {
		config Config
		kind   penumbra.ErrorKind
	}{
		"a forge that is not known": {Config{Kind: "gitea", Project: "a/b", Token: have}, penumbra.Invalid},
		"no owner":                  {Config{Kind: GitHub, Project: "b", Token: have}, penumbra.Invalid},
		"groups on GitHub":          {Config{Kind: GitHub, Project: "a/b/c", Token: have}, penumbra.Invalid},
		"no token":                  {Config{Kind: GitLab, Project: "a/b/c"}, penumbra.Invalid},
		"in the clear":              {Config{Kind: GitLab, Project: "a/b", URL: "http://git.example.com", Token: have}, penumbra.Invalid},
		"a user in the address":     {Config{Kind: GitLab, Project: "a/b", URL: "https://x:y@git.example.com", Token: have}, penumbra.Invalid},
		"a CA file that is gone":    {Config{Kind: GitLab, Project: "a/b", CAFile: "/gone", Token: have}, penumbra.Missing},
	} {
		if _, err := New(test.config); penumbra.KindOf(err) != test.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	failing := errors.New("the file is gone")
	c := client(t, Config{Kind: GitHub, Project: "a/b", Token: func() (string, error) { return "", failing }})
	if _, err := c.Get(t.Context(), 1); !errors.Is(err, failing) {
		t.Errorf("a token that cannot be read: %v", err)
	}
}

func TestProjectOf(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string][3]string{
		"https://github.com/team/estate.git":         {GitHub, "", "team/estate"},
		"git@github.com:team/estate.git":             {GitHub, "", "team/estate"},
		"ssh://git@gitlab.com:22/group/sub/estate":   {GitLab, "", "group/sub/estate"},
		"https://git.example.com:8443/team/estate":   {"", "https://git.example.com:8443", "team/estate"},
		"git@git.example.com:team/estate.git":        {"", "https://git.example.com", "team/estate"},
		"ssh://git@git.example.com:2222/team/estate": {"", "https://git.example.com", "team/estate"},
		"/srv/git/estate.git":                        {"", "", ""},
		"file:///srv/git/estate.git":                 {"", "", "srv/git/estate"},
	} {
		kind, base, project := ProjectOf(remote)
		if got := [3]string{kind, base, project}; got != want {
			t.Errorf("%s: %q, want %q", remote, got, want)
		}
	}
}
