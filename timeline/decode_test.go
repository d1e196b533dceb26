package timeline

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

var compareValues = cmp.Comparer(func(a, b penumbra.Value) bool { return a == b })

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

// decodeAll reads everything, and returns the bad lines apart.
func decodeAll(t *testing.T, r io.Reader, source string) (obs []penumbra.Observation, bad []*LineError) {
	t.Helper()
	d := NewDecoder(r, source)
	for {
		o, err := d.Next()
		var line *LineError
		switch {
		case err == io.EOF:
			return obs, bad
		case errors.As(err, &line):
			bad = append(bad, line)
		case err != nil:
			t.Fatal(err)
		default:
			obs = append(obs, o)
		}
	}
}

const designExample = `{"kind":"template","time":"2026-03-01T00:00:00Z","resource":"shop/aws_db_instance.main","type":"aws_db_instance","settings":{"instance_class":"db.t3.small","tags.team":"pay"},"source":"git:3fa2c1d"}
{"kind":"snapshot","time":"2026-03-01T00:05:00Z","resource":"shop/aws_db_instance.main","type":"aws_db_instance","settings":{"instance_class":"db.t3.small","tags.team":"pay"}}
{"kind":"event","time":"2026-03-01T09:12:44Z","resource":"shop/aws_db_instance.main","type":"aws_db_instance","actor":"alice","actor_kind":"user","action":"ModifyDBInstance","settings":{"instance_class":"db.t3.large"},"id":"e-91"}
{"kind":"metric","time":"2026-03-01T09:15:00Z","resource":"shop/aws_db_instance.main","type":"aws_db_instance","metrics":{"cpu":0.83,"memory":0.41,"network_io":1.2e6}}
`

func designObservations() []penumbra.Observation {
	const resource, kind = "shop/aws_db_instance.main", "aws_db_instance"
	small := penumbra.NewSettings(
		penumbra.Setting{Path: "instance_class", Value: penumbra.String("db.t3.small")},
		penumbra.Setting{Path: "tags.team", Value: penumbra.String("pay")})
	return []penumbra.Observation{
		{Kind: penumbra.TemplateKind, Time: at("2026-03-01T00:00:00Z"), Resource: resource, Type: kind, Source: "git:3fa2c1d", Settings: small},
		{Kind: penumbra.SnapshotKind, Time: at("2026-03-01T00:05:00Z"), Resource: resource, Type: kind, Source: "file", Settings: small},
		{Kind: penumbra.EventKind, Time: at("2026-03-01T09:12:44Z"), Resource: resource, Type: kind, Source: "file", ID: "e-91",
			Actor: "alice", ActorKind: penumbra.User, Action: "ModifyDBInstance",
			Settings: penumbra.Settings{{Path: "instance_class", Value: penumbra.String("db.t3.large")}}},
		{Kind: penumbra.MetricKind, Time: at("2026-03-01T09:15:00Z"), Resource: resource, Type: kind, Source: "file",
			Metrics: []penumbra.Metric{{Name: "cpu", Value: 0.83}, {Name: "memory", Value: 0.41}, {Name: "network_io", Value: 1.2e6}}},
	}
}

func TestDecodeFormat(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(designExample))
	_ = z.Close()
	for name, r := range map[string]io.Reader{
		"plain":              strings.NewReader(designExample),
		"gzip":               &zipped,
		"byte order mark":    strings.NewReader("\ufeff" + designExample),
		"no last newline":    strings.NewReader(strings.TrimSuffix(designExample, "\n")),
		"blank lines":        strings.NewReader("\n  \n" + strings.ReplaceAll(designExample, "\n", "\r\n\r\n")),
		"one byte at a time": iotest.OneByteReader(strings.NewReader(designExample)),
	} {
		obs, bad := decodeAll(t, r, "file")
		if len(bad) > 0 {
			t.Errorf("%s: bad line: %v", name, bad[0])
		}
		if diff := cmp.Diff(designObservations(), obs, compareValues); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

// head is what every line below begins with.
const head = `{"kind":"template","time":"2026-03-01T00:00:00Z","resource":"s/t.n"`

func TestDecodeSettings(t *testing.T) {
	t.Parallel()
	const secret = penumbra.SecretPrefix + "0123456789abcdef0123456789abcdef"
	sealed, _ := penumbra.Secret(secret)
	number := func(text string) penumbra.Value {
		v, err := penumbra.ParseNumber(text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	tests := map[string]struct {
		line string
		want penumbra.Settings
	}{
		"scalars": {`"settings":{"n":-12,"f":1.50,"big":123456789012345678901,"t":true,"z":null,"s":"x"}`, penumbra.Settings{
			{Path: "big", Value: number("123456789012345678901")}, {Path: "f", Value: penumbra.Number(1.5)},
			{Path: "n", Value: penumbra.Number(-12)}, {Path: "s", Value: penumbra.String("x")},
			{Path: "t", Value: penumbra.Bool(true)}, {Path: "z"}}},
		"escapes": {`"settings":{"a\u002eb":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83dx"}`, penumbra.Settings{
			{Path: "a.b", Value: penumbra.String("\"\\/\b\f\n\r\té😀\ufffdx")}}},
		"sensitive": {`"sensitive":["db","pin"],"settings":{"db.password":"` + secret + `","db-name":"` + secret + `","pin":1234}`, penumbra.Settings{
			{Path: "db-name", Value: penumbra.String(secret)},
			{Path: "db.password", Value: sealed, Sensitive: true},
			{Path: "pin", Value: penumbra.Number(1234), Sensitive: true}}},
		"unknown": {`"unknown":["arn","id"],"settings":{"id":null,"name":"x"}`, penumbra.Settings{
			{Path: "arn", Value: penumbra.Unknown()}, {Path: "id", Value: penumbra.Unknown()}, {Path: "name", Value: penumbra.String("x")}}},
		"null is absent":         {`"settings":null,"sensitive":null,"full":null,"actor":null`, nil},
		"unknown fields ignored": {`"Settings":{"a":1},"x":[{"y":[1,2.5e-3,"z\\",true,null]},{}],"x":{},"settings":{"a":2}`, penumbra.Settings{{Path: "a", Value: penumbra.Number(2)}}},
		"empty":                  {`"settings":{}`, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obs, bad := decodeAll(t, strings.NewReader(head+","+tt.line+"}"), "")
			if len(bad) > 0 {
				t.Fatal(bad[0])
			}
			if diff := cmp.Diff(tt.want, obs[0].Settings, compareValues); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDecodeBadLines(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ line, reason string }{
		"not JSON":         {`hello`, `not JSON: 'h' at byte 1, where '{' should be`},
		"cut off":          {head + `,"settings":{"a":"b`, "not JSON: the line ends where a closing quote should be"},
		"no value":         {head + `,"actor":}`, "not JSON: '}' at byte 77, where a value should be"},
		"something behind": {head + `} x`, "where the end of the line should be"},
		"leading zero":     {head + `,"settings":{"a":01}}`, "where ',' or '}' should be"},
		"lone minus":       {head + `,"settings":{"a":-}}`, "where a digit should be"},
		"bad escape":       {head + `,"actor":"\x"}`, "where an escape should be"},
		"control":          {head + ",\"actor\":\"\x01\"}", "where an escaped character should be"},
		"UTF-8":            {head + ",\"actor\":\"\xff\"}", "not valid UTF-8"},
		"no kind":          {`{"time":"2026-03-01T00:00:00Z","resource":"r"}`, "kind is none of"},
		"unknown kind":     {`{"kind":"snap"}`, `kind "snap" is none of template, snapshot, event, metric`},
		"no time":          {`{"kind":"event","resource":"r"}`, "time is missing"},
		"bad time":         {`{"kind":"event","time":"yesterday"}`, `time: "yesterday" is not a time of RFC 3339`},
		"month 13":         {`{"kind":"event","time":"2026-13-01T00:00:00Z"}`, "is not a time of RFC 3339"},
		"far time":         {`{"kind":"event","time":"2300-01-01T00:00:00Z"}`, "is not between the years 1678 and 2262"},
		"time a number":    {`{"kind":"event","time":1772323200}`, "time must be a string, not a number"},
		"no resource":      {`{"kind":"event","time":"2026-03-01T00:00:00Z"}`, "resource is missing"},
		"resource a list":  {`{"resource":[]}`, "resource must be a string, not a list"},
		"actor kind":       {head + `,"actor_kind":"robot"}`, `actor_kind "robot" is none of user, automation, system`},
		"full a string":    {head + `,"full":"yes"}`, "full must be true or false, not a string"},
		"settings a list":  {head + `,"settings":[]}`, "settings must be an object, not a list"},
		"nested":           {head + `,"settings":{"tags":{"team":"pay"}}}`, `settings: "tags" is an object: flatten it`},
		"list":             {head + `,"settings":{"tags":["a"]}}`, `settings: "tags" is a list: flatten it`},
		"huge number":      {head + `,"settings":{"a":1e999}}`, `settings: the number "a" is too large`},
		"path twice":       {head + `,"settings":{"a":1,"b":2,"\u0061":3}}`, `settings: "a" is given twice`},
		"field twice":      {head + `,"kind":"event"}`, "kind is given twice"},
		"sensitive a text": {head + `,"sensitive":"a"}`, "sensitive must be a list of paths, not a string"},
		"sensitive number": {head + `,"sensitive":[1]}`, "each path in sensitive must be a string, not a number"},
		"unknown known":    {head + `,"settings":{"a":1},"unknown":["a"]}`, `unknown: "a" has a value in settings`},
		"no metrics":       {`{"kind":"metric","time":"2026-03-01T00:00:00Z","resource":"r"}`, "a metric observation without metrics"},
		"metric a text":    {`{"metrics":{"cpu":"0.3"}}`, `metrics: "cpu" must be a number, not a string`},
		"metric twice":     {`{"metrics":{"cpu":1,"cpu":1}}`, `metrics: "cpu" is given twice`},
		"metric huge":      {`{"metrics":{"cpu":1e999}}`, `metrics: the number "cpu" is too large`},
		"worse a text":     {`{"metrics":{"cpu":1},"worse":"up"}`, "worse must be an object, not a string"},
		"worse a number":   {`{"metrics":{"cpu":1},"worse":{"cpu":1}}`, `worse: "cpu" must be a string, not a number`},
		"worse sideways":   {`{"metrics":{"cpu":1},"worse":{"cpu":"left"}}`, `worse: "cpu": "left" is none of up, down, either`},
		"worse twice":      {`{"metrics":{"cpu":1},"worse":{"cpu":"up","cpu":"up"}}`, `worse: "cpu" is given twice`},
		"worse of none":    {`{"metrics":{"cpu":1},"worse":{"memory":"up"}}`, `worse: "memory" is not in metrics`},
		"not checked":      {head + `,"not_checked":"x"}`, "only a snapshot without settings can be not checked"},
		"deep":             {head + `,"x":` + strings.Repeat("[", 20000), "nested more than 10000 deep"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obs, bad := decodeAll(t, strings.NewReader(designExample+tt.line+"\n"+designExample), "")
			if len(obs) != 8 || len(bad) != 1 {
				t.Fatalf("got %d observations and %d bad lines, want 8 and 1", len(obs), len(bad))
			}
			if bad[0].Line != 5 || !strings.Contains(bad[0].Reason, tt.reason) {
				t.Errorf("line %d: %q, want line 5: %q", bad[0].Line, bad[0].Reason, tt.reason)
			}
		})
	}
}

func TestDecodeLongLine(t *testing.T) {
	t.Parallel()
	padded := func(n int) string { return head + `,"message":"` + strings.Repeat("x", n-len(head)-14) + `"}` }
	for name, tt := range map[string]struct {
		line string
		obs  int
	}{
		"as long as can be": {padded(MaxLine), 3},
		"one byte more":     {padded(MaxLine + 1), 2},
		"three times":       {padded(3 * MaxLine), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obs, bad := decodeAll(t, strings.NewReader(head+"}\n"+tt.line+"\n"+head+"}"), "")
			if len(obs) != tt.obs || len(obs)+len(bad) != 3 {
				t.Fatalf("got %d observations and %d bad lines, want %d of 3", len(obs), len(bad), tt.obs)
			}
			for _, b := range bad {
				if b.Line != 2 || b.Reason != "longer than 16 MiB" || len(b.Text) > MaxText {
					t.Errorf("line %d: %s (%d bytes kept)", b.Line, b.Reason, len(b.Text))
				}
			}
		})
	}
}

func TestDecodeFailures(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(strings.Repeat(designExample, 100)))
	_ = z.Close()
	flipped := bytes.Clone(zipped.Bytes())
	flipped[len(flipped)/2] ^= 0xff
	for name, tt := range map[string]struct {
		r    io.Reader
		want penumbra.ErrorKind
	}{
		"gzip cut short": {bytes.NewReader(zipped.Bytes()[:zipped.Len()-9]), penumbra.Damaged},
		"gzip header":    {strings.NewReader("\x1f\x8bx"), penumbra.Damaged},
		"gzip damaged":   {bytes.NewReader(flipped), penumbra.Damaged},
		"reader failed":  {io.MultiReader(strings.NewReader(designExample+`{"kind`), iotest.ErrReader(io.ErrUnexpectedEOF)), penumbra.Unavailable},
	} {
		d := NewDecoder(tt.r, "shop.jsonl")
		var err error
		for err == nil || errors.As(err, new(*LineError)) {
			_, err = d.Next()
		}
		if err == io.EOF || penumbra.KindOf(err) != tt.want || !strings.Contains(err.Error(), "shop.jsonl") {
			t.Errorf("%s: %v (%v), want kind %v", name, err, penumbra.KindOf(err), tt.want)
		}
		if _, again := d.Next(); again != err {
			t.Errorf("%s: then %v", name, again)
		}
	}
}

func TestBadLineShowsNoSecret(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		`{"kind":"event","settings":{"db":"hunter2 and more"},"sensitive":["db"]`,
		`{"sensitive":["pin"],"settings":{"pin":  hunter2}`,
		`{"settings":{"db.password":"correct hunter2"},`,
		`{"settings":{"db.password":"it is \"hunter2`,
		`{"settings":{"url":"postgres://me:hunter2@db/x"}`,
	} {
		_, bad := decodeAll(t, strings.NewReader(line), "")
		if len(bad) != 1 || strings.Contains(bad[0].Text+bad[0].Reason, "hunter2") {
			t.Errorf("%s is kept as %v", line, bad)
		}
	}
}

// TestDecodeData reads real timelines all the way, where they are to be had.
func TestDecodeData(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("PENUMBRA_DATA")
	if folder == "" {
		t.Skip("PENUMBRA_DATA names no folder of timelines")
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.timeline.jsonl.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no timelines in %s: %v", folder, err)
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		obs, bad := decodeAll(t, f, "")
		_ = f.Close()
		for _, b := range bad {
			t.Errorf("%s: %v", filepath.Base(file), b)
		}
		resources := make(map[penumbra.Address]*penumbra.Resource)
		ordered := Order(obs)
		for i := range ordered {
			o := &ordered[i]
			if resources[o.Resource] == nil {
				resources[o.Resource] = new(penumbra.Resource)
			}
			Fold(resources[o.Resource], o)
		}
		t.Logf("%s: %d observations, %d repeats, %d resources", filepath.Base(file), len(obs), len(obs)-len(ordered), len(resources))
	}
}

// reference reads a line with encoding/json, as the scanner must. Members are
// looked at one by one so that a repeated one shows.
func reference(data []byte) (members map[string]json.RawMessage, twice map[string]bool, ok bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') || !json.Valid(data) {
		return nil, nil, false
	}
	members, twice = make(map[string]json.RawMessage), make(map[string]bool)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, nil, false
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, nil, false
		}
		name := key.(string)
		_, twice[name] = members[name]
		members[name] = raw
	}
	return members, twice, true
}

func FuzzDecoder(f *testing.F) {
	for line := range strings.Lines(designExample) {
		f.Add([]byte(line))
	}
	f.Add([]byte(head + `,"settings":{"a\u002eb":"\ud83d\ude00\ud83d","n":-0.5e+3,"t":true},"sensitive":["a"],"unknown":["z"]}`))
	f.Add([]byte(head + `,"applied":{"a":null},"x":[{},[],"",1,false],"x":2,"seen":"2026-03-01T00:00:00.5+01:00"}`))
	f.Add([]byte(head + `,"settings":{"a":1,"a":2}} `))
	f.Add([]byte("\ufeff\n{}\x00"))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		// The whole decoder never fails but by a line.
		for d := NewDecoder(bytes.NewReader(data), "fuzz"); ; {
			o, err := d.Next()
			if err != nil && !errors.As(err, new(*LineError)) {
				break
			}
			if err == nil && o.Check() != nil {
				t.Fatalf("returned an observation that %v", o.Check())
			}
		}
		if !utf8.Valid(data) {
			return
		}
		compareWithReference(t, data)
	})
}

func compareWithReference(t *testing.T, data []byte) {
	members, twice, valid := reference(data)
	var p parser
	got, err := p.parse(data)
	if err == nil && !valid {
		t.Fatalf("accepts what is not JSON: %s", data)
	}
	if err != nil && valid && strings.HasPrefix(err.Error(), "not JSON") {
		t.Fatalf("refuses JSON: %v: %s", err, data)
	}
	if err != nil {
		return
	}
	for _, name := range fields {
		if twice[name] {
			t.Fatalf("accepts %s twice: %s", name, data)
		}
	}
	for name, text := range map[string]string{
		"resource": string(got.Resource), "type": got.Type, "source": got.Source, "id": got.ID,
		"actor": got.Actor, "action": got.Action, "message": got.Message, "not_checked": got.NotChecked,
	} {
		var want string
		if raw, given := members[name]; given {
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatalf("accepts %s %s", name, raw)
			}
		}
		if text != want {
			t.Fatalf("%s is %q, want %q", name, text, want)
		}
	}
	var settings map[string]penumbra.Value
	if raw, given := members["settings"]; given {
		if err := json.Unmarshal(raw, &settings); err != nil {
			t.Fatalf("accepts settings %s: %v", raw, err)
		}
	}
	for path, want := range settings {
		x, found := got.Settings.Find(path)
		if !found || x.Value.Kind() != penumbra.UnknownKind && x.Value.Text() != want.Text() {
			t.Fatalf("setting %q is %v, want %v", path, x.Value, want)
		}
	}
}

func benchmarkLines(b *testing.B, lines []byte) {
	n := bytes.Count(lines, []byte("\n"))
	b.SetBytes(int64(len(lines)))
	b.ReportAllocs()
	for b.Loop() {
		d := NewDecoder(bytes.NewReader(lines), "bench")
		for {
			if _, err := d.Next(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

// manyLines returns n snapshots of 15 settings each, of 100 resources.
func manyLines(n int) []byte {
	var out bytes.Buffer
	for i := range n {
		fmt.Fprintf(&out, `{"kind":"snapshot","time":"2026-03-01T%02d:%02d:%02dZ","resource":"shop/aws_instance.web[%d]","type":"aws_instance","source":"tofu","full":true,"settings":{`, i/3600%24, i/60%60, i%60, i%100)
		for k := range 15 {
			if k > 0 {
				out.WriteByte(',')
			}
			fmt.Fprintf(&out, `"block.%02d.name":"value-%d"`, k, (i+k)%40)
		}
		out.WriteString("}}\n")
	}
	return out.Bytes()
}

func BenchmarkDecodeEvents(b *testing.B) {
	benchmarkLines(b, bytes.Repeat([]byte(designExample), 2000))
}

func BenchmarkDecodeSnapshots(b *testing.B) { benchmarkLines(b, manyLines(2000)) }
