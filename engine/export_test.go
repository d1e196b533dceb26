package engine

import "github.com/penumbra-iac/penumbra"

// Tell publishes a number of news about nothing.
func (e *Engine) Tell(n int) { e.news.publish(make([]penumbra.News, n)...) }

// NewsKept is how many news are remembered.
const NewsKept = newsKept
