package daemon

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
)

// The estate of the benchmark: resources of eight settings in 20 stacks and ten types,
// one in fifty of them drifted.
const (
	benchStacks = 20
	benchTypes  = 10
	driftedOf   = 50
)

func benchAddress(i int) string {
	return fmt.Sprintf("stack%02d/type%d.host[%d]", i%benchStacks, i%benchTypes, i)
}

// benchLine is one observation of resource i at a time.
func benchLine(b *bytes.Buffer, kind string, i int, at time.Time, size string) {
	fmt.Fprintf(b, `{"kind":%q,"time":%q,"resource":%q,"type":"type%d","settings":{"size":%q,"region":"eu-%d","tags.team":"team%d","port":%d,"public":false,"backup.days":7,"image":"img-%d","monitoring":true}`,
		kind, at.UTC().Format(time.RFC3339Nano), benchAddress(i), i%benchTypes, size, i%3, i%7, 5000+i%10, i%5)
	if kind == "snapshot" {
		b.WriteString(`,"full":true`)
	}
	b.WriteString("}\n")
}

// BenchmarkLatency measures how long pages and routes take while observations come in.
// RESOURCES, RATE (observations a second), CLIENTS and SECONDS change what is measured.
// The clients ask one request after the other, each kind as often as any other.
func BenchmarkLatency(b *testing.B) {
	resources, rate := number("RESOURCES", 100_000), number("RATE", 5_000)
	clients, seconds := number("CLIENTS", 8), number("SECONDS", 60)
	if testing.Short() {
		b.Skip("takes minutes")
	}
	dir := b.TempDir()
	config := filepath.Join(dir, "penumbra.yaml")
	if err := os.WriteFile(config, []byte("listen: 127.0.0.1:0\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	c, err := wire.LoadConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	a := &app{&console.Console{Out: io.Discard, Err: io.Discard, Version: "bench"}}
	ready := make(chan [2]string, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- a.serve(ctx, c, wire.Options{Log: slog.New(slog.DiscardHandler)}, func(_ *wire.Loop, url, token string) { ready <- [2]string{url, token} })
	}()
	var at [2]string
	select {
	case at = <-ready:
	case err := <-ended:
		b.Fatal(err)
	}
	client := api.NewClient(at[0], at[1])
	d := &load{b: b, base: at[0], token: at[1], client: client, resources: resources}
	d.fill(ctx)
	for b.Loop() {
		d.run(ctx, rate, clients, time.Duration(seconds)*time.Second)
	}
	d.report()
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// load is what asks a daemon, and what it found.
type load struct {
	b                 *testing.B
	base, token       string
	client            *api.Client
	resources         int
	mu                sync.Mutex
	took              map[string][]time.Duration
	failed, late, got atomic.Int64
	span              time.Duration
}

// fill makes the estate known.
func (d *load) fill(ctx context.Context) {
	began := time.Now().Add(-2 * time.Hour)
	for _, kind := range []string{"template", "snapshot"} {
		var lines bytes.Buffer
		for i := range d.resources {
			size := "small"
			if kind == "snapshot" && i%driftedOf == 0 {
				size = "large"
			}
			benchLine(&lines, kind, i, began.Add(time.Duration(i)*time.Microsecond), size)
		}
		began = began.Add(time.Hour)
		if r, err := d.client.Ingest(ctx, &lines, "fill"); err != nil || r.Added != d.resources {
			d.b.Fatalf("%+v, error %v", r, err)
		}
	}
}

// kinds are what is asked for, by a random resource and drift.
func (d *load) kinds(r *rand.Rand, drifts []string) map[string]string {
	i := r.IntN(d.resources)
	address := url.QueryEscape(benchAddress(i))
	drift := drifts[r.IntN(len(drifts))]
	return map[string]string{
		"api status":          "/v1/status",
		"api resources":       "/v1/resources?limit=100",
		"api resources text":  "/v1/resources?limit=100&q=" + url.QueryEscape(fmt.Sprintf("host[%d", i)),
		"api resources stack": fmt.Sprintf("/v1/resources?limit=100&stack=stack%02d", i%benchStacks),
		"api drifts":          "/v1/drifts?active=true&limit=100",
		"api drift":           "/v1/drifts/" + drift,
		"api shadow":          "/v1/shadow?address=" + address,
		"api runs":            "/v1/runs?limit=100",
		"page overview":       "/",
		"page drifts":         "/drifts",
		"page drift":          "/drift?id=" + drift,
		"page resources":      "/resources",
		"page resource":       "/resource?address=" + address,
	}
}

// run has clients ask while observations are sent.
func (d *load) run(ctx context.Context, rate, clients int, span time.Duration) {
	page, err := d.client.Drifts(ctx, penumbra.DriftQuery{Active: true})
	if err != nil || len(page) == 0 {
		d.b.Fatalf("%d drifts, error %v", len(page), err)
	}
	drifts := make([]string, len(page))
	for i := range page {
		drifts[i] = page[i].ID
	}
	d.took, d.span = map[string][]time.Duration{}, span
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	var working sync.WaitGroup
	for sender := range senders {
		working.Go(func() { d.send(ctx, rate, sender) })
	}
	for n := range clients {
		working.Go(func() { d.ask(ctx, rand.New(rand.NewPCG(uint64(n), 1)), drifts) })
	}
	working.Wait()
}

// senders is how many send observations, each those of resources of its own, in their
// order: what comes late would have the shadow rebuilt.
const senders = 4

// send sends observations at a rate: of random resources, four in five as they are and
// one in five a value of a metric.
func (d *load) send(ctx context.Context, rate, sender int) {
	tick := time.NewTicker(senders * 100 * time.Millisecond)
	defer tick.Stop()
	r := rand.New(rand.NewPCG(99, uint64(sender)))
	began, due := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		due++
		if behind := int(time.Since(began)/(senders*100*time.Millisecond)) - due; behind > 0 {
			d.late.Add(int64(behind * rate / 10)) // the answers took longer than a tick
			due += behind
		}
		var lines bytes.Buffer
		now := time.Now()
		for n := range rate / 10 {
			i := r.IntN(d.resources/senders)*senders + sender
			switch {
			case n%5 == 0:
				fmt.Fprintf(&lines, `{"kind":"metric","time":%q,"resource":%q,"type":"type%d","metrics":{"cpu":%.3f}}`+"\n", now.UTC().Format(time.RFC3339Nano), benchAddress(i), i%benchTypes, r.Float64())
			case n%500 == 1: // one in 500 changes
				benchLine(&lines, "snapshot", i, now, []string{"small", "large"}[r.IntN(2)])
			default:
				size := "small"
				if i%driftedOf == 0 {
					size = "large"
				}
				benchLine(&lines, "snapshot", i, now, size)
			}
		}
		report, err := d.client.Ingest(context.WithoutCancel(ctx), &lines, "bench")
		if err != nil {
			d.failed.Add(1)
			d.b.Log(err)
		}
		d.got.Add(int64(report.Lines))
	}
}

// ask asks one thing after the other.
func (d *load) ask(ctx context.Context, r *rand.Rand, drifts []string) {
	web := &http.Client{Jar: nil}
	var cookie string
	if resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get(d.base + "/?token=" + url.QueryEscape(d.token)); err == nil {
		resp.Body.Close()
		for _, x := range resp.Cookies() {
			cookie += x.Name + "=" + x.Value + "; "
		}
	}
	for ctx.Err() == nil {
		for name, path := range d.kinds(r, drifts) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+path, nil)
			if err != nil {
				d.b.Error(err)
				return
			}
			if strings.HasPrefix(name, "api") {
				req.Header.Set("Authorization", "Bearer "+d.token)
			} else {
				req.Header.Set("Cookie", cookie)
			}
			began := time.Now()
			resp, err := web.Do(req)
			if err != nil {
				break // the time is up
			}
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if ctx.Err() != nil {
				return
			}
			if err != nil || resp.StatusCode != http.StatusOK {
				d.failed.Add(1)
				d.b.Logf("%s: %d %v", path, resp.StatusCode, err)
			}
			took := time.Since(began)
			d.mu.Lock()
			d.took[name] = append(d.took[name], took)
			d.mu.Unlock()
		}
	}
}

// report prints a line for each kind, the slowest first.
func (d *load) report() {
	names := make([]string, 0, len(d.took))
	all := 0
	for name, took := range d.took {
		slices.Sort(took)
		names = append(names, name)
		all += len(took)
	}
	quantile := func(name string, q float64) time.Duration {
		took := d.took[name]
		return took[min(len(took)-1, int(q*float64(len(took))))]
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(quantile(b, 0.99), quantile(a, 0.99)) })
	fmt.Printf("%d requests in %v, %.0f observations a second taken in, %d not sent for lateness, %d failed\n", all, d.span, float64(d.got.Load())/d.span.Seconds(), d.late.Load(), d.failed.Load())
	worst := time.Duration(0)
	for _, name := range names {
		p99 := quantile(name, 0.99)
		worst = max(worst, p99)
		fmt.Printf("%-22s %6d  p50 %8.1f ms  p99 %8.1f ms\n", name, len(d.took[name]), ms(quantile(name, 0.5)), ms(p99))
	}
	d.b.ReportMetric(ms(worst), "worst-p99-ms")
	d.b.ReportMetric(float64(d.got.Load())/d.span.Seconds(), "observations/s")
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
