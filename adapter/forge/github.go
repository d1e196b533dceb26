package forge

import (
	"context"
	"strings"

	"github.com/google/go-github/v89/github"

	"github.com/penumbra-iac/penumbra"
)

// hub is GitHub, or a GitHub Enterprise Server.
type hub struct {
	client      *github.Client
	owner, name string
}

func newGitHub(c *Client, token string) (*hub, error) {
	options := []github.ClientOptionsFunc{
		github.WithHTTPClient(c.http), github.WithAuthToken(token), github.WithUserAgent("penumbra/" + c.config.Version),
		github.WithDisableRateLimitCheck(), // the transport waits
	}
	if c.config.URL != "" {
		options = append(options, github.WithEnterpriseURLs(c.config.URL, c.config.URL))
	}
	client, err := github.NewClient(options...)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "the address of GitHub, " + c.config.URL, Remedy: "correct `url` of the stack's `code`", Err: err}
	}
	owner, name, _ := strings.Cut(c.config.Project, "/")
	return &hub{client, owner, name}, nil
}

func (h *hub) found(p *github.PullRequest) found {
	f := found{
		Pull:   Pull{Number: p.GetNumber(), URL: p.GetHTMLURL(), State: penumbra.ReviewOpen},
		commit: p.GetHead().GetSHA(), title: p.GetTitle(), body: p.GetBody(),
	}
	switch {
	case p.GetMerged() || !p.GetMergedAt().IsZero():
		f.State = penumbra.ReviewMerged
	case p.GetState() == "closed":
		f.State = penumbra.ReviewClosed
	}
	for _, l := range p.Labels {
		f.labels = append(f.labels, l.GetName())
	}
	for _, u := range p.RequestedReviewers {
		f.reviewers = append(f.reviewers, u.GetLogin())
	}
	for _, t := range p.RequestedTeams {
		f.reviewers = append(f.reviewers, h.owner+"/"+t.GetSlug())
	}
	return f
}

func (h *hub) find(ctx context.Context, branch string) ([]found, error) {
	list, _, err := h.client.PullRequests.List(ctx, h.owner, h.name, &github.PullRequestListOptions{
		State: "all", Head: h.owner + ":" + branch, Sort: "created", Direction: "desc",
	})
	var out []found
	for _, p := range list {
		// A server that does not know the filter gives all.
		if p.GetHead().GetRef() == branch {
			out = append(out, h.found(p))
		}
	}
	return out, err
}

func (h *hub) get(ctx context.Context, number int) (found, error) {
	p, _, err := h.client.PullRequests.Get(ctx, h.owner, h.name, number)
	if err != nil {
		return found{}, err
	}
	return h.found(p), nil
}

func (h *hub) create(ctx context.Context, r *Request) (found, error) {
	p, _, err := h.client.PullRequests.Create(ctx, h.owner, h.name, &github.NewPullRequest{
		Title: &r.Title, Head: &r.Branch, Base: &r.Base, Body: &r.Body, Draft: &r.Draft, MaintainerCanModify: github.Ptr(true),
	})
	if err != nil {
		return found{}, err
	}
	return h.found(p), nil
}

func (h *hub) update(ctx context.Context, number int, r *Request) error {
	_, _, err := h.client.PullRequests.Edit(ctx, h.owner, h.name, number, &github.PullRequest{Title: &r.Title, Body: &r.Body})
	return err
}

func (h *hub) label(ctx context.Context, number int, labels []string) error {
	_, _, err := h.client.Issues.AddLabelsToIssue(ctx, h.owner, h.name, number, labels)
	return err
}

func (h *hub) ask(ctx context.Context, number int, reviewers []string) error {
	var request github.ReviewersRequest
	for _, r := range reviewers {
		if _, team, ok := strings.Cut(r, "/"); ok {
			request.TeamReviewers = append(request.TeamReviewers, team)
		} else {
			request.Reviewers = append(request.Reviewers, r)
		}
	}
	_, _, err := h.client.PullRequests.RequestReviewers(ctx, h.owner, h.name, number, request)
	return err
}

// mostPages bounds the comments looked through for one of Penumbra's own.
const mostPages = 10

func (h *hub) comments(ctx context.Context, number int) ([]string, error) {
	var out []string
	options := &github.IssueListCommentsOptions{ListOptions: github.ListOptions{PerPage: 100}}
	for range mostPages {
		list, resp, err := h.client.Issues.ListComments(ctx, h.owner, h.name, number, options)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			out = append(out, c.GetBody())
		}
		if options.Page = resp.NextPage; options.Page == 0 {
			break
		}
	}
	return out, nil
}

func (h *hub) comment(ctx context.Context, number int, text string) error {
	_, _, err := h.client.Issues.CreateComment(ctx, h.owner, h.name, number, &github.IssueComment{Body: &text})
	return err
}

func (h *hub) close(ctx context.Context, number int) error {
	_, _, err := h.client.PullRequests.Edit(ctx, h.owner, h.name, number, &github.PullRequest{State: github.Ptr("closed")})
	return err
}
