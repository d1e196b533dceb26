// Package forge answers: how is a branch put before reviewers, and what became of
// it? It opens pull requests on GitHub and merge requests on GitLab, both called
// pull requests here, on the public sites and on servers of one's own. It is
// called after the branch was pushed.
//
// It guarantees that asking again makes nothing twice: a branch has one open pull
// request, and a comment stands once. A forge that asks to wait is waited for
// within bounds. The token goes to the forge's own host only, over TLS, and is in
// no error.
package forge

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// The kinds of forge.
const (
	GitHub = "github"
	GitLab = "gitlab"
)

// Kinds are those that there are.
var Kinds = []string{GitHub, GitLab}

// Config says where a project is.
type Config struct {
	Kind string // GitHub or GitLab
	// URL is where the server is, such as https://git.example.com; "" is
	// https://github.com or https://gitlab.com.
	URL string
	// Project is "owner/repository", on GitLab "group/subgroup/project".
	Project string
	// Token returns what the API is asked with. It is asked for each time, so that
	// one that was renewed is used.
	Token func() (string, error)
	// CAFile holds certificates that the server's is signed by, beside the
	// system's; "" for none.
	CAFile string
	// Version is told to the server.
	Version string
}

// Request is a pull request as it is to be.
type Request struct {
	Branch string
	Commit string // that the branch leads to
	Base   string // the branch that it is to be merged into
	Title  string
	Body   string // Markdown
	Labels []string
	// Reviewers are names of users; on GitHub "org/team" is a team.
	Reviewers []string
	Draft     bool
}

// Pull is a pull request.
type Pull struct {
	Number int
	URL    string // for people
	State  penumbra.ReviewState
}

// Client asks one project of a forge.
type Client struct {
	config Config
	http   *http.Client
}

// found is a pull request with what tells whether it is as it is to be.
type found struct {
	Pull
	commit            string
	title, body       string
	labels, reviewers []string
}

// api is what a forge is asked for. Its errors are those of its library.
type api interface {
	// find returns those of a branch of the project itself, the newest first.
	find(ctx context.Context, branch string) ([]found, error)
	get(ctx context.Context, number int) (found, error)
	create(ctx context.Context, r *Request) (found, error)
	update(ctx context.Context, number int, r *Request) error
	label(ctx context.Context, number int, labels []string) error
	ask(ctx context.Context, number int, reviewers []string) error
	comments(ctx context.Context, number int) ([]string, error)
	comment(ctx context.Context, number int, text string) error
	close(ctx context.Context, number int) error
}

// New checks the configuration. Nothing is asked yet. It returns an error of kind
// Invalid for a bad one, and Missing for a CA file that cannot be read.
func New(c Config) (*Client, error) {
	invalid := func(what, remedy string) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: what, Remedy: remedy}
	}
	if !slices.Contains(Kinds, c.Kind) {
		return nil, invalid(fmt.Sprintf("forge %q", c.Kind), "use "+strings.Join(Kinds, " or "))
	}
	c.Project = strings.Trim(strings.TrimSuffix(c.Project, ".git"), "/")
	if n := strings.Count(c.Project, "/"); n < 1 || c.Kind == GitHub && n != 1 {
		return nil, invalid(fmt.Sprintf("project %q of %s", c.Project, c.Kind), "write it as owner/repository")
	}
	if c.Token == nil {
		return nil, invalid("no token for "+c.Kind, "set `token_env` or `token_file` of the stack's `code`")
	}
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Host == "" || u.User != nil {
			return nil, invalid("the address of "+c.Kind, "write it as https://git.example.com, without a user")
		}
		if u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
			return nil, invalid(fmt.Sprintf("the address %s is not of https: anybody could read the token", c.URL), "use its https:// address")
		}
	}
	transport, err := newTransport(c.CAFile)
	if err != nil {
		return nil, err
	}
	return &Client{config: c, http: transport}, nil
}

// open returns the API with the token of now.
func (c *Client) open() (api, string, error) {
	token, err := c.config.Token()
	if err != nil {
		return nil, "", err
	}
	if token == "" {
		return nil, "", &penumbra.Error{Kind: penumbra.Refused, What: "the token for " + c.config.Kind + " is empty", Remedy: "set what `token_env` or `token_file` of the stack's `code` names"}
	}
	if c.config.Kind == GitLab {
		out, err := newGitLab(c, token)
		return out, token, err
	}
	out, err := newGitHub(c, token)
	return out, token, err
}

// Open makes the pull request of a branch, or brings the open one up to date. One
// for the same commit that was closed or merged meanwhile is returned as it is:
// somebody has decided. What could not be had of labels and reviewers comes as
// notes; the pull request is there all the same.
func (c *Client) Open(ctx context.Context, r Request) (p Pull, notes []string, err error) {
	a, token, err := c.open()
	if err != nil {
		return Pull{}, nil, err
	}
	what := fmt.Sprintf("open a pull request of %s for %s", c.config.Project, r.Branch)
	is, there, err := current(ctx, a, &r)
	if err == nil && !there {
		if is, err = a.create(ctx, &r); statusOf(err) == http.StatusConflict || statusOf(err) == http.StatusUnprocessableEntity {
			// Another may have come first; if none has, the refusal stands.
			if other, come, failed := current(ctx, a, &r); failed == nil && come {
				is, there, err = other, true, nil
			}
		}
	}
	if err != nil {
		return Pull{}, nil, c.failure(what, token, err)
	}
	if is.State != penumbra.ReviewOpen {
		return is.Pull, nil, nil
	}
	if there && (is.body != r.Body || !strings.HasSuffix(is.title, r.Title)) {
		if err := a.update(ctx, is.Number, &r); err != nil {
			return Pull{}, nil, c.failure(what, token, err)
		}
	}
	note := func(of string, err error) {
		if err != nil {
			notes = append(notes, of+": "+c.failure(what, token, err).Error())
		}
	}
	if lacking := without(r.Labels, is.labels); len(lacking) > 0 {
		note("labels", a.label(ctx, is.Number, lacking))
	}
	if lacking := without(r.Reviewers, is.reviewers); len(lacking) > 0 {
		note("reviewers", a.ask(ctx, is.Number, lacking))
	}
	return is.Pull, notes, nil
}

// current returns the pull request that stands for a request: the open one of its
// branch, or the newest of its commit.
func current(ctx context.Context, a api, r *Request) (found, bool, error) {
	list, err := a.find(ctx, r.Branch)
	if err != nil {
		return found{}, false, err
	}
	for _, f := range list {
		if f.State == penumbra.ReviewOpen {
			return f, true, nil
		}
	}
	for _, f := range list {
		if f.commit == r.Commit && r.Commit != "" {
			return f, true, nil
		}
	}
	return found{}, false, nil
}

// without returns what of list is not in other, whatever the case of its letters.
func without(list, other []string) []string {
	var out []string
	for _, x := range list {
		if !slices.ContainsFunc(other, func(y string) bool { return strings.EqualFold(x, y) }) {
			out = append(out, x)
		}
	}
	return out
}

// Get returns a pull request as it is now.
func (c *Client) Get(ctx context.Context, number int) (Pull, error) {
	a, token, err := c.open()
	if err != nil {
		return Pull{}, err
	}
	f, err := a.get(ctx, number)
	if err != nil {
		return Pull{}, c.failure(fmt.Sprintf("look at pull request %d of %s", number, c.config.Project), token, err)
	}
	return f.Pull, nil
}

// Comment adds a comment, unless it is there already.
func (c *Client) Comment(ctx context.Context, number int, text string) error {
	a, token, err := c.open()
	if err != nil {
		return err
	}
	what := fmt.Sprintf("comment on pull request %d of %s", number, c.config.Project)
	there, err := a.comments(ctx, number)
	if err == nil && !slices.ContainsFunc(there, func(x string) bool { return strings.TrimSpace(x) == strings.TrimSpace(text) }) {
		err = a.comment(ctx, number, text)
	}
	if err != nil {
		return c.failure(what, token, err)
	}
	return nil
}

// Close closes a pull request without merging it. One that is closed is no error.
// It returns an error of kind Stale if it is merged.
func (c *Client) Close(ctx context.Context, number int) error {
	a, token, err := c.open()
	if err != nil {
		return err
	}
	what := fmt.Sprintf("close pull request %d of %s", number, c.config.Project)
	is, err := a.get(ctx, number)
	if err == nil && is.State == penumbra.ReviewMerged {
		return &penumbra.Error{Kind: penumbra.Stale, What: what + ": it is merged", Remedy: "take the run back again: that proposes to revert it"}
	}
	if err == nil && is.State == penumbra.ReviewOpen {
		err = a.close(ctx, number)
	}
	if err != nil {
		return c.failure(what, token, err)
	}
	return nil
}

// failure puts an error of a library into words, without the token.
func (c *Client) failure(what, token string, err error) error {
	var limit time.Time
	status := statusOf(err)
	text := penumbra.Redact(strings.ReplaceAll(err.Error(), token, "[redacted]"))
	out := &penumbra.Error{Kind: penumbra.Unavailable, What: what, Err: &answer{text, status}}
	switch {
	case limited(err, &limit):
		out.Remedy = "the forge asks to wait" + until(limit) + "; approve again then: what is done already stays"
	case status == http.StatusUnauthorized:
		out.Kind, out.Remedy = penumbra.Refused, "give a token that is valid with `token_env` or `token_file` of the stack's `code`"
	case status == http.StatusForbidden:
		out.Kind, out.Remedy = penumbra.Refused, "let the token write pull requests of "+c.config.Project
	case status == http.StatusNotFound:
		out.Kind, out.Remedy = penumbra.NotFound, "correct `project` of the stack's `code`, and let the token see it"
	case status >= 400 && status < 500:
		out.Kind, out.Remedy = penumbra.Refused, "see what the forge says about it"
	default:
		out.Remedy = "see whether it can be reached, and approve again: what is done already stays"
	}
	return out
}

func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " until " + t.UTC().Format("15:04:05 UTC")
}

// answer is what the forge said.
type answer struct {
	text   string
	status int
}

func (e *answer) Error() string { return cmp.Or(e.text, http.StatusText(e.status)) }

// ProjectOf returns the kind of forge, its address and the project that a git
// remote's address stands for; kind is "" where only the caller can know it.
func ProjectOf(remote string) (kind, base, project string) {
	host := ""
	if u, err := url.Parse(remote); err == nil && strings.Contains(remote, "://") {
		host, project = u.Hostname(), u.Path
		if u.Scheme == "https" || u.Scheme == "http" {
			base = u.Scheme + "://" + u.Host
		}
	} else if before, after, ok := strings.Cut(remote, ":"); ok && !strings.Contains(before, "/") {
		_, host, ok = strings.Cut(before, "@") // git@host:path
		if !ok {
			host = before
		}
		project = after
	}
	project = strings.Trim(strings.TrimSuffix(project, ".git"), "/")
	if base == "" && host != "" {
		base = "https://" + host
	}
	switch host {
	case "github.com", "ssh.github.com":
		return GitHub, "", project
	case "gitlab.com", "altssh.gitlab.com":
		return GitLab, "", project
	}
	return "", base, project
}
