package notify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

func noChannel(name string) error {
	return &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no channel %q", name), Remedy: "name one of `notify.channels` in penumbra.yaml; `penumbra notify list` shows them"}
}

// Channels returns the state of each channel, by name.
func (t *Teller) Channels(ctx context.Context) ([]penumbra.ChannelStatus, error) {
	out := []penumbra.ChannelStatus{}
	for _, c := range t.channels {
		st := penumbra.ChannelStatus{Name: c.Name, Kind: c.Kind, Quiet: c.quiet(t.now())}
		notices, err := t.cfg.Outbox.Notices(ctx, penumbra.NoticeQuery{Channel: c.Name, Limit: 10_000})
		if err != nil {
			return nil, err
		}
		for i := range notices {
			switch n := &notices[i]; n.State {
			case penumbra.NoticeWaiting:
				st.Waiting++
				st.Error = cmp.Or(n.Error, st.Error)
			case penumbra.NoticeHeld:
				st.Held++
			case penumbra.NoticeDead:
				st.Dead++
				st.Error = cmp.Or(n.Error, st.Error)
			case penumbra.NoticeSent:
				if n.Sent.After(st.Sent) {
					st.Sent = n.Sent
				}
			}
		}
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b penumbra.ChannelStatus) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// Notices returns the selected ones, the oldest first. It returns an error of kind
// NotFound if one is named and not there.
func (t *Teller) Notices(ctx context.Context, q penumbra.NoticeQuery) ([]penumbra.Notice, error) {
	out, err := t.cfg.Outbox.Notices(ctx, q)
	if err == nil && q.ID != "" && len(out) == 0 {
		err = &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no notice %q", q.ID), Remedy: "see `penumbra notify list`"}
	}
	return out, err
}

// ResendNotice has a dead notice sent again, with its identifier, and one that waits for
// its next attempt at once. It returns an error of kind Refused for any other, and
// of kind NotFound for none.
func (t *Teller) ResendNotice(ctx context.Context, id string) (penumbra.Notice, error) {
	found, err := t.Notices(ctx, penumbra.NoticeQuery{ID: id})
	if err != nil {
		return penumbra.Notice{}, err
	}
	c := t.channel(found[0].Channel)
	if c == nil {
		return found[0], noChannel(found[0].Channel)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, err = t.Notices(ctx, penumbra.NoticeQuery{ID: id}); err != nil {
		return penumbra.Notice{}, err
	}
	n := found[0]
	if n.State != penumbra.NoticeDead && n.State != penumbra.NoticeWaiting {
		return n, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("notice %s is %s", id, n.State), Remedy: "only those that `penumbra notify dead` lists are sent again"}
	}
	if n.ID == c.sending {
		return n, nil
	}
	n.State, n.Attempts, n.Next = penumbra.NoticeWaiting, 0, t.now()
	if err := t.cfg.Outbox.Tell(ctx, nil, []penumbra.Notice{n}); err != nil {
		return n, err
	}
	poke(c.wake)
	return n, nil
}

// TestChannel sends a notice that tells of nothing through a channel now, whatever its quiet
// hours and its rate, and returns what became of it. Nothing is tried again.
func (t *Teller) TestChannel(ctx context.Context, name, by string) (penumbra.Notice, error) {
	c := t.channel(name)
	if c == nil {
		return penumbra.Notice{}, noChannel(name)
	}
	now := t.now()
	n := penumbra.Notice{
		ID: newID(), Channel: c.Name, Key: "test/" + newID(), About: penumbra.AboutTest, Verb: penumbra.NoticeSaid,
		Title: "Penumbra can reach this channel", Lines: []string{"Nothing has happened: somebody tests the channel " + c.Name + "."},
		Began: now, Created: now, State: penumbra.NoticeWaiting, URL: t.url("/"),
	}
	if by != "" {
		n.Facts = []penumbra.NoticeFact{{Name: "by", Value: by}}
	}
	redact(&n)
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	began := time.Now()
	_, err := c.Sender.Send(ctx, &n)
	n.Attempts, n.Sent, n.State = 1, t.now(), penumbra.NoticeSent
	outcome := "sent"
	if err != nil {
		outcome = "failed"
		n.State, n.Sent, n.Error = penumbra.NoticeFolded, time.Time{}, penumbra.Redact(err.Error())
	}
	t.cfg.Observe(c.Name, outcome, time.Since(began))
	if kept := t.cfg.Outbox.Tell(ctx, nil, []penumbra.Notice{n}); err == nil {
		err = kept
	}
	return n, err
}

// Say has somebody told something through a channel: an owner asked about what they
// own, with the evidence as lines. The identifier is the caller's and makes it happen
// once: asking for the same again returns the notice there is. Quiet hours and the
// rate hold for it.
func (t *Teller) Say(ctx context.Context, channel string, n penumbra.Notice) (penumbra.Notice, error) {
	c := t.channel(channel)
	if c == nil {
		return n, noChannel(channel)
	}
	if strings.TrimSpace(n.ID) == "" || strings.TrimSpace(n.Title) == "" {
		return n, &penumbra.Error{Kind: penumbra.Invalid, What: "a notice without an identifier or a title", Remedy: "give both"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	found, err := t.cfg.Outbox.Notices(ctx, penumbra.NoticeQuery{ID: n.ID})
	if err != nil {
		return n, err
	}
	if len(found) > 0 {
		return found[0], nil
	}
	now := t.now()
	n.Channel, n.Created, n.Next, n.State = c.Name, now, now, penumbra.NoticeWaiting
	n.Key, n.About, n.Verb = cmp.Or(n.Key, "said/"+n.ID), cmp.Or(n.About, penumbra.AboutOwner), cmp.Or(n.Verb, penumbra.NoticeSaid)
	if n.Began.IsZero() {
		n.Began = now
	}
	if !c.keeps() && !(c.LoudCritical && n.Severity == penumbra.CriticalSeverity) && !c.quiet(now).IsZero() {
		n.State = penumbra.NoticeHeld
	}
	redact(&n)
	if err := t.cfg.Outbox.Tell(ctx, nil, []penumbra.Notice{n}); err != nil {
		return n, err
	}
	poke(c.wake)
	return n, nil
}
