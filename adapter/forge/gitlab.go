package forge

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/penumbra-iac/penumbra"
)

// lab is GitLab, on gitlab.com or on a server of one's own.
type lab struct {
	client  *gitlab.Client
	project string
}

// unhurried has the library not ask the server for its limits before each first
// request: the transport waits where the server says so.
type unhurried struct{}

func (unhurried) Wait(context.Context) error { return nil }

func newGitLab(c *Client, token string) (*lab, error) {
	options := []gitlab.ClientOptionFunc{
		gitlab.WithHTTPClient(c.http), gitlab.WithoutRetries(), gitlab.WithCustomLimiter(unhurried{}), gitlab.WithUserAgent("penumbra/" + c.config.Version),
	}
	if c.config.URL != "" {
		options = append(options, gitlab.WithBaseURL(c.config.URL))
	}
	client, err := gitlab.NewClient(token, options...)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "the address of GitLab, " + c.config.URL, Remedy: "correct `url` of the stack's `code`", Err: err}
	}
	return &lab{client, c.config.Project}, nil
}

func foundOf(m *gitlab.BasicMergeRequest) found {
	f := found{
		Pull:   Pull{Number: int(m.IID), URL: m.WebURL, State: penumbra.ReviewOpen},
		commit: m.SHA, title: m.Title, body: m.Description, labels: m.Labels,
	}
	switch m.State {
	case "merged":
		f.State = penumbra.ReviewMerged
	case "closed":
		f.State = penumbra.ReviewClosed
	}
	for _, u := range m.Reviewers {
		f.reviewers = append(f.reviewers, u.Username)
	}
	return f
}

func (l *lab) find(ctx context.Context, branch string) ([]found, error) {
	list, _, err := l.client.MergeRequests.ListProjectMergeRequests(l.project, &gitlab.ListProjectMergeRequestsOptions{
		SourceBranch: &branch, State: gitlab.Ptr("all"), OrderBy: gitlab.Ptr("created_at"), Sort: gitlab.Ptr("desc"),
	}, gitlab.WithContext(ctx))
	var out []found
	for _, m := range list {
		// A fork may have a branch of the same name.
		if m.SourceProjectID == m.TargetProjectID && m.SourceBranch == branch {
			out = append(out, foundOf(m))
		}
	}
	return out, err
}

func (l *lab) get(ctx context.Context, number int) (found, error) {
	m, _, err := l.client.MergeRequests.GetMergeRequest(l.project, int64(number), nil, gitlab.WithContext(ctx))
	if err != nil {
		return found{}, err
	}
	return foundOf(&m.BasicMergeRequest), nil
}

// title is a request's title: GitLab tells a draft by it.
func title(r *Request) string {
	if r.Draft {
		return "Draft: " + r.Title
	}
	return r.Title
}

func (l *lab) create(ctx context.Context, r *Request) (found, error) {
	m, _, err := l.client.MergeRequests.CreateMergeRequest(l.project, &gitlab.CreateMergeRequestOptions{
		Title: gitlab.Ptr(title(r)), Description: &r.Body, SourceBranch: &r.Branch, TargetBranch: &r.Base, RemoveSourceBranch: gitlab.Ptr(true),
	}, gitlab.WithContext(ctx))
	if err != nil {
		return found{}, err
	}
	return foundOf(&m.BasicMergeRequest), nil
}

func (l *lab) edit(ctx context.Context, number int, o *gitlab.UpdateMergeRequestOptions) error {
	_, _, err := l.client.MergeRequests.UpdateMergeRequest(l.project, int64(number), o, gitlab.WithContext(ctx))
	return err
}

func (l *lab) update(ctx context.Context, number int, r *Request) error {
	// Whether it is a draft is the reviewers' by now.
	is, err := l.get(ctx, number)
	if err != nil {
		return err
	}
	name := r.Title
	if strings.HasPrefix(is.title, "Draft: ") {
		name = "Draft: " + name
	}
	return l.edit(ctx, number, &gitlab.UpdateMergeRequestOptions{Title: &name, Description: &r.Body})
}

func (l *lab) label(ctx context.Context, number int, labels []string) error {
	return l.edit(ctx, number, &gitlab.UpdateMergeRequestOptions{AddLabels: (*gitlab.LabelOptions)(&labels)})
}

func (l *lab) ask(ctx context.Context, number int, reviewers []string) error {
	is, _, err := l.client.MergeRequests.GetMergeRequest(l.project, int64(number), nil, gitlab.WithContext(ctx))
	if err != nil {
		return err
	}
	var ids []int64
	for _, u := range is.Reviewers {
		ids = append(ids, u.ID)
	}
	var unknown []string
	for _, name := range reviewers {
		users, _, err := l.client.Users.ListUsers(&gitlab.ListUsersOptions{Username: &name}, gitlab.WithContext(ctx))
		if err != nil {
			return err
		}
		if len(users) == 0 {
			unknown = append(unknown, name)
			continue
		}
		ids = append(ids, users[0].ID)
	}
	if len(ids) > len(is.Reviewers) {
		if err := l.edit(ctx, number, &gitlab.UpdateMergeRequestOptions{ReviewerIDs: &ids}); err != nil {
			return err
		}
	}
	if len(unknown) > 0 {
		return &refusal{fmt.Sprintf("no user is named %s", strings.Join(unknown, ", ")), http.StatusUnprocessableEntity}
	}
	return nil
}

func (l *lab) comments(ctx context.Context, number int) ([]string, error) {
	var out []string
	options := &gitlab.ListMergeRequestNotesOptions{ListOptions: gitlab.ListOptions{PerPage: 100}}
	for range mostPages {
		list, resp, err := l.client.Notes.ListMergeRequestNotes(l.project, int64(number), options, gitlab.WithContext(ctx))
		if err != nil {
			return nil, err
		}
		for _, n := range list {
			out = append(out, n.Body)
		}
		if options.Page = resp.NextPage; options.Page == 0 {
			break
		}
	}
	return out, nil
}

func (l *lab) comment(ctx context.Context, number int, text string) error {
	_, _, err := l.client.Notes.CreateMergeRequestNote(l.project, int64(number), &gitlab.CreateMergeRequestNoteOptions{Body: &text}, gitlab.WithContext(ctx))
	return err
}

func (l *lab) close(ctx context.Context, number int) error {
	return l.edit(ctx, number, &gitlab.UpdateMergeRequestOptions{StateEvent: gitlab.Ptr("close")})
}
