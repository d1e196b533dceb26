package events

import (
	"strings"
	"testing"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/v2"

	"github.com/penumbra-iac/penumbra"
)

// text gives koanf a configuration from a text.
type text string

func (t text) ReadBytes() ([]byte, error)  { return []byte(t), nil }
func (text) Read() (map[string]any, error) { return nil, nil }

func load(t *testing.T, config string) Rules {
	t.Helper()
	k := koanf.New("\x00") // keys hold points
	if err := k.Load(text(config), yaml.Parser()); err != nil {
		t.Fatal(err)
	}
	var r Rules
	if err := k.UnmarshalWithConf("events", &r, koanf.UnmarshalConf{Tag: "koanf"}); err != nil {
		t.Fatal(err)
	}
	return r
}

// The example of docs/events.md.
const exampleRules = `
events:
  actors:
    - actor: '^ci-(.*)$'
      kind: automation
      name: pipeline of $1
    - actor: root
      format: auditd
      via: '*ansible*'
      kind: automation
  resources:
    - input: pg-orders
      action: 'CHECKPOINT*'
      ignore: true
      reason: noise of the server
    - format: syslog
      message: '^unit (?P<unit>\S+) entered failed state'
      resource: site/web1/copy $unit
    - target: 'lambda:*'
      resource: shop/aws_lambda_function.$1
    - input: prod-*
      of_type: aws_instance
  inputs:
    pg-orders: {resource: site/db1/postgresql}
    cloudtrail: {stack: shop}
  types:
    - type: 'vm/*'
      to: aws_$1
  paths:
    - format: json
      from: 'requestParameters.*'
      to: $1
`

func TestRules(t *testing.T) {
	t.Parallel()
	m := mapper(t, load(t, exampleRules))
	for name, x := range map[string]struct {
		change func(r *penumbra.Record)
		want   string // resource, actor, kind, paths; or the reason
	}{
		"renamed":                     {func(r *penumbra.Record) { r.Actor = "ci-shop" }, "shop/aws_db_instance.main pipeline of shop automation"},
		"before what the format says": {func(r *penumbra.Record) { r.Actor, r.Format, r.Via = "ROOT", "auditd", "/usr/bin/ansible-playbook" }, "shop/aws_db_instance.main ROOT automation"},
		"other via":                   {func(r *penumbra.Record) { r.Actor, r.Format, r.Via = "root", "auditd", "bash" }, "shop/aws_db_instance.main root user"},
		"ignored":                     {func(r *penumbra.Record) { r.Input, r.Action = "pg-orders", "checkpoint starting" }, "ignored by rule 1: noise of the server"},
		"input":                       {func(r *penumbra.Record) { r.Input = "pg-orders" }, "site/db1/postgresql alice user"},
		"message":                     {func(r *penumbra.Record) { r.Format, r.Message = "syslog", "unit nginx.conf entered failed state" }, "site/web1/copy nginx.conf alice user"},
		"target":                      {func(r *penumbra.Record) { r.Targets = []string{"x", "lambda:mail"} }, "shop/aws_lambda_function.mail alice user"},
		"not known":                   {func(r *penumbra.Record) { r.Targets = []string{"lambda:none"} }, `rule 3 names "shop/aws_lambda_function.none": no resource is known by`},
		"of type":                     {func(r *penumbra.Record) { r.Input, r.Targets = "prod-1", []string{"10.0.0.5"} }, "shop/aws_instance.web[0] alice user"},
		"other type":                  {func(r *penumbra.Record) { r.Input = "prod-1" }, "only resources of another type or stack fit: shop/aws_db_instance.main"},
		"type":                        {func(r *penumbra.Record) { r.Type, r.Targets = "vm/instance", []string{"10.0.0.6"} }, "shop/aws_instance.web[1] alice user"},
		"path": {func(r *penumbra.Record) {
			r.Format, r.Settings = "json", penumbra.Settings{{Path: "requestParameters.instanceClass", Value: penumbra.Unknown()}}
		}, "shop/aws_db_instance.main alice user instance_class"},
	} {
		rec := record("", ordersARN)
		x.change(rec)
		got := m.Map(rec)
		said := got.Skipped + got.Reason
		for _, o := range got.Observations {
			said = strings.Join([]string{string(o.Resource), o.Actor, o.ActorKind.String()}, " ")
			for _, s := range o.Settings {
				said += " " + s.Path
			}
		}
		if !strings.HasPrefix(said, x.want) {
			t.Errorf("%s: %q, want %q", name, said, x.want)
		}
	}
}

func TestInvalidRules(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Rules{
		"events: actors: rule 2: kind":                          {Actors: []ActorRule{{Kind: "user"}, {Kind: "robot"}}},
		"events: actors: rule 1: it says neither":               {Actors: []ActorRule{{}}},
		"events: actors: rule 1: actor: error parsing regexp":   {Actors: []ActorRule{{Match: Match{Actor: "^("}, Kind: "user"}}},
		`events: actors: rule 1: "$2" uses the group $2`:        {Actors: []ActorRule{{Match: Match{Actor: "^(a)$"}, Name: "$2"}}},
		"events: resources: rule 1: it ignores":                 {Resources: []ResourceRule{{Ignore: true}}},
		"events: resources: rule 1: it says neither":            {Resources: []ResourceRule{{}}},
		"events: resources: rule 1: it says both ignore":        {Resources: []ResourceRule{{Ignore: true, Reason: "x", Stack: "y"}}},
		"events: resources: rule 1: it says both a resource":    {Resources: []ResourceRule{{Resource: "x", Stack: "y"}}},
		`events: resources: rule 1: "$1" uses`:                  {Resources: []ResourceRule{{Resource: "$1"}}},
		`events: resources: rule 1: "${host}" uses`:             {Resources: []ResourceRule{{Match: Match{Target: "*"}, Resource: "${host}"}}},
		"events: resources: rule 1: attribute a has no pattern": {Resources: []ResourceRule{{Match: Match{Attributes: map[string]string{"a": ""}}, Stack: "x"}}},
		"events: inputs: a: it says neither":                    {Inputs: map[string]InputRule{"a": {}}},
		"events: types: rule 1: it needs":                       {Types: []TypeRule{{To: "x"}}},
		"events: paths: rule 1: it needs":                       {Paths: []PathRule{{From: "x"}}},
	} {
		_, err := New(r)
		if penumbra.KindOf(err) != penumbra.Invalid || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestBuiltInKind(t *testing.T) {
	t.Parallel()
	for want, names := range map[penumbra.ActorKind][]string{
		penumbra.Automation: {
			"renovate[bot]", "deploy-bot", "ci", "CI-deploy", "terraform", "terraform-prod", "ansible", "github-actions", "github-actions[bot]",
			"system:serviceaccount:argocd:argocd-application-controller", "system:serviceaccount:kube-system:horizontal-pod-autoscaler",
			"flux", "cluster-autoscaler", "x@p.iam.gserviceaccount.com", "gitlab-runner-3", "jenkins@ci.example.com",
		},
		penumbra.System: {"systemd", "kubelet", "system:node:db1", "system:kube-scheduler", "rds.amazonaws.com", "AWSServiceRoleForRDS", "www-data"},
		penumbra.User:   {"alice@example.com", "J.Doe@example.co.uk"},
		penumbra.UnknownActor: {
			"", "alice", "root", "postgres", "abbott", "talbot", "Robotham", "flux capacitor", "ciaran", "system:admin", "a b@c.d", "drone pilot", "@", "x@y",
		},
	} {
		for _, name := range names {
			if got := builtInKind(name); got != want {
				t.Errorf("%q is %v, want %v", name, got, want)
			}
		}
	}
}
