package events

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/timeline"
)

func resources(list []penumbra.Observation) []string {
	var out []string
	for _, o := range list {
		out = append(out, string(o.Resource))
	}
	return out
}

func TestWhose(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		typ     string
		targets []string
		want    []string
		reason  string // where nothing is wanted
	}{
		"address":                       {"", []string{"shop/aws_db_instance.main"}, []string{"shop/aws_db_instance.main"}, ""},
		"local address":                 {"", []string{"aws_instance.web[1]"}, []string{"shop/aws_instance.web[1]"}, ""},
		"ARN":                           {"", []string{ordersARN}, []string{"shop/aws_db_instance.main"}, ""},
		"ARN before a name":             {"", []string{ordersARN, "orders"}, []string{"shop/aws_db_instance.main"}, ""},
		"another account's ARN":         {"", []string{"arn:aws:rds:eu-west-1:999:db:orders"}, nil, "no resource"},
		"ARN of what has none":          {"", []string{"arn:aws:lambda:eu-west-1:1:function:mailer"}, []string{"shop/aws_lambda_function.mail"}, ""},
		"ARN of another service":        {"", []string{"arn:aws:sqs:eu-west-1:1:queue:mailer"}, nil, "no resource"},
		"name and CloudFormation type":  {"AWS::RDS::DBInstance", []string{"orders"}, []string{"shop/aws_db_instance.main"}, ""},
		"name and own type":             {"aws_s3_bucket", []string{"orders"}, []string{"shop/aws_s3_bucket.logs"}, ""},
		"name of another type":          {"aws_sqs_queue", []string{"mailer"}, nil, "another type or stack fit: shop/aws_lambda_function.mail"},
		"two by a tag":                  {"aws_instance", []string{"web"}, nil, "several resources fit: shop/aws_instance.web[0], shop/aws_instance.web[1]"},
		"an address decides":            {"aws_instance", []string{"web", "10.0.0.6"}, []string{"shop/aws_instance.web[1]"}, ""},
		"several acted on":              {"aws_instance", []string{"i-0bb", "i-0aa"}, []string{"shop/aws_instance.web[1]", "shop/aws_instance.web[0]"}, ""},
		"acted on beside another":       {"", []string{"i-0aa", "10.0.0.6"}, []string{"shop/aws_instance.web[0]"}, ""},
		"acted on within another":       {"", []string{"i-0aa", ordersARN}, []string{"shop/aws_instance.web[0]"}, ""},
		"kubernetes request":            {"", []string{"/apis/apps/v1/namespaces/shop/deployments/web"}, []string{"k8s/kubernetes_deployment.web"}, ""},
		"kubernetes object":             {"", []string{"deployments/blue/web"}, []string{"gitops/shop|Deployment/web@blue"}, ""},
		"object with its version":       {"k8s:Deployment", []string{"apps/v1/Deployment/shop/web", "Deployment/web@shop", "shop/web"}, []string{"k8s/kubernetes_deployment.web"}, ""},
		"object at a namespace":         {"", []string{"Service/web@shop"}, []string{"k8s/kubernetes_service.web"}, ""},
		"object as its address":         {"", []string{"Deployment/web@blue"}, []string{"gitops/shop|Deployment/web@blue"}, ""},
		"cluster-wide object":           {"k8s:Namespace", []string{"v1/Namespace/shop", "Namespace/shop", "shop"}, []string{"k8s/kubernetes_namespace.shop"}, ""},
		"kind without the object":       {"k8s:Pod", []string{"shop/pods"}, nil, "no resource"},
		"namespace and kind":            {"", []string{"shop/Service/web"}, []string{"k8s/kubernetes_service.web"}, ""},
		"namespace without kind":        {"", []string{"shop/web"}, nil, "several resources fit: k8s/kubernetes_deployment.web, k8s/kubernetes_service.web"},
		"namespace and type":            {"deployments", []string{"shop/web"}, []string{"k8s/kubernetes_deployment.web"}, ""},
		"path":                          {"", []string{"/etc/nginx/../nginx/nginx.conf"}, []string{"local/local_file.conf"}, ""},
		"relative path":                 {"", []string{"/home/a/stack/out/app.conf"}, []string{"local/local_file.rel"}, ""},
		"file of a playbook":            {"", []string{"/etc/motd"}, []string{"site/web1/file[/etc/motd]"}, ""},
		"path on two hosts":             {"", []string{"/srv/nginx.conf"}, nil, "several resources fit: site/web1/copy nginx.conf, site/web2/copy nginx.conf"},
		"path and host":                 {"", []string{"/srv/nginx.conf", "web2"}, []string{"site/web2/copy nginx.conf"}, ""},
		"the host before what is on it": {"", []string{"web1"}, []string{"net/host.web1"}, ""},
		"host with port":                {"", []string{"db1:9187"}, []string{"site/db1/postgresql"}, ""},
		"host with domain":              {"", []string{"db1.internal"}, []string{"site/db1/postgresql"}, ""},
		"short host":                    {"", []string{"gate"}, []string{"net/host.gate"}, ""},
		"host of another domain":        {"", []string{"gate.example.org"}, nil, "no resource"},
		"link":                          {"", []string{"//compute.googleapis.com/projects/p/zones/z/instances/vm1"}, nil, "no resource"},
		"link of another form":          {"", []string{"projects/p/zones/z/instances/vm1"}, []string{"gcp/google_compute_instance.vm"}, ""},
		"azure in any case":             {"", []string{"/SUBSCRIPTIONS/s1/resourcegroups/RG/providers/microsoft.storage/storageaccounts/acc"}, []string{"az/azurerm_storage_account.a"}, ""},
		"nothing":                       {"", nil, nil, "names no target"},
		"unknown":                       {"", []string{"", "x", strings.Repeat("y", 5000)}, nil, "no resource is known by"},
	} {
		got := mapper(t, Rules{}).Map(record(x.typ, x.targets...))
		if name == "link" { // both forms are the same link
			x.want, x.reason = []string{"gcp/google_compute_instance.vm"}, ""
		}
		if diff := cmp.Diff(x.want, resources(got.Observations)); diff != "" {
			t.Errorf("%s: %s (%s)", name, diff, got.Reason)
		}
		if got.Unmapped != (x.want == nil) || !strings.Contains(got.Reason, x.reason) {
			t.Errorf("%s: unmapped %v, %q", name, got.Unmapped, got.Reason)
		}
	}
}

func TestObservation(t *testing.T) {
	t.Parallel()
	rec := record("", ordersARN)
	rec.Message = "said so"
	rec.Settings = penumbra.NewSettings(
		penumbra.Setting{Path: "dBInstanceClass", Value: penumbra.String("db.t3.large")},
		penumbra.Setting{Path: "multiAZ", Value: penumbra.Bool(true)},
		penumbra.Setting{Path: "Tags.cost", Value: penumbra.String("x")},
		penumbra.Setting{Path: "vpcSecurityGroupIds", Value: penumbra.Unknown()},
		penumbra.Setting{Path: "masterPassword", Value: penumbra.String("pw-plain")},
		penumbra.Setting{Path: "applyImmediately", Value: penumbra.Bool(true)},
		penumbra.Setting{Path: "optionGroup", Value: penumbra.String("is marked")},
	)
	got := mapper(t, Rules{}).Map(rec)
	want := []penumbra.Observation{{
		Kind: penumbra.EventKind, Time: noon, Resource: "shop/aws_db_instance.main", Type: "aws_db_instance", Source: "in",
		ID: rec.Identity().String(), Actor: "alice", ActorKind: penumbra.User, Action: "Modify", Message: "said so",
		Settings: penumbra.NewSettings(
			penumbra.Setting{Path: "instance_class", Value: penumbra.String("db.t3.large")},
			penumbra.Setting{Path: "multi_az", Value: penumbra.Bool(true)},
			penumbra.Setting{Path: "tags.cost", Value: penumbra.String("x")},
			penumbra.Setting{Path: "vpc_security_group_ids", Value: penumbra.Unknown()},
			penumbra.Setting{Path: "master_password", Value: penumbra.Unknown(), Sensitive: true},
			penumbra.Setting{Path: "applyImmediately", Value: penumbra.Bool(true)},
			penumbra.Setting{Path: "option_group", Value: penumbra.Unknown(), Sensitive: true},
		),
	}}
	if diff := cmp.Diff(want, got.Observations, cmp.Comparer(func(a, b penumbra.Value) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestKubernetesPath(t *testing.T) {
	t.Parallel()
	rec := record("", "deployments/shop/web")
	rec.Settings = penumbra.Settings{{Path: "spec.replicas", Value: penumbra.Number(5)}}
	got := mapper(t, Rules{}).Map(rec)
	if len(got.Observations) != 1 || got.Observations[0].Settings[0].Path != "spec.0.replicas" {
		t.Errorf("%+v", got)
	}
}

// TestDenied: what was refused must not be what a drift is put down to.
func TestDenied(t *testing.T) {
	t.Parallel()
	rec := record("", ordersARN)
	rec.Failed, rec.Settings = "AccessDenied", penumbra.Settings{{Path: "multi_az", Value: penumbra.Bool(true)}}
	got := mapper(t, Rules{}).Map(rec)
	if len(got.Denied) != 1 || got.Denied[0].Action != "denied Modify" || got.Denied[0].Settings != nil || !IsDenied(&got.Denied[0]) {
		t.Errorf("%+v", got.Denied)
	}
	if got.Unmapped || got.Skipped != "" {
		t.Errorf("%+v", got)
	}
	r := penumbra.Resource{}
	for i := range got.Observations {
		timeline.Fold(&r, &got.Observations[i])
	}
	if len(r.Recent) != 0 {
		t.Errorf("the timeline remembers %+v", r.Recent)
	}
}

// TestOwnWords: a log cannot say what only Penumbra says.
func TestOwnWords(t *testing.T) {
	t.Parallel()
	m := mapper(t, Rules{})
	for action, want := range map[string]string{
		"delete": "test delete", "penumbra.accept": "test penumbra.accept", "denied x": "test denied x", "create": "create",
	} {
		rec := record("", ordersARN)
		rec.Action, rec.Input = action, "git:3fa2c1d"
		o := m.Map(rec).Observations[0]
		if o.Action != want || o.IsCodeChange() {
			t.Errorf("%s: %q of %s", action, o.Action, o.Source)
		}
		r := penumbra.Resource{}
		if timeline.Fold(&r, &o); r.Deleted {
			t.Errorf("%s deleted the resource", action)
		}
	}
}

func TestSkipped(t *testing.T) {
	t.Parallel()
	m := mapper(t, Rules{Resources: []ResourceRule{{Match: Match{Action: "Modify", Via: "probe*"}, Ignore: true, Reason: "health checks"}}})
	readOnlyRec, ignored, empty := record("", ordersARN), record("", ordersARN), record("", ordersARN)
	readOnlyRec.ReadOnly = true
	ignored.Via = "Probe/1.0"
	empty.Action = ""
	for want, rec := range map[string]*penumbra.Record{"read only": readOnlyRec, "ignored by rule 1: health checks": ignored, "not usable: neither": empty} {
		if got := m.Map(rec); !strings.HasPrefix(got.Skipped, want) || got.Observations != nil || got.Unmapped {
			t.Errorf("%+v, want %s", got, want)
		}
	}
}

func TestFreeText(t *testing.T) {
	t.Parallel()
	m := mapper(t, Rules{})
	var actions, ids []string
	for _, user := range []string{"root", "bob", "eve"} {
		rec := record("", "db1")
		rec.Action, rec.ID, rec.Message = "", "", "Failed password for "+user+" from 10.0.0.1 port 22 ssh2"
		got := m.Map(rec)
		actions = append(actions, got.Observations[0].Action)
		again := m.Map(rec)
		ids = append(ids, got.Observations[0].Identity().String())
		if again.Observations[0].Identity() != got.Observations[0].Identity() {
			t.Error("the record twice is two observations")
		}
	}
	if actions[1] != "Failed password for from port ssh2" || actions[2] != actions[1] || len(slices.Compact(ids)) != 3 {
		t.Errorf("%q %v", actions, ids)
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	m := mapper(t, Rules{})
	rec := record("", "orders")
	if got := m.Map(rec); !got.Unmapped || !strings.Contains(got.Reason, "shop/aws_db_instance.main, shop/aws_s3_bucket.logs") {
		t.Errorf("%+v", got)
	}
	m.Forget("shop/aws_s3_bucket.logs")
	if got := m.Map(rec); len(got.Observations) != 1 || got.Observations[0].Resource != "shop/aws_db_instance.main" {
		t.Errorf("%+v", got)
	}
	moved := known("shop/aws_db_instance.main", "aws_db_instance", "identifier", "orders-2")
	m.Know(moved)
	if got := m.Map(rec); !got.Unmapped {
		t.Errorf("an old identifier still fits: %+v", got)
	}
	moved.Deleted = true
	m.Know(moved)
	if got := m.Map(record("", "orders-2")); !got.Unmapped {
		t.Errorf("a deleted resource is known: %+v", got)
	}
	for _, x := range estate() {
		m.Forget(x.Address)
	}
	if len(m.index.keys)+len(m.index.resources)+len(m.index.vocabularies) != 0 {
		t.Errorf("%d identifiers, %d resources, %d vocabularies are left", len(m.index.keys), len(m.index.resources), len(m.index.vocabularies))
	}
}

func TestSeries(t *testing.T) {
	t.Parallel()
	m := mapper(t, Rules{
		Inputs: map[string]InputRule{"pgbench": {Resource: "site/db1/postgresql"}},
		Resources: []ResourceRule{
			{Match: Match{Format: "metrics", Attributes: map[string]string{"job": "nginx-*"}}, Resource: "site/$1/copy nginx.conf"},
			{Match: Match{Format: "metrics", Attributes: map[string]string{"job": "blackbox"}}, Ignore: true, Reason: "from outside"},
		},
	})
	for name, x := range map[string]struct {
		input  string
		labels map[string]string
		want   penumbra.Address
	}{
		"instance":    {"prom", map[string]string{"instance": "db1:9187", "job": "pg"}, "site/db1/postgresql"},
		"RDS":         {"prom", map[string]string{"DBInstanceIdentifier": "orders", "instance": "exporter:80"}, "shop/aws_db_instance.main"},
		"address":     {"prom", map[string]string{"resource": "shop/aws_db_instance.main", "instance": "db1"}, "shop/aws_db_instance.main"},
		"pod":         {"prom", map[string]string{"namespace": "blue", "pod": "web-7d9f8c6b5-x2b4z", "instance": "db1:80"}, "gitops/shop|Deployment/web@blue"},
		"deployment":  {"prom", map[string]string{"namespace": "shop", "deployment": "web"}, "k8s/kubernetes_deployment.web"},
		"rule":        {"prom", map[string]string{"job": "nginx-web2"}, "site/web2/copy nginx.conf"},
		"ignored":     {"prom", map[string]string{"job": "blackbox", "instance": "db1"}, ""},
		"input":       {"pgbench", nil, "site/db1/postgresql"},
		"nothing":     {"prom", map[string]string{"le": "0.5"}, ""},
		"unknown pod": {"prom", map[string]string{"pod": "x", "namespace": "y"}, ""},
	} {
		got, ok := m.Series(x.input, x.labels)
		if got != x.want || ok != (x.want != "") {
			t.Errorf("%s: %q %v, want %q", name, got, ok, x.want)
		}
	}
}

// TestCommit: a record of a commit has its hash for a source, and never is what a
// mined change of the code is.
func TestCommit(t *testing.T) {
	t.Parallel()
	m := mapper(t, Rules{Actors: []ActorRule{{Match: Match{Format: penumbra.CommitFormat, Actor: "shipper"}, Kind: "automation"}}})
	for _, action := range []string{"commit", "update", "delete"} {
		rec := record("", ordersARN)
		rec.Format, rec.Action, rec.Actor, rec.ActorKind = penumbra.CommitFormat, action, "shipper", penumbra.User
		rec.Attributes = map[string]string{"commit": "3fa2c1d"}
		o := m.Map(rec).Observations[0]
		if o.Source != "git:3fa2c1d" || o.ActorKind != penumbra.Automation || !o.IsCommit() || o.IsCodeChange() {
			t.Errorf("%s: %+v", action, o)
		}
	}
}
