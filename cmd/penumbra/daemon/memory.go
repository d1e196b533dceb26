package daemon

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// garbageRoom is how much garbage may gather at least before it is collected, in bytes.
// With Go's default a daemon that knows little, and so has a small heap, collects several
// times a second while observations come in: a fifth of its processor time at 10,000 a
// second of 9,000 resources. From this size of the heap on the default holds.
const garbageRoom = 128 << 20

// roomEvery is how often the heap is looked at.
const roomEvery = 2 * time.Second

// roomForGarbage keeps that room until ctx ends, unless GOGC says something else.
// GOMEMLIMIT bounds it as it does everything.
func roomForGarbage(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	tick := time.NewTicker(roomEvery)
	defer tick.Stop()
	heap := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	set := -1
	for {
		metrics.Read(heap)
		percent := 100
		if heap[0].Value.Kind() == metrics.KindUint64 {
			percent = garbagePercent(heap[0].Value.Uint64())
		}
		if percent < set-set/10 || percent > set+set/10 {
			debug.SetGCPercent(percent)
			set = percent
		}
		select {
		case <-ctx.Done():
			debug.SetGCPercent(100)
			return
		case <-tick.C:
		}
	}
}

// garbagePercent is GOGC for so many bytes in use: 100, Go's default, or what leaves
// garbageRoom.
func garbagePercent(live uint64) int {
	const least = 4 << 20 // below it Go collects at 4 MiB times GOGC / 100
	return int(max(100, 100*garbageRoom/max(live, least)))
}
