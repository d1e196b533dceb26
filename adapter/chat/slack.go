package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/jsonpost"
)

// SlackConfig says where to. Either URL is an incoming webhook's, or Token is a bot's
// with the scope chat:write and Room the channel it is a member of.
type SlackConfig struct {
	URL    string
	Token  string
	Room   string
	API    string // https://slack.com/api if ""
	Client *http.Client
}

// Slack posts to Slack.
type Slack struct{ cfg SlackConfig }

// NewSlack checks the configuration. The error is of kind Invalid.
func NewSlack(cfg SlackConfig) (*Slack, error) {
	if cfg.API == "" {
		cfg.API = "https://slack.com/api"
	}
	if (cfg.URL == "") == (cfg.Token == "") || (cfg.Token == "") != (cfg.Room == "") {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "Slack needs either a webhook's address, or a bot's token and a room", Remedy: "see docs/notifications.md"}
	}
	return &Slack{cfg}, nil
}

// The parts of Block Kit that are used. Texts are plain: what they say is never markup.
type (
	slackText struct {
		Type  string `json:"type"`
		Text  string `json:"text"`
		Emoji *bool  `json:"emoji,omitempty"`
	}
	slackBlock struct {
		Type     string         `json:"type"`
		Text     *slackText     `json:"text,omitempty"`
		Fields   []slackText    `json:"fields,omitempty"`
		Elements []slackElement `json:"elements,omitempty"`
	}
	slackElement struct {
		Type string `json:"type"`
		Text any    `json:"text"`
		URL  string `json:"url,omitempty"`
	}
	slackMessage struct {
		Channel string       `json:"channel,omitempty"`
		Thread  string       `json:"thread_ts,omitempty"`
		TS      string       `json:"ts,omitempty"`
		Text    string       `json:"text"` // for notifications of the system
		Blocks  []slackBlock `json:"blocks"`
		Unfurl  bool         `json:"unfurl_links"`
		Parse   string       `json:"parse"`
		Mrkdwn  bool         `json:"mrkdwn"`
	}
)

func plain(text string, most int) *slackText {
	no := false
	return &slackText{Type: "plain_text", Text: cut(text, most), Emoji: &no}
}

// escapeSlack takes the meaning from the three characters that have one in fallback
// texts: with them a text could mention everybody.
var escapeSlack = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func slackOf(n *penumbra.Notice) slackMessage {
	m := slackMessage{Text: escapeSlack.Replace(heading(n)), Parse: "none"}
	m.Blocks = append(m.Blocks, slackBlock{Type: "header", Text: plain(heading(n), 150)})
	if text := body(n); text != "" {
		m.Blocks = append(m.Blocks, slackBlock{Type: "section", Text: plain(text, 3000)})
	}
	for facts := range slices.Chunk(n.Facts, 10) {
		b := slackBlock{Type: "section"}
		for _, f := range facts {
			b.Fields = append(b.Fields, *plain(f.Name+": "+f.Value, 2000))
		}
		m.Blocks = append(m.Blocks, b)
	}
	if n.URL != "" {
		m.Blocks = append(m.Blocks, slackBlock{Type: "actions", Elements: []slackElement{{Type: "button", Text: plain("Open in Penumbra", 75), URL: n.URL}}})
	}
	m.Blocks = append(m.Blocks, slackBlock{Type: "context", Elements: []slackElement{
		{Type: "plain_text", Text: cut(fmt.Sprintf("Penumbra, %s %s, %s, %s", n.About, n.Verb, n.Severity, n.ID), 2000)},
	}})
	return m
}

// Send posts a notice. With a bot's token the answer is where the message is, and a
// later notice of the key brings that message up to date and adds to its thread.
func (s *Slack) Send(ctx context.Context, n *penumbra.Notice) (string, error) {
	m := slackOf(n)
	if s.cfg.URL != "" {
		_, err := jsonpost.Post(ctx, s.cfg.Client, "Slack", s.cfg.URL, nil, m)
		return "", err
	}
	room, ts, threaded := strings.Cut(n.Thread, " ")
	if !threaded {
		m.Channel = s.cfg.Room
		return s.call(ctx, "chat.postMessage", m)
	}
	m.Channel, m.Thread = room, ts
	if _, err := s.call(ctx, "chat.postMessage", m); err != nil {
		return "", err
	}
	m.Thread, m.TS = "", ts
	if _, err := s.call(ctx, "chat.update", m); err != nil && penumbra.KindOf(err).Retry() {
		return "", err
	} // one that was deleted or is too old to change stays as it is: the thread tells
	return n.Thread, nil
}

// passing are the errors of Slack's API that pass by themselves.
var passing = []string{"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}

func (s *Slack) call(ctx context.Context, method string, m slackMessage) (string, error) {
	header := http.Header{"Authorization": {"Bearer " + s.cfg.Token}, "Content-Type": {"application/json; charset=utf-8"}}
	answer, err := jsonpost.Post(ctx, s.cfg.Client, "Slack", s.cfg.API+"/"+method, header, m)
	if err != nil {
		return "", err
	}
	var a struct {
		OK      bool   `json:"ok"`
		Error   string `json:"error"`
		Channel string `json:"channel"`
		TS      string `json:"ts"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return "", &penumbra.Error{Kind: penumbra.Unavailable, What: "read the answer of Slack", Err: err}
	}
	if !a.OK {
		kind := penumbra.Refused
		if slices.Contains(passing, a.Error) {
			kind = penumbra.Unavailable
		}
		return "", &penumbra.Error{Kind: kind, What: fmt.Sprintf("post to Slack: %s says %q", method, cut(a.Error, 80)), Remedy: "see Slack's list of errors of " + method}
	}
	return a.Channel + " " + a.TS, nil
}
