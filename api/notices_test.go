package api

import (
	"context"

	"github.com/penumbra-iac/penumbra"
)

func (r *recorder) Channels(context.Context) ([]penumbra.ChannelStatus, error) {
	return r.channels, r.record("Channels")
}

func (r *recorder) Notices(_ context.Context, q penumbra.NoticeQuery) ([]penumbra.Notice, error) {
	return r.notices, r.record("Notices", q)
}

func (r *recorder) ResendNotice(_ context.Context, id string) (penumbra.Notice, error) {
	return first(r.notices), r.record("ResendNotice", id)
}

func (r *recorder) TestChannel(_ context.Context, channel, by string) (penumbra.Notice, error) {
	return first(r.notices), r.record("TestChannel", channel, by)
}
