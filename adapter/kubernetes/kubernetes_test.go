package kubernetes

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

var testKey = penumbra.Key("a key for tests")

// anEvent returns an event of a deployment with what a test changes.
func anEvent(verb, user, more string) string {
	if !strings.Contains(more, `"objectRef"`) {
		more = deployment + more
	}
	return fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"5b3b4a4e-0000-4000-8000-000000000001","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/shop/deployments/api?fieldManager=kubectl-edit","verb":%q,"user":%s,"sourceIPs":["203.0.113.7"],"userAgent":"kubectl/v1.29.1 (linux/amd64) kubernetes/bc401b9","responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-03-01T09:12:44.123456Z","stageTimestamp":"2026-03-01T09:12:44.133456Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""}%s}`, verb, user, more)
}

const deployment = `,"objectRef":{"resource":"deployments","namespace":"shop","name":"api","uid":"0d7b6a2c-0000-4000-8000-000000000002","apiGroup":"apps","apiVersion":"v1"}`

const alice = `{"username":"alice@example.com","uid":"1","groups":["team-pay","system:authenticated"]}`

func one(t *testing.T, line string) penumbra.Record {
	t.Helper()
	records, err := New(testKey, "cluster").Parse([]byte(line))
	if err != nil || len(records) != 1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	if err := records[0].Check(); err != nil {
		t.Fatal(err)
	}
	return records[0]
}

func TestRecord(t *testing.T) {
	t.Parallel()
	got := one(t, anEvent("patch", alice, `,"requestObject":{"spec":{"replicas":5}}`))
	want := penumbra.Record{
		Time: time.Date(2026, 3, 1, 9, 12, 44, 123456000, time.UTC), Format: "kubernetes", Input: "cluster", ID: "5b3b4a4e-0000-4000-8000-000000000001",
		Actor: "alice@example.com", ActorKind: penumbra.User, Via: "kubectl-edit", Action: "patch", Type: "k8s:Deployment",
		Targets:  []string{"apps/v1/Deployment/shop/api", "Deployment/api@shop", "shop/api", "deployments/api", "0d7b6a2c-0000-4000-8000-000000000002"},
		Settings: penumbra.NewSettings(penumbra.Setting{Path: "spec.replicas", Value: penumbra.Number(5)}),
		Attributes: map[string]string{
			"level": "Request", "user_agent": "kubectl/v1.29.1 (linux/amd64) kubernetes/bc401b9", "field_manager": "kubectl-edit",
			"source_ip": "203.0.113.7", "actor_reason": "a user", "decision": "allow", "resource": "deployments", "namespace": "shop",
		},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b penumbra.Value) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestActor(t *testing.T) {
	t.Parallel()
	const u, a, s, x = penumbra.User, penumbra.Automation, penumbra.System, penumbra.UnknownActor
	named := func(name string) string { return fmt.Sprintf(`{"username":%q}`, name) }
	tests := []struct {
		name, user, more string
		actor            string
		kind             penumbra.ActorKind
		via              string
	}{
		{"a person", alice, ``, "alice@example.com", u, "kubectl-edit"},
		{"a service account", named("system:serviceaccount:argocd:argocd-application-controller"), ``, "argocd/argocd-application-controller", a, "kubectl-edit"},
		{"an autoscaler", named("system:serviceaccount:kube-system:horizontal-pod-autoscaler"), ``, "kube-system/horizontal-pod-autoscaler", a, "kubectl-edit"},
		{"a node", named("system:node:worker-1"), ``, "system:node:worker-1", s, "kubectl-edit"},
		{"the scheduler", named("system:kube-scheduler"), ``, "system:kube-scheduler", s, "kubectl-edit"},
		{"nobody", named("system:anonymous"), ``, "system:anonymous", x, "kubectl-edit"},
		{"a shared administrator", named("system:admin"), ``, "system:admin", x, "kubectl-edit"},
		{"a proxy for a person", named("system:serviceaccount:cattle:rancher"), `,"impersonatedUser":` + alice, "alice@example.com", u, "cattle/rancher, kubectl-edit"},
		{"a person as somebody else", alice, `,"impersonatedUser":` + named("system:serviceaccount:shop:deploy"), "alice@example.com", u, "as shop/deploy, kubectl-edit"},
		{"no field manager", alice, `,"requestURI":"/apis/apps/v1/namespaces/shop/deployments/api"`, "alice@example.com", u, "kubectl"},
		{"a controller with a user's name", named("gitops"), `,"userAgent":"argocd-application-controller/v2.9"`, "gitops", a, "kubectl-edit"},
		{"EKS, single sign-on", named("arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Ops_0123456789abcdef/bob"), ``, "bob", u, "AWSReservedSSO_Ops_0123456789abcdef, kubectl-edit"},
		{"EKS, a mapped name", `{"username":"admin","extra":{"arn":["arn:aws:sts::123456789012:assumed-role/ops/carol@example.com"]}}`, ``, "carol@example.com", u, "ops, kubectl-edit"},
		{"EKS, a role of a program", `{"username":"ci","extra":{"arn":["arn:aws:sts::123456789012:assumed-role/ci/run-1"]}}`, ``, "run-1", x, "ci, kubectl-edit"},
		{"no user", `{}`, ``, "", x, "kubectl-edit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := one(t, anEvent("update", tt.user, tt.more))
			if got.Actor != tt.actor || got.ActorKind != tt.kind || got.Via != tt.via {
				t.Errorf("got %q, %s, via %q; want %q, %s, via %q", got.Actor, got.ActorKind, got.Via, tt.actor, tt.kind, tt.via)
			}
		})
	}
}

// texts writes settings as a test reads them.
func texts(s penumbra.Settings) map[string]string {
	out := make(map[string]string, len(s))
	for _, x := range s {
		out[x.Path] = x.Value.String()
	}
	return out
}

func TestSettings(t *testing.T) {
	t.Parallel()
	const secretRef = `,"objectRef":{"resource":"secrets","namespace":"shop","name":"db","apiVersion":"v1"}`
	tests := []struct {
		name, verb, more string
		want             map[string]string
	}{
		{
			"merge patch", "patch", `,"requestObject":{"spec":{"replicas":5,"paused":null,"template":{"metadata":{"annotations":{"a/b":"c"}}}}}`,
			map[string]string{"spec.replicas": "5", "spec.paused": "(absent)", "spec.template.metadata.annotations.a/b": `"c"`},
		},
		{
			"strategic merge patch", "patch", `,"requestObject":{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"api"}],"containers":[{"name":"api","image":"api:2"},{"name":"old","$patch":"delete"}],"$deleteFromPrimitiveList/finalizers":["x"]}}}}`,
			map[string]string{
				"spec.template.spec.containers.api.name": `"api"`, "spec.template.spec.containers.api.image": `"api:2"`,
				"spec.template.spec.containers.old": "(absent)", "spec.template.spec.finalizers": "(known after apply)",
			},
		},
		{
			"JSON patch", "patch", `,"requestObject":[{"op":"test","path":"/spec/replicas","value":3},{"op":"replace","path":"/spec/replicas","value":5},{"op":"remove","path":"/metadata/labels/a~1b"},{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"-v"},{"op":"add","path":"/metadata/annotations","value":{"x":"y"}},{"op":"move","from":"/spec/a","path":"/spec/b"},{"op":"replace","path":"/spec/template/spec/containers/0/env/2/value","value":"hunter2"}]`,
			map[string]string{
				"spec.replicas": "5", "metadata.labels.a/b": "(absent)", "spec.template.spec.containers.0.args": "(known after apply)",
				"metadata.annotations.x": `"y"`, "spec.a": "(absent)", "spec.b": "(known after apply)", "spec.template.spec.containers.0.env.2.value": "(sensitive)",
			},
		},
		{
			"update", "update", `,"requestObject":{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"api","resourceVersion":"7","managedFields":[{"manager":"x"}],"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}},"spec":{"replicas":2,"template":{"spec":{"containers":[{"name":"api","args":["--password=hunter2","-v"],"env":[{"name":"DB_PASSWORD","value":"hunter2"},{"name":"MODE","value":"x"}]}]}}},"status":{"replicas":2}}`,
			map[string]string{
				"kind": `"Deployment"`, "apiVersion": `"apps/v1"`, "metadata.name": `"api"`, "spec.replicas": "2",
				"spec.template.spec.containers.api.name": `"api"`, "spec.template.spec.containers.api.args.0": "(sensitive)", "spec.template.spec.containers.api.args.1": `"-v"`,
				"spec.template.spec.containers.api.env.DB_PASSWORD.name": `"DB_PASSWORD"`, "spec.template.spec.containers.api.env.DB_PASSWORD.value": "(sensitive)",
				"spec.template.spec.containers.api.env.MODE.name": `"MODE"`, "spec.template.spec.containers.api.env.MODE.value": `"x"`,
			},
		},
		{
			"secret", "create", secretRef + `,"requestObject":{"kind":"Secret","apiVersion":"v1","metadata":{"name":"db","labels":{"a":"b"}},"type":"Opaque","data":{"host":"ZGI=","n":1},"stringData":{"user":"app"}}`,
			map[string]string{
				"kind": `"Secret"`, "apiVersion": `"v1"`, "metadata.name": `"db"`, "metadata.labels.a": `"b"`, "type": `"Opaque"`,
				"data.host": "(sensitive)", "data.n": "(sensitive)", "stringData.user": "(sensitive)",
			},
		},
		{"patch of a secret", "patch", secretRef + `,"requestObject":[{"op":"replace","path":"/data/host","value":"ZGI="}]`, map[string]string{"data.host": "(sensitive)"}},
		{"delete", "delete", `,"requestObject":{"kind":"DeleteOptions","propagationPolicy":"Background"}`, map[string]string{}},
		{"no object at this level", "patch", ``, map[string]string{}},
		{"reading", "get", `,"requestObject":{"a":"b"}`, map[string]string{}},
		{"scale", "patch", `,"objectRef":{"resource":"deployments","namespace":"shop","name":"api","apiGroup":"apps","apiVersion":"v1","subresource":"scale"},"requestObject":{"spec":{"replicas":9}}`, map[string]string{"spec.replicas": "9"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := one(t, anEvent(tt.verb, alice, tt.more))
			if diff := cmp.Diff(tt.want, texts(got.Settings)); diff != "" {
				t.Error(diff)
			}
			for _, s := range got.Settings {
				if strings.Contains(s.Value.Text(), "hunter2") {
					t.Errorf("%s holds a secret", s.Path)
				}
			}
		})
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, verb, more string
		action, typ      string
		want             []string
	}{
		{"subresource", "patch", `,"objectRef":{"resource":"deployments","namespace":"shop","name":"api","apiGroup":"apps","apiVersion":"v1","subresource":"scale"}`, "patch/scale", "k8s:Deployment", []string{"apps/v1/Deployment/shop/api", "Deployment/api@shop", "shop/api", "deployments/api"}},
		{"cluster-wide", "update", `,"objectRef":{"resource":"clusterroles","name":"ops","apiGroup":"rbac.authorization.k8s.io","apiVersion":"v1"}`, "update", "k8s:ClusterRole", []string{"rbac.authorization.k8s.io/v1/ClusterRole/ops", "ClusterRole/ops", "ops", "clusterroles/ops"}},
		{"a name that the server made up", "create", `,"objectRef":{"resource":"pods","namespace":"shop","apiVersion":"v1"},"responseObject":{"kind":"Pod","metadata":{"name":"api-x7","uid":"u-1"}}`, "create", "k8s:Pod", []string{"v1/Pod/shop/api-x7", "Pod/api-x7@shop", "shop/api-x7", "pods/api-x7", "u-1"}},
		{"a kind of one's own", "create", `,"objectRef":{"resource":"widgets","namespace":"shop","name":"w","apiGroup":"example.com","apiVersion":"v1"},"requestObject":{"kind":"Widget"}`, "create", "k8s:Widget", []string{"example.com/v1/Widget/shop/w", "Widget/w@shop", "shop/w", "widgets/w"}},
		{"a kind that is not told", "patch", `,"objectRef":{"resource":"widgets","namespace":"shop","name":"w","apiGroup":"example.com","apiVersion":"v1"}`, "patch", "", []string{"shop/w", "widgets/w"}},
		{"all of a kind", "deletecollection", `,"objectRef":{"resource":"pods","namespace":"shop","apiVersion":"v1"}`, "deletecollection", "k8s:Pod", []string{"shop/pods"}},
		{"no object", "get", `,"objectRef":null,"requestURI":"/healthz?verbose"`, "get", "", []string{"/healthz"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := one(t, anEvent(tt.verb, alice, tt.more))
			if diff := cmp.Diff(tt.want, got.Targets); diff != "" || got.Action != tt.action || got.Type != tt.typ {
				t.Errorf("%s, %s: %s", got.Action, got.Type, diff)
			}
		})
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	tests := []struct {
		verb, more string
		readOnly   bool
		failed     string
	}{
		{"list", ``, true, ""},
		{"watch", ``, true, ""},
		{"update", ``, false, ""},
		{"patch", `,"requestURI":"/apis/apps/v1/namespaces/shop/deployments/api?dryRun=All"`, true, ""},
		{"create", `,"objectRef":{"resource":"selfsubjectaccessreviews"}`, true, ""},
		{"create", `,"objectRef":{"resource":"serviceaccounts","subresource":"token","name":"x"}`, true, ""},
		{"update", `,"responseStatus":{"code":403,"reason":"Forbidden","message":"token=abcdef is not allowed"}`, false, "Forbidden"},
		{"update", `,"responseStatus":{"code":500}`, false, "500"},
	}
	for _, tt := range tests {
		got := one(t, anEvent(tt.verb, alice, tt.more))
		if got.ReadOnly != tt.readOnly || got.Failed != tt.failed || strings.Contains(got.Message, "abcdef") {
			t.Errorf("%s %s: read only %t, failed %q, message %q", tt.verb, tt.more, got.ReadOnly, got.Failed, got.Message)
		}
	}
	p := New(testKey, "cluster")
	for _, stage := range []string{"RequestReceived", "ResponseStarted", "Panic"} {
		records, err := p.Parse([]byte(strings.Replace(anEvent("update", alice, ""), "ResponseComplete", stage, 1)))
		if len(records) != 0 || err != nil {
			t.Errorf("%s: %d records, %v", stage, len(records), err)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	event := anEvent("update", alice, "")
	bare := strings.Replace(event, `"kind":"Event","apiVersion":"audit.k8s.io/v1",`, "", 1)
	list := `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[` + strings.Join([]string{
		bare, strings.Replace(bare, "ResponseComplete", "RequestReceived", 1), strings.Replace(bare, "2026-", "1970-", 1), `7`, bare,
	}, ",") + `]}`
	records, err := New(testKey, "webhook").Parse([]byte(list))
	if len(records) != 2 || penumbra.KindOf(err) != penumbra.Invalid {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, want := range []string{"item 2: ", "a wrong clock", "item 3: ", "webhook"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestBadLines(t *testing.T) {
	t.Parallel()
	good := anEvent("update", alice, "")
	tests := map[string]struct{ line, reason string }{
		"cut":           {good[:len(good)/2], "ends early"},
		"binary":        {"\x00\x01\xff\xfe", "not JSON at byte 1"},
		"text":          {"I0301 09:12:44.123456 1 main.go:1] hello", "not JSON"},
		"two values":    {good + good, "more than one JSON value"},
		"another kind":  {`{"kind":"Pod","apiVersion":"v1"}`, "no Event"},
		"another list":  {`{"kind":"List","items":[]}`, "no EventList"},
		"a type":        {strings.Replace(good, `"code":200`, `"code":"200"`, 1), "responseStatus.code is not of its type"},
		"no stage":      {strings.Replace(good, `"stage"`, `"s"`, 1), "stage is missing"},
		"no verb":       {strings.Replace(good, `"verb"`, `"v"`, 1), "verb is missing"},
		"no time":       {strings.Replace(strings.Replace(good, "requestReceivedTimestamp", "a", 1), "stageTimestamp", "b", 1), "is missing"},
		"wrong clock":   {strings.Replace(good, "2026-", "0001-", 1), "year 1: a wrong clock"},
		"a far future":  {strings.Replace(good, "2026-", "9998-", 1), "year 9998: a wrong clock"},
		"no clock":      {strings.Replace(good, "2026-", "soon-", 1), "is no time"},
		"a giant line":  {`{"a":"` + strings.Repeat("x", MaxLine) + `"}`, "longer than 16 MiB"},
		"deeply nested": {strings.Replace(good, `"responseStatus"`, `"requestObject":`+strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)+`,"responseStatus"`, 1), "not JSON"},
	}
	p := New(testKey, "cluster")
	for name, tt := range tests {
		records, err := p.Parse([]byte(tt.line))
		if len(records) != 0 || penumbra.KindOf(err) != penumbra.Invalid || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: %d records, %.200v; want %q", name, len(records), err, tt.reason)
		}
		if records, err := p.Parse([]byte(good)); err != nil || len(records) != 1 {
			t.Errorf("after %s: %v", name, err)
		}
	}
	if records, err := p.Parse([]byte(" \r\n")); err != nil || len(records) != 0 {
		t.Errorf("an empty line: %v", err)
	}
}

// FuzzParse reads any line, and holds that what is read can be used and is
// bounded, and that no data of a Secret comes out.
func FuzzParse(f *testing.F) {
	f.Add([]byte(anEvent("patch", alice, `,"requestObject":{"spec":{"a":null,"$setElementOrder/b":[1],"c":[{"name":"x","$patch":"delete"}]}}`)))
	f.Add([]byte(anEvent("patch", alice, `,"requestObject":[{"op":"move","from":"/a~1b","path":"/c/-"},{"op":"add","path":"","value":[[{}]]}]`)))
	f.Add([]byte(anEvent("create", alice, `,"objectRef":{"resource":"secrets"},"requestObject":{"data":{"a":"b"}}`)))
	f.Add([]byte(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{},null,[]]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if len(line) > 1<<16 {
			return
		}
		records, _ := New(testKey, "fuzz").Parse(line)
		for i := range records {
			r := &records[i]
			if err := r.Check(); err != nil {
				t.Fatal(err)
			}
			if len(r.Targets) > 8 || len(r.Settings) > maxSettings {
				t.Fatalf("%d targets, %d settings", len(r.Targets), len(r.Settings))
			}
			for j, s := range r.Settings {
				if j > 0 && s.Path <= r.Settings[j-1].Path {
					t.Fatalf("settings are not sorted: %q", s.Path)
				}
				if r.Attributes["resource"] == "secrets" && strings.HasPrefix(s.Path, "data.") && s.Value.Text() != "" && s.Value.Kind() != penumbra.SecretKind {
					t.Fatalf("%s is not sealed", s.Path)
				}
			}
		}
	})
}

// lines are made-up events: of ten, seven read or are of an early stage, two
// patch a deployment, one updates it whole.
func lines() [][]byte {
	whole := `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"api","namespace":"shop","labels":{"app":"api"}},"spec":{"replicas":3,"selector":{"matchLabels":{"app":"api"}},"template":{"metadata":{"labels":{"app":"api"}},"spec":{"containers":[{"name":"api","image":"api:2","resources":{"limits":{"cpu":"1","memory":"1Gi"}},"env":[{"name":"MODE","value":"x"}]}]}}}}`
	account := `{"username":"system:serviceaccount:kube-system:replicaset-controller","groups":["system:serviceaccounts","system:authenticated"]}`
	out := make([][]byte, 0, 10)
	for i := range 10 {
		var line string
		switch {
		case i < 4:
			line = anEvent("watch", account, "")
		case i < 7:
			line = strings.Replace(anEvent("patch", alice, `,"requestObject":{"spec":{"replicas":5}}`), "ResponseComplete", "RequestReceived", 1)
		case i < 9:
			line = anEvent("patch", alice, `,"requestObject":{"spec":{"replicas":5}}`)
		default:
			line = anEvent("update", account, `,"requestObject":`+whole)
		}
		out = append(out, []byte(line))
	}
	return out
}

// BenchmarkParse reads made-up events, one parser a core.
func BenchmarkParse(b *testing.B) {
	all := lines()
	b.ReportMetric(float64(len(bytes.Join(all, nil)))/float64(len(all)), "bytes/line")
	var read atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		p := New(testKey, "cluster")
		n := 0
		for ; pb.Next(); n++ {
			if _, err := p.Parse(all[n%len(all)]); err != nil {
				b.Error(err)
				return
			}
		}
		read.Add(int64(n))
	})
	b.ReportMetric(float64(read.Load())/b.Elapsed().Seconds(), "lines/s")
}
