package inputs

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penumbra-iac/penumbra"
)

var recordedFrom = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// give has an intake take in so many values of a metric, a second apart.
func give(k *Intake, metric string, from, n int) {
	for i := from; i < from+n; i++ {
		k.recordings.tap(metricKey{"shop/db", metric}, penumbra.Down, penumbra.Point{Time: recordedFrom.Add(time.Duration(i) * time.Second), Value: float64(i)})
	}
}

func started(t testing.TB, k *Intake) string {
	t.Helper()
	id, err := k.StartRecording(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.recordings.close)
	return id
}

func pageAfter(t *testing.T, k *Intake, id string, after int64) penumbra.RecordedValues {
	t.Helper()
	page, err := k.RecordedValues(t.Context(), id, after)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestRecordedPages(t *testing.T) {
	t.Parallel()
	k := &Intake{}
	give(k, "tps", -1, 1) // before anybody records
	id := started(t, k)
	give(k, "tps", 0, recordedPage+5)
	give(k, "tps", 3, 1) // late: the monitor does not see it either
	first := pageAfter(t, k, id, 0)
	again := pageAfter(t, k, id, 0) // it was lost on the way
	if len(first.Values) != recordedPage || !first.More || len(again.Values) != recordedPage || again.Page != first.Page {
		t.Fatalf("%d values on page %d, then %d on page %d", len(first.Values), first.Page, len(again.Values), again.Page)
	}
	second := pageAfter(t, k, id, first.Page)
	if len(second.Values) != 5 || second.More {
		t.Fatalf("%d values are left, want 5", len(second.Values))
	}
	want := penumbra.MetricValue{Resource: "shop/db", Metric: "tps", Worse: penumbra.Down, Time: recordedFrom.Add(recordedPage * time.Second), Value: recordedPage}
	if got := second.Values[0]; got != want {
		t.Errorf("the next value is %+v, want %+v", got, want)
	}
	give(k, "tps", 20_000, 2)
	if got := pageAfter(t, k, id, second.Page); len(got.Values) != 2 {
		t.Errorf("then come %d values, want 2", len(got.Values))
	}
	for _, after := range []int64{0, 1, 4, -1} {
		if _, err := k.RecordedValues(t.Context(), id, after); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("after page %d: %v", after, err)
		}
	}
}

// Who asks too seldom is told how much is missing, and nobody waits for him.
func TestRecordingOverflows(t *testing.T) {
	t.Parallel()
	k := &Intake{}
	slow, quick := started(t, k), started(t, k)
	var pages [2]int64
	seen := 0
	drain := func(i int, id string) (n int, missed []penumbra.RecordingGap) {
		for {
			page := pageAfter(t, k, id, pages[i])
			pages[i] = page.Page
			n += len(page.Values)
			missed = append(missed, page.Missed...)
			if !page.More {
				return n, missed
			}
		}
	}
	const beyond = 1000
	for from := 0; from < maxWaiting+beyond; from += beyond {
		give(k, "tps", from, min(beyond, maxWaiting+beyond-from))
		n, missed := drain(1, quick)
		if seen += n; len(missed) > 0 {
			t.Fatalf("who asks at once misses %+v", missed)
		}
	}
	if seen != maxWaiting+beyond {
		t.Errorf("who asks at once has %d values, want %d", seen, maxWaiting+beyond)
	}
	n, missed := drain(0, slow)
	want := penumbra.RecordingGap{Resource: "shop/db", Values: beyond, From: recordedFrom.Add(maxWaiting * time.Second), To: recordedFrom.Add((maxWaiting + beyond - 1) * time.Second)}
	if n != maxWaiting || len(missed) != 1 || missed[0] != want {
		t.Errorf("who asks late has %d values and misses %+v, want %d and %+v", n, missed, maxWaiting, want)
	}
	give(k, "tps", maxWaiting+beyond, 1)
	if n, missed := drain(0, slow); n != 1 || len(missed) > 0 {
		t.Errorf("then come %d values, and %+v are missing", n, missed)
	}
}

func TestRecordingsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &Intake{}
		kept, left := started(t, k), started(t, k)
		for range 3 {
			time.Sleep(recordingLease - time.Second)
			pageAfter(t, k, kept, 0)
		}
		if _, err := k.RecordedValues(t.Context(), left, 0); penumbra.KindOf(err) != penumbra.NotFound {
			t.Errorf("nobody asked for it and it goes on: %v", err)
		}
		if err := k.EndRecording(t.Context(), kept); err != nil {
			t.Error(err)
		}
		if err := k.EndRecording(t.Context(), kept); penumbra.KindOf(err) != penumbra.NotFound {
			t.Errorf("it ended twice: %v", err)
		}
		if n := k.recordings.n.Load(); n != 0 {
			t.Errorf("%d are still given values", n)
		}
		for range maxRecordings {
			started(t, k)
		}
		if _, err := k.StartRecording(t.Context()); penumbra.KindOf(err) != penumbra.Full {
			t.Errorf("one too many: %v", err)
		}
	})
}

// BenchmarkTap is what a value costs while so many record.
func BenchmarkTap(b *testing.B) {
	for _, n := range []int{0, 1, maxRecordings} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			k := &Intake{}
			var ids []string
			for range n {
				ids = append(ids, started(b, k))
			}
			key, at := metricKey{"shop/db", "tps"}, recordedFrom
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				at = at.Add(time.Second)
				k.recordings.tap(key, penumbra.Down, penumbra.Point{Time: at, Value: 1})
				if i++; i%recordedPage == 0 {
					for _, id := range ids {
						if _, err := k.RecordedValues(context.Background(), id, int64(i/recordedPage-1)); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
		})
	}
}
