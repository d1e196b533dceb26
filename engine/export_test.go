package engine

import (
	"context"

	"github.com/penumbra-iac/penumbra"
)

// Tell publishes a number of news about nothing.
func (e *Engine) Tell(n int) { e.news.publish(make([]penumbra.News, n)...) }

// NewsKept is how many news are remembered.
const NewsKept = newsKept

// PeersAtOnce is how many peers are not too many to be judged at once.
const PeersAtOnce = peersAtOnce

// PutOff has an engine put off what Run would do, however little it is.
func (e *Engine) PutOff() {
	e.running.Store(true)
	e.replayedAtOnce = 0
}

// JudgePeers and Replay do what was put off.
func (e *Engine) JudgePeers(ctx context.Context) error { return e.publish(ctx, e.judgePeers()) }

// Replay reports whether there was anything to do.
func (e *Engine) Replay(ctx context.Context) (bool, error) { return e.replay(ctx) }
