package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// answerer stands where the network would: it answers a range query as Prometheus
// does, with one series whose values are the seconds since noon. What a real
// Prometheus says is in prometheus_test.go; this is for schedules and faults.
type answerer struct {
	asked  []string // "expr start-end", in seconds since noon
	status func(expr string) (int, string)
}

func (a *answerer) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	start, _ := strconv.ParseFloat(r.Form.Get("start"), 64)
	end, _ := strconv.ParseFloat(r.Form.Get("end"), 64)
	step, _ := strconv.ParseFloat(r.Form.Get("step"), 64)
	expr := r.Form.Get("query")
	base := float64(noon.Unix())
	a.asked = append(a.asked, fmt.Sprintf("%s %.0f-%.0f", expr, start-base, end-base))
	code, body := a.status(expr)
	if code == 0 {
		return nil, errors.New("connection refused")
	}
	if body == "" {
		values := [][2]any{}
		for t := start; t <= end; t += step {
			values = append(values, [2]any{t, fmt.Sprint(t - base)})
		}
		data, err := json.Marshal(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": []any{
			map[string]any{"metric": map[string]string{"__name__": "m", "instance": "db1"}, "values": values},
		}}})
		if err != nil {
			return nil, err
		}
		body = string(data)
	}
	return &http.Response{StatusCode: code, Status: strconv.Itoa(code), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// run runs a poller from noon for a span of fake time, which begins at noon, and
// returns the times told of each metric, in seconds since noon.
func run(t *testing.T, c Config, from, span time.Duration, sink func([]penumbra.Series) error) map[string][]int {
	t.Helper()
	time.Sleep(time.Until(noon))
	p, err := NewPoller(c)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string][]int{}
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	err = p.Run(ctx, noon.Add(from), func(_ context.Context, series []penumbra.Series) error {
		if sink != nil {
			if err := sink(series); err != nil {
				return err
			}
		}
		for _, s := range series {
			for _, point := range s.Points {
				told[s.Metric] = append(told[s.Metric], int(point.Time.Sub(noon).Seconds()))
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("Run: %v", err)
	}
	return told
}

// everyStep fails unless got is every multiple of step from first to last, once.
func everyStep(t *testing.T, got []int, first, last, step int) {
	t.Helper()
	want := first
	for _, g := range got {
		if g != want {
			t.Fatalf("at %d, not %d: %v", g, want, got)
		}
		want += step
	}
	if want != last+step {
		t.Errorf("ended before %d, not %d", want, last+step)
	}
}

func TestPollerLeavesNoGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		net := &answerer{}
		// Away from the 5th to the 15th minute.
		net.status = func(string) (int, string) {
			if m := time.Since(noon).Minutes(); m > 5 && m < 15 {
				return 0, ""
			}
			return 200, ""
		}
		reports := map[string]int{}
		c := Config{Input: "prom", URL: "http://prometheus:9090", Every: 30 * time.Second, Queries: []Query{{Name: "cpu", Expr: "a"}, {Name: "memory", Expr: "b"}}, Transport: net,
			Report: func(q Query, err error) {
				if err != nil {
					reports[q.Name+" "+penumbra.KindOf(err).String()]++
				}
			}}
		told := run(t, c, -time.Hour, 20*time.Minute+time.Second, nil)
		everyStep(t, told["cpu"], -3570, 1200, 30)
		everyStep(t, told["memory"], -3570, 1200, 30)
		if reports["cpu unavailable"] == 0 || reports["memory unavailable"] == 0 || len(reports) != 2 {
			t.Errorf("reports %v", reports)
		}
	})
}

func TestPollerGivesSeriesAgainThatTheSinkDidNotTake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := Config{Input: "prom", URL: "http://prometheus:9090", Every: time.Minute, Queries: []Query{{Name: "cpu", Expr: "a"}}, Transport: &answerer{status: func(string) (int, string) { return 200, "" }}}
		told := run(t, c, 0, 10*time.Minute+time.Second, func([]penumbra.Series) error {
			if calls++; calls%2 == 1 {
				return &penumbra.Error{Kind: penumbra.Full, What: "store"}
			}
			return nil
		})
		everyStep(t, told["cpu"], 60, 600, 60)
	})
}

func TestPollerEndsWithTheSinksError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, err := NewPoller(Config{URL: "http://p", Queries: []Query{{Name: "cpu", Expr: "a"}}, Transport: &answerer{status: func(string) (int, string) { return 200, "" }}})
		if err != nil {
			t.Fatal(err)
		}
		bug := errors.New("bug")
		if err := p.Run(t.Context(), time.Now().Add(-time.Hour), func(context.Context, []penumbra.Series) error { return bug }); err != bug {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestPollerSplitsAndBoundsTheLookBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		net := &answerer{status: func(string) (int, string) { return 200, "" }}
		c := Config{URL: "http://p", Every: time.Second, LookBack: 6 * time.Hour, MaxSeries: 10, Queries: []Query{{Name: "cpu", Expr: "a"}}, Transport: net}
		told := run(t, c, -1000*time.Hour, time.Millisecond, nil)
		everyStep(t, told["cpu"], -21599, 0, 1)
		if len(net.asked) != 2 || net.asked[0] != "a -21599--10600" {
			t.Errorf("asked %q", net.asked)
		}
	})
}

func TestPollerBadQueryStopsNoOther(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code int
		body string
		kind penumbra.ErrorKind
		says string
	}{
		"parse error":   {400, `{"status":"error","errorType":"bad_data","error":"1:3: parse error"}`, penumbra.Invalid, "parse error"},
		"execution":     {422, `{"status":"error","errorType":"execution","error":"many-to-many"}`, penumbra.Invalid, "many-to-many"},
		"scalar":        {200, `{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}`, penumbra.Invalid, "instant vector"},
		"wrong token":   {401, "", penumbra.Invalid, "check the token"},
		"not there":     {404, "404 page not found", penumbra.Invalid, "check the url"},
		"moved":         {307, " ", penumbra.Invalid, "check the url"},
		"too often":     {429, " ", penumbra.Unavailable, "429"},
		"timeout":       {503, `{"status":"error","errorType":"timeout","error":"query timed out"}`, penumbra.Unavailable, "503"},
		"away":          {0, "", penumbra.Unavailable, "cannot be reached"},
		"html":          {200, "<html>", penumbra.Invalid, "check the url"},
		"many series":   {200, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"1"},"values":[]},{"metric":{"a":"2"},"values":[]},{"metric":{"a":"3"},"values":[]}]}}`, penumbra.Invalid, "more than 2 series"},
		"a vast answer": {200, strings.Repeat(" ", maxAnswer+1), penumbra.Invalid, "the answer is over"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				net := &answerer{status: func(expr string) (int, string) {
					if expr == "bad" {
						return c.code, c.body
					}
					return 200, ""
				}}
				var told error
				told2 := run(t, Config{Input: "prom", URL: "http://p", MaxSeries: 2, Every: time.Minute, Queries: []Query{{Name: "wrong", Expr: "bad"}, {Name: "cpu", Expr: "a"}}, Transport: net,
					Report: func(q Query, err error) {
						if q.Name == "wrong" && told == nil {
							told = err
						}
					}}, 0, 5*time.Minute+time.Second, nil)
				if told == nil || penumbra.KindOf(told) != c.kind || !strings.Contains(told.Error(), `"wrong"`) || !strings.Contains(told.Error(), c.says) {
					t.Errorf("%v: %v", penumbra.KindOf(told), told)
				}
				everyStep(t, told2["cpu"], 60, 300, 60)
			})
		})
	}
}

func TestPollerLeavesOutWhatIsNoNumber(t *testing.T) {
	t.Parallel()
	body := fmt.Sprintf(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"instance":"db1","token":"abcdef"},"values":[[%d,"NaN"],[%d,"+Inf"],[%d,"3"]]}]}}`, noon.Unix(), noon.Unix()+1, noon.Unix()+2)
	synctest.Test(t, func(t *testing.T) {
		var got []penumbra.Series
		run(t, Config{Input: "prom", URL: "http://p", Every: time.Minute, Queries: []Query{{Name: "x", Expr: "x", Counter: true}}, Transport: &answerer{status: func(string) (int, string) { return 200, body }}}, -time.Minute, time.Second, func(s []penumbra.Series) error {
			got = append(got, s...)
			return nil
		})
		if len(got) != 1 || !got[0].Counter || got[0].Metric != "x" || len(got[0].Points) != 1 || got[0].Points[0].Value != 3 || got[0].Labels["token"] != "[redacted]" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	q := []Query{{Name: "cpu", Expr: "a"}}
	for name, c := range map[string]Config{
		"no url":        {Queries: q},
		"credentials":   {URL: "http://a:b@p", Queries: q},
		"scheme":        {URL: "file:///etc", Queries: q},
		"too often":     {URL: "http://p", Every: time.Millisecond, Queries: q},
		"no queries":    {URL: "http://p"},
		"no expression": {URL: "http://p", Queries: []Query{{Name: "cpu"}}},
		"both":          {URL: "http://p", Queries: q, User: "u", TokenEnv: "T"},
		"no user":       {URL: "http://p", Queries: q, PasswordEnv: "T"},
		"look-back":     {URL: "http://p", Queries: q, LookBack: time.Second},
		"series":        {URL: "http://p", Queries: q, MaxSeries: -1},
	} {
		if _, err := NewPoller(c); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PROMETHEUS_SECRET", "open")
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"token file":  {Config{TokenFile: file}, "Bearer sesame"},
		"token":       {Config{TokenEnv: "PROMETHEUS_SECRET"}, "Bearer open"},
		"password":    {Config{User: "u", PasswordEnv: "PROMETHEUS_SECRET"}, "Basic dTpvcGVu"},
		"none":        {Config{}, ""},
		"no variable": {Config{TokenEnv: "PROMETHEUS_NONE"}, "not one line"},
		"no file":     {Config{TokenFile: file + "x"}, "read the token"},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r.Header.Get("Authorization")
				fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
			}))
			defer server.Close()
			c.config.URL, c.config.Queries = server.URL, []Query{{Name: "cpu", Expr: "a"}}
			ctx, cancel := context.WithCancel(t.Context())
			c.config.Report = func(_ Query, err error) {
				if err != nil {
					got = err.Error()
				}
				cancel()
			}
			p, err := NewPoller(c.config)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Run(ctx, time.Now().Add(-time.Minute), nil); err != nil {
				t.Fatal(err)
			}
			if got != c.want && (c.want == "" || !strings.Contains(got, c.want)) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestCredentialsFollowNoRedirect(t *testing.T) {
	t.Parallel()
	leaked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked = true }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	var told error
	ctx, cancel := context.WithCancel(t.Context())
	p, err := NewPoller(Config{URL: server.URL, Queries: []Query{{Name: "cpu", Expr: "a"}}, Report: func(_ Query, err error) { told = err; cancel() }})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(ctx, time.Now().Add(-time.Minute), nil); err != nil {
		t.Fatal(err)
	}
	if leaked || penumbra.KindOf(told) != penumbra.Invalid {
		t.Errorf("leaked %v, told %v", leaked, told)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1,"2"]]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"NaN"]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":null,"histograms":[[1,{"count":"x"}]]}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := NewPoller(Config{URL: "http://p", Queries: []Query{{Name: "cpu", Expr: "a"}}, Transport: &answerer{status: func(string) (int, string) { return 200, string(body) + " " }}})
		if err != nil {
			t.Fatal(err)
		}
		r := timeRange(noon, noon.Add(time.Minute), time.Second)
		if _, err := p.once(t.Context(), p.config.Queries[0], r); err != nil {
			var known *penumbra.Error
			if !errors.As(err, &known) {
				t.Errorf("an error without a kind: %v", err)
			}
		}
	})
}
