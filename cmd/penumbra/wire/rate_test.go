package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra/adapter/cloudtrail"
)

// rateLines is how many lines each kind of log has in BenchmarkRate.
const rateLines = 40_000

// rateKind makes line i of a log about a target, that changes it or only reads.
type rateKind struct {
	kind, known, other string
	line               func(i int, target string, read bool) string
	reads              bool // there are lines that only read
}

func moment(i int) time.Time {
	return time.Now().UTC().Add(time.Duration(i-rateLines) * time.Millisecond)
}

var rateKinds = []rateKind{
	{"json", "/etc/web/web.conf", "/etc/other.conf", func(i int, target string, _ bool) string {
		return fmt.Sprintf(`{"time":%q,"user":"alice","action":"edit","target":%q,"message":"edit number %d of the file, as agreed","host":"web1","session":%d}`, moment(i).Format(time.RFC3339Nano), target, i, i%97)
	}, false},
	{"syslog", "/etc/web/web.conf", "/etc/other.conf", func(i int, target string, _ bool) string {
		return fmt.Sprintf(`%s web1 sudo[%d]:    alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/vim %s`, moment(i).Format("2006-01-02T15:04:05.000000Z07:00"), i, target)
	}, false},
	{"text", "", "", func(i int, _ string, _ bool) string {
		return fmt.Sprintf(`%s WARN worker %d of pool orders waited %d ms for a connection`, moment(i).Format("2006-01-02 15:04:05,000"), i%64, i)
	}, false},
	{"postgresql", "", "", func(i int, _ string, read bool) string {
		head := fmt.Sprintf(`{"timestamp":"%s","user":"alice","dbname":"shop","pid":%d,"remote_host":"[local]","session_id":"%08x.1","line_num":%d,"error_severity":"LOG"`, moment(i).Format("2006-01-02 15:04:05.000 UTC"), i%50, i%50, i)
		if read {
			return head + `,"message":"connection authorized: user=alice database=shop application_name=psql","backend_type":"client backend"}`
		}
		return head + fmt.Sprintf(`,"ps":"idle","message":"statement: alter system set work_mem = '%dkB'","application_name":"psql","backend_type":"client backend"}`, 64+i)
	}, true},
	{"kubernetes", "web", "other", func(i int, target string, read bool) string {
		verb, object := "patch", `,"requestObject":{"spec":{"replicas":`+fmt.Sprint(i%9)+`}}`
		if read {
			verb, object = "get", ""
		}
		return fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"%036d","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/shop/deployments/%s","verb":%q,"user":{"username":"alice@example.com","groups":["system:authenticated"]},"sourceIPs":["10.0.0.7"],"userAgent":"kubectl/v1.31.0","objectRef":{"resource":"deployments","namespace":"shop","name":%q,"apiGroup":"apps","apiVersion":"v1"},"responseStatus":{"code":200}%s,"requestReceivedTimestamp":%q,"stageTimestamp":%q}`,
			i, target, verb, target, object, moment(i).Format("2006-01-02T15:04:05.000000Z"), moment(i).Format("2006-01-02T15:04:05.000000Z"))
	}, true},
	{"auditd", "/etc/web/web.conf", "/etc/other.conf", func(i int, target string, read bool) string {
		event := i / 4
		at := fmt.Sprintf("msg=audit(%d.%03d:%d):", moment(0).Unix()+int64(event/1000), event%1000, event)
		flags, name := "241", "CREATE"
		if read {
			flags, name = "0", "NORMAL"
		}
		switch i % 4 {
		case 0:
			return `type=SYSCALL ` + at + ` arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c a1=55e430aa42f0 a2=` + flags + ` a3=1b6 items=1 ppid=6199 pid=6219 auid=1501 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=5 comm="vim" exe="/usr/bin/vim" key="web-conf"`
		case 1:
			return `type=CWD ` + at + ` cwd="/root"`
		case 2:
			return `type=PATH ` + at + ` item=0 name="` + target + `" inode=1077 dev=08:01 mode=0100644 ouid=0 ogid=0 rdev=00:00 nametype=` + name
		default:
			return `type=EOE ` + at
		}
	}, true},
}

// BenchmarkRate holds what a daemon makes of the lines of a log file, from the
// file to what is durable, against the parser alone, both in one run:
//
//	go test -run '^$' -bench Rate -benchtime 1x ./cmd/penumbra
//
// The processor's time is that of the whole process while lines come in: from the
// start of the input until nearly all are durable.
func BenchmarkRate(b *testing.B) {
	for _, k := range rateKinds {
		mixes := []string{"mapped", "unmapped"}
		switch {
		case k.kind == "text":
			mixes = []string{"unmapped"}
		case k.reads:
			mixes = append(mixes, "read only")
		}
		for _, mix := range mixes {
			b.Run(k.kind+"/"+mix, func(b *testing.B) {
				target := k.known
				if mix == "unmapped" {
					target = k.other
				}
				var text strings.Builder
				for i := range rateLines {
					text.WriteString(k.line(i, target, mix == "read only") + "\n")
				}
				in := inputConfig{Name: "log", Kind: k.kind}
				if k.kind == "postgresql" && mix != "unmapped" {
					in.Resource = "site/db1/postgresql"
				}
				measureRate(b, in, "app.log", []byte(text.String()), parseLines)
			})
		}
	}
	for _, mix := range []string{"mapped", "unmapped", "read only"} {
		b.Run("cloudtrail/"+mix, func(b *testing.B) {
			var buf bytes.Buffer
			z := gzip.NewWriter(&buf)
			fmt.Fprint(z, `{"Records":[`)
			for i := range rateLines {
				if i > 0 {
					fmt.Fprint(z, ",")
				}
				fmt.Fprint(z, trailEvent(i, mix))
			}
			fmt.Fprint(z, "]}")
			if err := z.Close(); err != nil {
				b.Fatal(err)
			}
			measureRate(b, inputConfig{Name: "log", Kind: "cloudtrail"}, "trail.json.gz", buf.Bytes(), decodeEvents)
		})
	}
}

func trailEvent(i int, mix string) string {
	name, read, db := "ModifyDBInstance", false, "orders"
	switch mix {
	case "unmapped":
		db = "others"
	case "read only":
		name, read = "DescribeDBInstances", true
	}
	return fmt.Sprintf(`{"eventVersion":"1.09","userIdentity":{"type":"AssumedRole","principalId":"AROA:alice@example.com","arn":"arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/alice@example.com","accountId":"123456789012","sessionContext":{"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef","userName":"AWSReservedSSO_Admin_0123456789abcdef"},"attributes":{"mfaAuthenticated":"false"}}},"eventTime":%q,"eventSource":"rds.amazonaws.com","eventName":%q,"awsRegion":"eu-central-1","sourceIPAddress":"10.0.0.7","userAgent":"console.amazonaws.com","requestParameters":{"dBInstanceIdentifier":%q,"dBInstanceClass":"db.t3.medium","applyImmediately":true},"responseElements":null,"requestID":"r-%d","eventID":"%036d","readOnly":%t,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"123456789012","eventCategory":"Management"}`,
		moment(i).Format(time.RFC3339), name, db, i, i, read)
}

// parseLines returns how many records a parser makes of a log. What it holds
// back at the end comes out as well.
func parseLines(in inputConfig, data []byte) (records int, err error) {
	p, _, err := in.parser([]byte("a key of the tests only"), time.Now)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		found, err := p.Parse(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			return records, err
		}
		records += len(found)
	}
	if f, ok := p.(flusher); ok {
		records += len(f.Flush(time.Now().Add(time.Hour)))
	}
	return records, nil
}

func decodeEvents(_ inputConfig, data []byte) (records int, err error) {
	d := cloudtrail.NewDecoder(bytes.NewReader(data), []byte("a key of the tests only"), "log")
	for {
		if _, err := d.Next(); errors.Is(err, io.EOF) {
			return records, nil
		} else if err != nil {
			return records, err
		}
		records++
	}
}

// heldBack is how many records a parser may hold back at the end of a log: they
// come after a wait that is not to be measured.
const heldBack = 64

func measureRate(b *testing.B, in inputConfig, name string, data []byte, parse func(inputConfig, []byte) (int, error)) {
	var parser, whole, parserCPU, wholeCPU time.Duration
	var lines int
	for b.Loop() {
		started, cpu := time.Now(), processor(b)
		records, err := parse(in, data)
		if err != nil {
			b.Fatal(err)
		}
		parser += time.Since(started)
		parserCPU += processor(b) - cpu
		took, cpu, taken := ingested(b, in, name, data, records)
		whole += took
		wholeCPU += cpu
		lines += taken * rateLines / records
	}
	b.ReportMetric(float64(rateLines*b.N)/parser.Seconds(), "parser-lines/s")
	b.ReportMetric(float64(lines)/whole.Seconds(), "lines/s")
	b.ReportMetric(float64(rateLines*b.N)/parserCPU.Seconds(), "parser-lines/cpu-s")
	b.ReportMetric(float64(lines)/wholeCPU.Seconds(), "lines/cpu-s")
	b.ReportMetric(0, "ns/op")
}

// processor is the time that this process has had of the processors: what else
// the machine does is not in it.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ingested lets an input of a daemon read a file and returns how long it took
// until nearly all records were durable, by the clock and of the processors, and
// how many were.
func ingested(b *testing.B, in inputConfig, name string, data []byte, records int) (took, cpu time.Duration, taken int) {
	dir := b.TempDir()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
	old := time.Now().Add(-time.Minute) // it is complete
	if err := os.Chtimes(path, old, old); err != nil {
		b.Fatal(err)
	}
	in.Paths = []string{path}
	c, err := LoadConfig("")
	if err != nil {
		b.Fatal(err)
	}
	c.Folder, c.Data, c.Inputs = dir, filepath.Join(dir, "data"), []inputConfig{in}
	loop, err := Open(b.Context(), c, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := loop.Close(context.WithoutCancel(b.Context())); err != nil {
			b.Error(err)
		}
	}()
	const known = `{"kind":"snapshot","time":"2026-03-01T00:00:00Z","resource":"site/service.web","type":"service","settings":{"path":"/etc/web/web.conf","workers":4},"full":true}
{"kind":"snapshot","time":"2026-03-01T00:00:00Z","resource":"site/db1/postgresql","type":"postgresql","settings":{"work_mem":"4MB"},"full":true}
{"kind":"snapshot","time":"2026-03-01T00:00:00Z","resource":"site/kubernetes_deployment.web","type":"kubernetes_deployment","settings":{"metadata.0.name":"web","metadata.0.namespace":"shop","spec.0.replicas":3},"full":true}
{"kind":"snapshot","time":"2026-03-01T00:00:00Z","resource":"site/aws_db_instance.orders","type":"aws_db_instance","settings":{"identifier":"orders","instance_class":"db.t3.small"},"full":true}
`
	if _, err := loop.Engine.Ingest(b.Context(), strings.NewReader(known), "test"); err != nil {
		b.Fatal(err)
	}
	input, err := newInput(c, in, []byte("a key of the tests only"), Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	runtime.GC() // what opening left behind is not to be measured
	started, before := time.Now(), processor(b)
	ended := make(chan error, 1)
	go func() { ended <- input.Run(ctx, loop.Engine.Feed(in.Name)) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			b.Fatalf("the input ended: %v", err)
		case <-tick.C:
		}
		status, err := loop.Engine.Inputs(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if got := int(status[0].Records); got >= records-heldBack {
			took, cpu = time.Since(started), processor(b)-before
			stop()
			<-ended
			return took, cpu, got
		}
	}
}
