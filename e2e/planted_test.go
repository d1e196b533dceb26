//go:build unix

package e2e

// This file plants a secret of its own in each kind of input of a real daemon, goes
// the whole way with it (drift, proposals, run, messages, exports, a trained
// version), and searches for it byte by byte, in each way that it could be
// written, in all that came out: the data directory, the log, pages, answers of the
// API, webhooks, exports, checkpoints.

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/snappy"

	"github.com/penumbra-iac/penumbra"
)

func TestPlantedSecretsAppearNowhere(t *testing.T) {
	s := newSite(t)
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is needed")
	}
	secrets := map[string]string{}
	plant := func(kind string) string {
		secrets[kind] = planted(kind)
		return secrets[kind]
	}
	// In text that has a form of its own the secret is written as that form wants it.
	asJSON := func(kind string) string {
		quoted, _ := json.Marshal(plant(kind))
		return strings.Trim(string(quoted), `"`)
	}
	asHCL := func(kind string) string { return plant(kind) }
	h := &haystack{data: map[string][]byte{}}

	// The template, in the state once it is applied: marked as sensitive, and not.
	s.edit("shop/main.tf", `tags = merge(local.tags, { tier = "web" })`, fmt.Sprintf(`tags = merge(local.tags, { tier = "web", note = "mark-template", db_password = %q })`, asHCL("template")))
	s.write("shop/planted.auto.tfvars", fmt.Sprintf("database_password = %q\n", asHCL("sensitive-variable")))
	s.tofu("apply", "-input=false", "-auto-approve")

	// Logs.
	if err := os.MkdirAll(s.path("logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	log := func(name, text string) { s.write("logs/"+name, text+"\n") }
	log("app.json", `{"time":"2026-03-01T09:00:00Z","user":"alice","action":"edit","target":"web-a","message":"mark-json login with password=`+asJSON("json-message")+`","settings":{"api_token":"`+asJSON("json-setting")+`"},"headers":{"Authorization":"Bearer `+asJSON("json-header")+`"},"extra":"postgres://app:`+url.QueryEscape(plant("json-url"))+`@db/shop"}
{"time":"2026-03-01T09:00:01Z","broken":"password=`+asJSON("json-broken")+`"`)
	log("free.txt", "2026-03-01T09:00:00Z worker[7]: mark-text connecting with --password "+plant("text")+" to db\n2026-03-01T09:00:01Z worker: X-Api-Key: "+plant("text-header")+"\nno time password="+plant("text-broken"))
	log("sys.log", "<86>1 2026-03-01T09:00:00Z web1 sudo 12 - - alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/mysql --password="+strings.NewReplacer("&", "", "<", "", "'", "").Replace(plant("syslog-sudo"))+"\n"+
		`<14>1 2026-03-01T09:00:01Z web1 app 12 - [auth@1 token="`+plant("syslog-data")+`"] mark-syslog secret: `+plant("syslog-message"))
	secrets["syslog-sudo"] = strings.NewReplacer("&", "", "<", "", "'", "").Replace(secrets["syslog-sudo"])
	log("pg.json", `{"timestamp":"2026-03-01 09:00:00.000 UTC","user":"mark-postgres","dbname":"shop","pid":7,"session_id":"a.7","line_num":1,"error_severity":"LOG","backend_type":"client backend","message":"statement: ALTER ROLE app PASSWORD '`+strings.ReplaceAll(asJSON("postgres-sql"), "'", "''")+`'"}
{"timestamp":"2026-03-01 09:00:01.000 UTC","user":"alice","dbname":"shop","pid":7,"session_id":"a.7","line_num":2,"error_severity":"LOG","backend_type":"client backend","message":"statement: ALTER SYSTEM SET primary_conninfo = 'host=a password=`+strings.ReplaceAll(asJSON("postgres-setting"), "'", "")+`'"}`)
	secrets["postgres-setting"] = strings.ReplaceAll(secrets["postgres-setting"], "'", "")
	log("audit.log", `type=SYSCALL msg=audit(1795606875.569:81): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=0 items=1 ppid=1 pid=2 auid=1501 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=5 comm="mysql" exe="/usr/bin/mysql" key="web"
type=EXECVE msg=audit(1795606875.569:81): argc=2 a0="mysql" a1="--password=`+plant("auditd")+`"
type=PROCTITLE msg=audit(1795606875.569:81): proctitle=`+strings.ToUpper(hex.EncodeToString([]byte("mysql\x00--password="+plant("auditd-title")))))
	log("kube.json", `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"a-1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/secrets/db","verb":"update","user":{"username":"alice"},"objectRef":{"resource":"secrets","namespace":"shop","name":"db","apiVersion":"v1"},"responseStatus":{"code":200},"requestObject":{"kind":"Secret","apiVersion":"v1","metadata":{"name":"db","annotations":{"note":"token=`+asJSON("kubernetes-note")+`"}},"stringData":{"x":"`+asJSON("kubernetes-secret")+`"}},"requestReceivedTimestamp":"2026-03-01T09:00:00.000000Z","stageTimestamp":"2026-03-01T09:00:00.000000Z"}
{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"a-2","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/shop/deployments/web","verb":"update","user":{"username":"alice"},"objectRef":{"resource":"deployments","namespace":"shop","name":"web","apiGroup":"apps","apiVersion":"v1"},"responseStatus":{"code":200},"requestObject":{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"web","labels":{"x":"mark-kubernetes"}},"spec":{"template":{"spec":{"containers":[{"name":"app","image":"x","env":[{"name":"DB_PASSWORD","value":"`+asJSON("kubernetes-env")+`"}]}]}}}},"requestReceivedTimestamp":"2026-03-01T09:00:00.000000Z","stageTimestamp":"2026-03-01T09:00:00.000000Z"}`)
	log("trail.json", `{"Records":[{"eventVersion":"1.09","userIdentity":{"type":"IAMUser","userName":"alice","accountId":"123456789012"},"eventTime":"2026-03-01T00:00:00Z","eventSource":"rds.amazonaws.com","eventName":"ModifyDBInstance","awsRegion":"eu-central-1","requestParameters":{"dBInstanceIdentifier":"mark-cloudtrail","masterUserPassword":"`+asJSON("cloudtrail")+`","tags":[{"key":"api_key","value":"`+asJSON("cloudtrail-tag")+`"}]},"eventID":"6f0a6f2e-1f4c-4a53-9d43-000000000001","readOnly":false,"recipientAccountId":"123456789012","errorMessage":"invalid password: `+asJSON("cloudtrail-error")+`"}]}`)

	// Where messages go to.
	told := make(chan struct{}, 100)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.add(fmt.Sprintf("webhook %p", r), append(body, fmt.Sprint(r.Header)...))
		told <- struct{}{}
	}))
	defer hook.Close()
	hookSecret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(plant("webhook-key")+"padding-to-24-bytes"))
	s.write("hook.url", hook.URL+"/in?token="+url.QueryEscape(plant("webhook-url")))

	s.write("penumbra.yaml", `schedule: {every: 1h, gap: 20ms, burst: 1000}
outbound: {allow: [127.0.0.1]}
stacks:
  - name: shop
    dir: shop
  - name: servers
    kind: servers
    servers:
      - {address: db1/postgresql, connection: "host=127.0.0.1 port=1 user=p dbname=x connect_timeout=1"}
inputs:
  - {name: app, kind: json, paths: [logs/app.json]}
  - {name: free, kind: text, paths: [logs/free.txt]}
  - {name: sys, kind: syslog, paths: [logs/sys.log]}
  - {name: pg, kind: postgresql, paths: [logs/pg.json], resource: servers/db1/postgresql}
  - {name: audit, kind: auditd, paths: [logs/audit.log]}
  - {name: kube, kind: kubernetes, paths: [logs/kube.json]}
  - {name: trail, kind: cloudtrail, paths: [logs/trail.json]}
  - {name: code, kind: git, repository: ., every: 1s}
  - {name: http, kind: json}
  - {name: otel, kind: otlp}
  - {name: prom, kind: remote-write}
metrics:
  - {from: latency, name: latency, worse: up, by: [request]}
notify:
  gather: 1s
  channels:
    - {name: ops, kind: webhook, url_file: hook.url, secret_env: HOOK_SECRET}
`)
	s = s.with("HOOK_SECRET="+hookSecret, "PGPASSWORD="+plant("environment-postgres"), "DATABASE_PASSWORD="+plant("environment"), "AWS_SECRET_ACCESS_KEY="+plant("environment-aws"))

	// The code's history, and where it came from.
	s.commit("Ada", "mark-git, with password="+plant("git-message"))
	s.edit("shop/variables.tf", `default     = "./etc"`, fmt.Sprintf(`default     = "./etc" # api_key = %q`, asHCL("git-comment")))
	s.run("git", s.root, nil, "remote", "add", "origin", "https://u:"+url.QueryEscape(plant("git-remote"))+"@127.0.0.1:1/x.git").ends(0)

	// What is refused is told without it.
	whole := s.read("penumbra.yaml")
	s.write("penumbra.yaml", whole+"  - {name: asked, kind: prometheus, url: \"http://u:"+url.QueryEscape(plant("prometheus-url"))+"@127.0.0.1:1\"}\n")
	refused := s.penumbra("status")
	h.add("a refused configuration", []byte(refused.out+refused.err))
	s.write("penumbra.yaml", whole)

	d := s.serve() // one of its sources cannot be read
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(d.log.String())
		}
	})
	s.until("the first look", func() bool { return s.penumbra("shadow", "show", webA).code == 0 })
	g := &gate{}
	g.open(d)
	send := func(input, body string) {
		t.Helper()
		status, answer := g.send(input, []byte(body))
		if status == 0 || status >= 500 {
			t.Fatalf("%s: %d %s", input, status, answer)
		}
		h.add("answer of "+input, answer)
	}
	send("http", `{"time":"2026-03-01T09:00:00Z","user":"alice","action":"edit","target":"web-a","message":"mark-http client_secret=`+asJSON("http-message")+`","password":"`+asJSON("http-field")+`"}`+"\n"+`{"bad":"token=`+asJSON("http-broken")+"\n")
	send("otel/v1/logs", `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"web"}},{"key":"db.password","value":{"stringValue":"`+asJSON("otlp-resource")+`"}}]},"scopeLogs":[{"logRecords":[{"timeUnixNano":"1772355600000000000","body":{"stringValue":"Authorization: Basic `+strings.ReplaceAll(asJSON("otlp-body"), `\u003c'`, "")+`"},"attributes":[{"key":"api_key","value":{"stringValue":"`+asJSON("otlp-attribute")+`"}}]}]}]}]}`)
	send("otel/v1/metrics", `{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"web"}}]},"scopeMetrics":[{"metrics":[{"name":"latency","gauge":{"dataPoints":[{"timeUnixNano":"1772355600000000000","asDouble":1,"attributes":[{"key":"token","value":{"stringValue":"`+asJSON("otlp-label")+`"}}]}]}}]}]}]}`)
	send("prom/write", string(snappy.Encode(nil, written("password="+plant("remote-write-label"), 1))))
	send("http", `not JSON at all, secret="`+plant("http-line")+`"`)
	s.run(program, s.root, strings.NewReader(`{"kind":"snapshot","time":"2026-03-01T00:00:00Z","resource":"site/service.web","type":"service","settings":{"note":"mark-snapshot","admin_password":"`+asJSON("snapshot")+`","command":"run --token `+asJSON("snapshot-argument")+`"},"full":true}
{"kind":"event","time":"2026-03-01T00:00:00Z","resource":"site/service.web","type":"service","actor":"a","message":"passphrase=`+asJSON("event-message")+`","settings":{"api.secret":"`+asJSON("event")+`"}}
{"kind":"snapshot","resource":"password=`+asJSON("timeline-broken")+`"
`), "ingest")

	// What somebody writes into the real thing, and a run that puts it back.
	s.edit("shop/etc/web-a.conf", "memory_mb = 1024", "memory_mb = 2048\nnote = mark-unmanaged\nsmtp_password = "+plant("unmanaged")+"\ncommand = run --token "+plant("unmanaged-argument")+"\ntag.api_key = "+plant("tag"))
	s.edit("shop/etc/database.conf", "admin_password = ", "admin_password = "+plant("actual")+" ")
	found := s.drift(webA, "memory_mb")
	other := s.drift("shop/conffile_service.database", "admin_password")
	<-told
	s.penumbra("proposals", found.ID)
	s.penumbra("drift", "ack", other.ID, "--reason", "token="+plant("reason-acknowledge"))
	s.penumbra("drift", "snooze", other.ID, "--for", "1h", "--reason", "password: "+plant("reason-snooze"))
	list := s.proposals(found.ID)
	s.penumbra("reject", list[len(list)-1].ID, "--reason", "api_key="+plant("reason-reject"))
	run := s.approve(s.proposal(found.ID, penumbra.Revert))
	s.penumbra("freeze", "--reason", "mark-reason secret="+plant("reason-freeze"))

	s.until("the logs are read", func() bool {
		var status []struct {
			Name  string
			Taken int64 `json:"taken"`
		}
		out := s.penumbra("inputs", "-o", "json")
		_ = json.Unmarshal([]byte(out.out), &status)
		return strings.Count(out.out, `"last_record"`) >= 7 || strings.Contains(s.penumbra("unmapped", "-o", "json").out, "trail")
	})

	// Everything that comes out.
	h.crawl(t, d)
	h.answers(t, d, "/v1/drifts/"+found.ID, "/v1/drifts/"+found.ID+"/proposals", "/v1/drifts/"+other.ID+"/proposals", "/v1/runs/"+run.ID,
		"/v1/shadow?address="+url.QueryEscape(webA), "/v1/shadow?address="+url.QueryEscape("shop/conffile_service.database"), "/v1/shadow?address="+url.QueryEscape("site/service.web"))
	for _, args := range [][]string{
		{"status", "--resources"}, {"drift", "list"}, {"drift", "show", found.ID}, {"drift", "show", other.ID}, {"proposals", found.ID}, {"proposals", other.ID}, {"run", "show", run.ID},
		{"shadow", "show", webA}, {"shadow", "show", "site/service.web"}, {"explain", webA, "memory_mb"}, {"inputs"}, {"unmapped"}, {"unmapped", "-o", "json"}, {"export"}, {"audit", "export"}, {"audit", "list"},
		{"decisions"}, {"decisions", "-o", "json"}, {"notify", "list"}, {"notify", "list", "-o", "json"}, {"notify", "channels"}, {"freeze", "list"}, {"model"}, {"mine", "."}, {"check", "shop"}, {"check", "shop", "-o", "json"}, {"check", "shop", "-o", "sarif"},
	} {
		r := s.penumbra(args...)
		h.add("penumbra "+strings.Join(args, " "), []byte(r.out+r.err))
	}
	exported := s.penumbra("export").ends(0).out
	if !strings.Contains(exported, "hmac-sha256:") {
		t.Error("the export has no sealed value: what was planted did not get this far")
	}
	s.write("timeline.jsonl", exported)
	for _, args := range [][]string{{"train", "--file", "version.bin"}, {"backtest", "timeline.jsonl", "--model", "pooled"}} {
		r := s.penumbra(args...)
		h.add("penumbra "+strings.Join(args, " "), []byte(r.out+r.err))
	}
	if data, err := os.ReadFile(s.path("version.bin")); err == nil {
		h.add("version.bin", data)
	}
	h.folder(t, s.path(".penumbra")) // while it works
	d.stop(syscall.SIGTERM)
	h.add("the daemon's log", []byte(d.log.String()))
	h.folder(t, s.path(".penumbra")) // with the checkpoints that a stop writes

	// What was beside them is there: they came as far as anything does.
	for _, mark := range []string{"template", "json", "text", "syslog", "http", "snapshot", "unmanaged", "reason", "postgres", "cloudtrail", "kubernetes", "git"} {
		h.has(t, "mark-"+mark)
	}
	h.hidden(t, secrets, 45)
}
