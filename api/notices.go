package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penumbra-iac/penumbra"
)

type channelList struct {
	Channels []penumbra.ChannelStatus `json:"channels"`
}

type noticeList struct {
	Notices []penumbra.Notice `json:"notices"`
	Next    string            `json:"next,omitempty" doc:"The cursor of the next page, absent on the last."`
}

func (l noticeList) next() string { return l.Next }

type noticeQuery struct {
	ID      string `query:"id" doc:"Only the notice of this id."`
	Channel string `query:"channel" doc:"Only notices through this channel." example:"ops"`
	State   string `query:"state" enum:"waiting,held,sent,dead,folded" doc:"Only notices in this state." example:"dead"`
	Paging
}

type noticePath struct {
	ID string `path:"id" doc:"The notice's id." example:"m-4c1e09aa"`
}

type channelPath struct {
	Name string `path:"name" doc:"The channel's name." example:"ops"`
}

func addNotices(a huma.API, s Notifier) {
	answer(a, route{http.MethodGet, "/v1/channels", "list-channels", "watch",
		"Channels", "The ways in which people are told, with what waits, what is held for a digest and what was given up.",
		channelList{[]penumbra.ChannelStatus{exampleChannel()}},
	}, func(ctx context.Context, _ *none) (channelList, error) {
		channels, err := s.Channels(ctx)
		return channelList{orEmpty(channels)}, err
	})
	answer(a, route{http.MethodPost, "/v1/channels/{name}/test", "test-channel", "resolve",
		"Test a channel", "Sends a notice that tells of nothing through the channel now, whatever its quiet hours and its rate. A problem says why it did not arrive.",
		exampleNotice(),
	}, func(ctx context.Context, in *channelPath) (penumbra.Notice, error) {
		by := ""
		if p := penumbra.PrincipalOf(ctx); p != nil {
			by = p.Name
		}
		return s.TestChannel(ctx, in.Name, by)
	})
	pages(a, route{http.MethodGet, "/v1/notices", "list-notices", "watch",
		"Notices", "What people were told or are to be told, the newest first.",
		noticeList{Notices: []penumbra.Notice{exampleNotice()}},
	}, func(in *noticeQuery) *Paging { return &in.Paging }, func(ctx context.Context, in *noticeQuery) (noticeList, error) {
		var from placed
		if err := penumbra.ReadCursor(in.Cursor, &from); err != nil {
			return noticeList{}, err
		}
		q := penumbra.NoticeQuery{ID: in.ID, Channel: in.Channel, Limit: in.Limit + 1, Before: from.Time, BeforeID: from.ID}
		if in.State != "" {
			q.States = []penumbra.NoticeState{penumbra.NoticeState(in.State)}
		}
		notices, err := s.Notices(ctx, q)
		slices.Reverse(notices)
		list, next := cutPage(notices, in.Limit, func(n *penumbra.Notice) placed { return placed{n.Created, n.ID} })
		return noticeList{list, next}, err
	})
	answer(a, route{http.MethodPost, "/v1/notices/{id}/resend", "resend-notice", "resolve",
		"Send a notice again", "Has one sent again that was given up, with its id, or at once one that waits for its next attempt. Any other is refused.",
		exampleNotice(),
	}, func(ctx context.Context, in *noticePath) (penumbra.Notice, error) {
		return s.ResendNotice(ctx, in.ID)
	})
}

func exampleChannel() penumbra.ChannelStatus {
	return penumbra.ChannelStatus{Name: "ops", Kind: "webhook", Waiting: 1, Dead: 1, Sent: exampleTime, Error: "post to the webhook of channel ops: 503 Service Unavailable"}
}

func exampleNotice() penumbra.Notice {
	return penumbra.Notice{
		ID: "m-4c1e09aa", Channel: "ops", Key: "k-19ab", About: penumbra.AboutDrift, Verb: penumbra.NoticeOpened, Severity: penumbra.CriticalSeverity,
		Title: "Drift on shop/aws_db_instance.main: instance_class db.t3.small → db.t3.large", Lines: []string{"shop/aws_db_instance.main: instance_class db.t3.small → db.t3.large"},
		Facts:  []penumbra.NoticeFact{{Name: "cause", Value: "alice (user), ModifyDBInstance"}},
		Stacks: []string{"shop"}, Verdicts: []string{"drifted"}, Resources: []penumbra.Address{"shop/aws_db_instance.main"}, Subjects: []string{"d-4c1e"},
		Began: exampleTime, Created: exampleTime, State: penumbra.NoticeSent, Attempts: 1, Sent: exampleTime,
	}
}

// Channels implements [Notifier].
func (c *Client) Channels(ctx context.Context) ([]penumbra.ChannelStatus, error) {
	var list channelList
	err := c.get(ctx, "/v1/channels", nil, &list)
	return list.Channels, err
}

// Notices implements [Notifier], page by page. Of the states the first counts.
func (c *Client) Notices(ctx context.Context, q penumbra.NoticeQuery) ([]penumbra.Notice, error) {
	out, err := collect(each(q.Limit, func(size int, cursor string) ([]penumbra.Notice, string, error) {
		p := params{}.text("id", q.ID).text("channel", q.Channel).page(size, cursor)
		if len(q.States) > 0 {
			p = p.text("state", string(q.States[0]))
		}
		var list noticeList
		err := c.get(ctx, "/v1/notices", p, &list)
		return list.Notices, list.Next, err
	}))
	slices.Reverse(out)
	return out, err
}

// ResendNotice implements [Notifier].
func (c *Client) ResendNotice(ctx context.Context, id string) (penumbra.Notice, error) {
	var n penumbra.Notice
	return n, c.callOn(ctx, http.MethodPost, "notice", "/v1/notices/", id, "/resend", nil, &n)
}

// TestChannel implements [Notifier]. Who tests is known by the credential.
func (c *Client) TestChannel(ctx context.Context, channel, _ string) (penumbra.Notice, error) {
	var n penumbra.Notice
	return n, c.callOn(ctx, http.MethodPost, "channel", "/v1/channels/", channel, "/test", nil, &n)
}
