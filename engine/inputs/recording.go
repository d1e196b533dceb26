package inputs

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/randomid"
)

const (
	// maxRecordings bounds how many there are at a time.
	maxRecordings = 8
	// maxWaiting bounds the values of a recording that wait to be asked for, about
	// 10 MB: what comes beyond is counted.
	maxWaiting = 1 << 17
	// recordedPage bounds the values that are handed out at once.
	recordedPage = 10_000
	// recordingLease is how long a recording goes on that is not asked for: who
	// records may be gone without a word.
	recordingLease = time.Minute
)

// recordings hand out the single values of metrics as they come in, to those who
// record. Nothing waits for them.
type recordings struct {
	n    atomic.Int32 // so that a value costs no more than a look at it while there is none
	mu   sync.Mutex
	open map[string]*recording
}

// recording is what one of them was given and has not asked for yet.
type recording struct {
	values []penumbra.MetricValue
	newest map[metricKey]int64 // in nanoseconds since 1970
	missed map[penumbra.Address]*penumbra.RecordingGap
	page   penumbra.RecordedValues // the last one handed out
	lease  *time.Timer
}

// tap gives a value to those who record.
func (r *recordings) tap(key metricKey, worse penumbra.Direction, p penumbra.Point) {
	if r.n.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range r.open {
		x.add(key, worse, p)
	}
}

// add takes a value. One that is not newer than the last of its metric is left
// out, as the monitor leaves it out.
func (x *recording) add(key metricKey, worse penumbra.Direction, p penumbra.Point) {
	t := p.Time.UnixNano()
	if last, known := x.newest[key]; known && t <= last {
		return
	}
	x.newest[key] = t
	if len(x.values) < maxWaiting {
		x.values = append(x.values, penumbra.MetricValue{Resource: key.resource, Metric: key.metric, Worse: worse, Time: p.Time.UTC(), Value: p.Value})
		return
	}
	gap := x.missed[key.resource]
	if gap == nil {
		gap = &penumbra.RecordingGap{Resource: key.resource, From: p.Time.UTC()}
		x.missed[key.resource] = gap
	}
	gap.Values++
	gap.To = later(gap.To, p.Time.UTC())
}

// next returns the page behind another, or that page again.
func (x *recording) next(after int64) (penumbra.RecordedValues, bool) {
	switch after {
	case x.page.Page: // it has arrived
	case x.page.Page - 1:
		return x.page, true
	default:
		return penumbra.RecordedValues{}, false
	}
	n := min(len(x.values), recordedPage)
	page := penumbra.RecordedValues{Page: after + 1, Values: x.values[:n:n], More: n < len(x.values)}
	if x.values = x.values[n:]; !page.More {
		x.values = nil
		// What is missing came behind all that waited.
		for _, gap := range x.missed {
			page.Missed = append(page.Missed, *gap)
		}
		clear(x.missed)
	}
	x.page = page
	return page, true
}

// StartRecording begins to keep the values of metrics that are taken in from now
// on, and returns by which identifier they are asked for. It goes on until it is
// ended or was not asked for during a minute. It returns an error of kind Full if
// there are too many.
func (k *Intake) StartRecording(context.Context) (string, error) {
	r := &k.recordings
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.open) >= maxRecordings {
		return "", &penumbra.Error{Kind: penumbra.Full, What: fmt.Sprintf("start a recording beside %d others", maxRecordings), Remedy: "end one of them"}
	}
	id := randomid.New("v")
	if r.open == nil {
		r.open = map[string]*recording{}
	}
	r.open[id] = &recording{
		newest: map[metricKey]int64{}, missed: map[penumbra.Address]*penumbra.RecordingGap{},
		lease: time.AfterFunc(recordingLease, func() { r.end(id) }),
	}
	r.n.Store(int32(len(r.open)))
	return id, nil
}

// RecordedValues returns the page of a recording behind another, 0 for the first.
// Asking for a page says that the one before has arrived. It returns an error of
// kind NotFound if there is no such recording, and of kind Invalid if the page is
// not the next one nor the last again.
func (k *Intake) RecordedValues(_ context.Context, id string, after int64) (penumbra.RecordedValues, error) {
	r := &k.recordings
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.open[id]
	if x == nil {
		return penumbra.RecordedValues{}, noRecording(id)
	}
	x.lease.Reset(recordingLease)
	page, ok := x.next(after)
	if !ok {
		return page, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("page %d of the recording was not the last", after), Remedy: fmt.Sprintf("ask after page %d", x.page.Page)}
	}
	return page, nil
}

// EndRecording ends a recording and drops what it was not asked for. It returns an
// error of kind NotFound if there is none.
func (k *Intake) EndRecording(_ context.Context, id string) error {
	if !k.recordings.end(id) {
		return noRecording(id)
	}
	return nil
}

func noRecording(id string) error {
	return &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no recording %q: it has ended, or the daemon was started again", id), Remedy: "start another"}
}

func (r *recordings) end(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.open[id]
	if x == nil {
		return false
	}
	x.lease.Stop()
	delete(r.open, id)
	r.n.Store(int32(len(r.open)))
	return true
}

// close ends all recordings.
func (r *recordings) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range r.open {
		x.lease.Stop()
	}
	r.open = nil
	r.n.Store(0)
}
