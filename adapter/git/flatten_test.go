package git

import (
	"fmt"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

// flat reads a file and returns its resources as "type address" and lines of
// "path = value".
func flat(t testing.TB, name, src string) map[string][]string {
	t.Helper()
	found, reason, detail := parser{key: testKey}.file(name, blob{content: []byte(src)})
	if reason != 0 && found == nil {
		t.Fatalf("%s: %v %s", name, reason, detail)
	}
	out := map[string][]string{}
	for _, r := range found {
		list := []string{}
		for _, s := range r.settings {
			text := s.Value.Text()
			if s.Value.Kind() == penumbra.StringKind {
				text = fmt.Sprintf("%q", text)
			} else if s.Value.Kind() == penumbra.SecretKind {
				text = "secret"
			}
			list = append(list, s.Path+" = "+text)
		}
		out[r.kind+" "+r.local] = list
	}
	return out
}

func TestHCL(t *testing.T) {
	t.Parallel()
	got := flat(t, "x/main.tf", `
resource "aws_elb" "web" {
  count = 2
  name  = "web"
  size  = -1.50
  on    = true
  none  = null
  policy = <<-EOF
    {
      "Version":  "2012"
    }
  EOF
  script = <<EOF
#!/bin/sh
echo ${var.x}
EOF
  long   = "`+strings.Repeat("long ", 40)+`"
  arn    = aws_lb.other.arn
  old    = "${aws_lb.other.arn}"
  paren  = ( aws_lb.other.arn )
  merged = merge(local.tags, { a = 1 })
  name_2 = "${var.a}-web"
  map    = { a = { b = 1 }, "c.d" = var.x, (var.key) = 2 }
  empty  = {}
  list   = []
  many   = ["a",
    1, var.x]
  rules  = [{ port = 1 }, { port = 2 }]
  named  = [{ name = "x", v = 1 }, { name = "y", v = 2 }]
  listener { port = 80 }
  listener { port = 81 }
  dynamic "rule" {
    for_each = var.rules
    content { port = rule.value }
  }
}
data "aws_ami" "x" { owner = "me" }
locals { a = 1 }
output "x" { value = 1 }
`)
	want := map[string][]string{"aws_elb aws_elb.web": {
		`arn = "${aws_lb.other.arn}"`,
		`count = 2`,
		`dynamic.rule.content.port = "${rule.value}"`,
		`dynamic.rule.for_each = "${var.rules}"`,
		`empty = "{}"`,
		`list = "[]"`,
		`listener.port = 80`,
		`listener[1].port = 81`,
		`long = "` + got["aws_elb aws_elb.web"][8][len(`long = "`):],
		`many = "[\"a\", 1, ${var.x}]"`,
		`map.(var.key) = 2`,
		`map.a.b = 1`,
		`map.c.d = "${var.x}"`,
		`merged = "${merge(local.tags, { a = 1 })}"`,
		`name = "web"`,
		`name_2 = "${var.a}-web"`,
		`named[x].name = "x"`,
		`named[x].v = 1`,
		`named[y].name = "y"`,
		`named[y].v = 2`,
		`old = "${aws_lb.other.arn}"`,
		`on = true`,
		`paren = "${aws_lb.other.arn}"`,
		`policy = "{ \"Version\": \"2012\" }"`,
		`rules[0].port = 1`,
		`rules[1].port = 2`,
		`script = "#!/bin/sh echo ${var.x}"`,
		`size = -1.5`,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if long := got["aws_elb aws_elb.web"][8]; !strings.HasPrefix(long, `long = "`+strings.Repeat("long ", 8)+"…#") || len(long) > 80 {
		t.Error(long)
	}
}

func TestModuleNames(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"../../modules/aws/node_group":                                     "node_group",
		"./vpc":                                                            "vpc",
		"github.com/org/terraform-rds":                                     "terraform-rds",
		"git@github.com:org/terraform-rds.git":                             "terraform-rds",
		"git::https://example.com/org/rds.git":                             "rds",
		"git::ssh://git@example.com/org/infra.git//modules/vpc":            "vpc",
		"terraform-aws-modules/iam/aws//modules/iam-assumable-role":        "iam-assumable-role",
		"terraform-aws-modules/rds/aws":                                    "rds",
		"app.terraform.io/org/network/azurerm":                             "network",
		"s3::https://s3-eu-west-1.amazonaws.com/examplecorp/vpc":           "vpc",
		"https://example.com/vpc-module":                                   "vpc-module",
		"git::https://dev.azure.com/org/project/_git/terraform-module-aks": "terraform-module-aks",
		"": "",
	} {
		if got := lastPart(source); got != want {
			t.Errorf("%q is called %q, want %q", source, got, want)
		}
	}
	got := flat(t, "main.tf", `
module "a" { source = "git::https://example.com/a.git//net?depth=1&ref=v1.0" }
module "b" { source = "./b" }
module "c" { source = var.c }
`)
	want := map[string][]string{
		"module:net module.a": {`source_ref = "v1.0"`},
		"module:b module.b":   {`source = "./b"`},
		"module module.c":     {`source = "${var.c}"`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = flat(t, "live/terragrunt.hcl", `
terraform { source = "git::https://example.com/a.git//net?ref=v1.0" }
inputs = { size = 2 }
`)
	want = map[string][]string{"terragrunt terragrunt.hcl": {`inputs.size = 2`, `terraform.source_ref = "v1.0"`}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestYAML(t *testing.T) {
	t.Parallel()
	got := flat(t, "apps/x.yaml", `# two objects, a list, and an empty document
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: n}
common: &common {x: 1, y: 2}
own: {<<: *common, y: 3}
again: *common
data:
  octal: 0o17
  hex: 0x10
  float: 1.50
  inf: .inf
  yes: yes
  on: true
  empty: ""
  none: ~
  nothing: {}
  list: []
  words: [a, 1, "", true]
  deep: [[1], [2]]
  when: 2026-01-01
  multi: |
    line one
    line two
  ports:
    - {name: http, port: 80}
    - {name: https, port: 443}
  rules:
    - {host: a}
    - {host: a}
---
---
kind: List
apiVersion: v1
items:
  - {apiVersion: v1, kind: Namespace, metadata: {name: n}}
---
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
images: [{name: app, newTag: "1.20"}]
`)
	want := map[string][]string{
		"k8s:ConfigMap ConfigMap/a@n": {
			`again.x = 1`, `again.y = 2`,
			`apiVersion = "v1"`, `common.x = 1`, `common.y = 2`,
			`data.deep[0] = "[1]"`, `data.deep[1] = "[2]"`,
			`data.empty = ""`, `data.float = 1.5`, `data.hex = 16`, `data.inf = ".inf"`, `data.list = "[]"`,
			`data.multi = "line one line two"`, `data.nothing = "{}"`, `data.octal = 15`, `data.on = true`,
			`data.ports[http].name = "http"`, `data.ports[http].port = 80`,
			`data.ports[https].name = "https"`, `data.ports[https].port = 443`,
			`data.rules[0].host = "a"`, `data.rules[1].host = "a"`,
			`data.when = "2026-01-01"`, `data.words = "[a, 1, , true]"`, `data.yes = "yes"`,
			`kind = "ConfigMap"`, `metadata.name = "a"`, `metadata.namespace = "n"`,
			`own.x = 1`, `own.y = 3`,
		},
		"k8s:Namespace Namespace/n":         {`apiVersion = "v1"`, `kind = "Namespace"`, `metadata.name = "n"`},
		"k8s:Kustomization Kustomization/x": {`apiVersion = "kustomize.config.k8s.io/v1beta1"`, `images[app].name = "app"`, `images[app].newTag = "1.20"`, `kind = "Kustomization"`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestKinds holds how files are told apart by their names and contents.
func TestKinds(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"group_vars/all.yml": "yaml:group_vars all.yml", "prod/host_vars/a/main.yaml": "yaml:host_vars main.yaml",
		"inventory.yml": "yaml:inventory inventory.yml", "chart/values.yaml": "yaml:values values.yaml",
		"chart/values-prod.yaml": "yaml:values values-prod.yaml", "web.values.yaml": "yaml:values web.values.yaml",
		"chart/Chart.yaml": "yaml:chart Chart.yaml", "docker-compose.prod.yml": "yaml:compose docker-compose.prod.yml",
	} {
		if got := flat(t, name, "a: {b: 1}\n"); len(got) != 1 || got[want] == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	definition := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: xs.example.com}\n"
	large := "apiVersion: v1\nkind: X\nmetadata: {name: a}\nspec:\n"
	for i := range maxSettings + 1 {
		large += fmt.Sprintf("  a%d: 1\n", i)
	}
	for name, c := range map[string]struct {
		src  string
		want Reason
	}{
		"a.yaml":               {"a: 1\n", Unrecognized},
		"b.yaml":               {"# nothing\n", 0},
		"c.yaml":               {"kind: {{ .Kind }}\nx: {{ if }}\n  - b\n", Templated},
		"d.yaml":               {"apiVersion: v1\nkind: X\nmetadata: {name: {{ .Name }}}\n", Templated},
		"d2.yaml":              {"apiVersion: v1\nkind: X\nmetadata: {name: \"{{ .Name }}\"}\n", Templated},
		"e.yaml":               {"a: [\n", Unparsed},
		"f.yaml":               {large, TooLarge},
		"f2.yaml":              {definition, 0},
		"g.tf":                 {strings.Repeat("a = (", 2000), TooLarge},
		"h.tf":                 {"a =", Unparsed},
		"group_vars/vault.yml": {"$ANSIBLE_VAULT;1.1;AES256\n6162\n", Encrypted},
	} {
		found, reason, detail := parser{key: testKey}.file(name, blob{content: []byte(c.src)})
		if reason != c.want || len(found) > 0 {
			t.Errorf("%s: %v %s, %d found", name, reason, detail, len(found))
		}
	}
	// Of a file of several objects only those that are too large are left out.
	found, reason, _ := parser{key: testKey}.file("f.yaml", blob{content: []byte(large + "---\napiVersion: v1\nkind: X\nmetadata: {name: b}\n")})
	if len(found) != 1 || reason != TooLarge {
		t.Errorf("%d found, %v", len(found), reason)
	}
	for _, name := range []string{".terraform/modules/x/main.tf", "a/.terraform/b.yaml", "node_modules/x/a.yml", "a.json", ".terraform.lock.hcl", "a.tf.json"} {
		if kindOf(name) != otherFile {
			t.Errorf("%s is read", name)
		}
	}
}

// TestSecrets hides what is secret by its name, its place or its look, and
// shows what only mentions one.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t-of-many-letters"
	for name, files := range map[string][]string{
		"main.tf": {
			`resource "x" "a" { password = "%s" }`,
			`resource "x" "a" { adminPassword = "%s" }`,
			`resource "x" "a" { DBPassword = "%s" }`,
			`resource "x" "a" { DB_PASSWORD = "%s" }`,
			`resource "x" "a" { password = "${var.prefix}%s" }`,
			`resource "x" "a" { password = coalesce(var.given, "%s") }`,
			`resource "x" "a" { url = "postgres://user:%s@host/db" }`,
			`resource "x" "a" { user_data = "%s" }`,
			`resource "x" "a" { args = ["--password=%s"] }`,
			`resource "aws_ssm_parameter" "a" { value = "%s" }`,
			`resource "kubernetes_secret" "a" { data = { plain = "%s" } }`,
			`resource "kubernetes_secret_v1" "a" { data = { plain = base64encode("%s") } }`,
			`resource "kubernetes_secret" "a" { data = { list = [var.x, "%s"] } }`,
			`resource "aws_secretsmanager_secret_version" "a" { secret_string = jsonencode({ a = "%s" }) }`,
			"resource \"helm_release\" \"a\" {\n set {\n name = \"auth.rootPassword\"\n value = \"%s\"\n}\n}",
			"resource \"helm_release\" \"a\" {\n set_sensitive {\n name = \"a\"\n value = \"%s\"\n}\n}",
			`resource "x" "a" { script = "export API_KEY=%s && run" }`,
		},
		"b.tf": {
			`resource "kubernetes_manifest" "a" { manifest = { kind = "Secret", stringData = { a = "%s" } } }`,
			"resource \"kubectl_manifest\" \"a\" {\n yaml_body = <<E\nkind: Secret\ndata:\n  a: %s\nE\n}",
		},
		"a.tfvars": {`db_password = "%s"`, `tokens = [{ name = "ci", token = "%s" }]`},
		"a.yaml": {
			"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {plain: %s}",
			"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {list: [%s]}",
			"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {plain: %s}}]",
			"apiVersion: v1\nkind: Secret\nmetadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{\"data\": \"%s\"}'}}",
			"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {env: [{name: DB_PASSWORD, value: %s}]}",
			"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {env: {adminPassword: %s}}",
			"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {a: 'ENC[AES256_GCM,data:%s]'}\nsops: {mac: x}",
			"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {a: b}\nsops: {age: [{recipient: r, enc: %s}]}",
			"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {a: !vault %s}",
			"apiVersion: v1\nkind: Helm\nmetadata: {name: a}\nspec: {extra: [{kind: Secret, data: {a: %s}}]}",
			"apiVersion: v1\nkind: Kustomization\nsecretGenerator: [{name: a, literals: [user=%s]}]",
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  app.ini: |\n    [db]\n    password = %s\n",
		},
	} {
		for _, form := range files {
			found, reason, detail := parser{key: testKey}.file(name, blob{content: []byte(fmt.Sprintf(form, secret))})
			if len(found) == 0 {
				t.Errorf("%s: %v %s", form, reason, detail)
			}
			sealed := false
			for _, r := range found {
				for _, s := range r.settings {
					sealed = sealed || s.Sensitive && s.Value.Kind() == penumbra.SecretKind
					if strings.Contains(s.Value.Text(), secret) {
						t.Errorf("%s: %s = %s", form, s.Path, s.Value.Text())
					}
				}
			}
			if !sealed {
				t.Errorf("%s: nothing is sealed", form)
			}
		}
	}
	for name, src := range map[string]string{
		"main.tf": `resource "x" "a" {
			password = var.password
			secret_arn = "arn:aws:secretsmanager:eu-west-1:1:secret:a"
			token = "${module.x.token}"
			min_password_length = 12
			use_token = true
		}
		resource "kubernetes_secret" "a" {
			metadata { name = "a" }
			data = { a = module.x.key }
		}`,
		"a.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {secretName: a, existingSecret: b, automountServiceAccountToken: false, env: [{name: X, valueFrom: {secretKeyRef: {name: a, key: b}}}]}",
	} {
		for of, list := range flat(t, name, src) {
			for _, line := range list {
				if strings.HasSuffix(line, "= secret") {
					t.Errorf("%s: %s", of, line)
				}
			}
		}
	}
}

// TestHostile reads files that are made to take a parser's stack or memory.
func TestHostile(t *testing.T) {
	defer debug.SetMaxStack(debug.SetMaxStack(256 << 20))
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for i := range 12 {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", 'b'+i, 'b'+i, 'a'+i, 'a'+i, 'a'+i, 'a'+i, 'a'+i, 'a'+i, 'a'+i, 'a'+i)
	}
	for name, src := range map[string]string{
		"a.yaml": "apiVersion: v1\nkind: X\nmetadata: {name: a}\n" + bomb,
		"b.yaml": strings.Repeat("[", maxFile),
		"c.yaml": strings.Repeat("- ", maxFile/2),
		"d.yaml": "apiVersion: v1\nkind: X\nmetadata: {name: a}\na: &a {b: *a}\n",
		"e.tf":   `resource "a" "b" { c = ` + strings.Repeat("1+", maxFile/8) + "1 }",
		"f.tf":   `resource "a" "b" { c = ` + strings.Repeat("-", maxFile/2) + "1 }",
		"g.tf":   `resource "a" "b" { c = ` + strings.Repeat("!", maxFile/2) + "true }",
		"h.tf":   `resource "a" "b" { c = ` + strings.Repeat("a?b:", maxFile/4) + "c }",
		"i.tf":   `resource "a" "b" { c = a` + strings.Repeat(".b", maxFile/8) + " }",
		"j.tf":   `resource "a" "b" { c = a` + strings.Repeat("[*]", maxFile/3) + " }",
		"k.tf":   strings.Repeat("a {\n", maxFile/4),
		"l.tf":   `resource "a" "b" { c = 1e999999999 }`,
		"m.tf":   `resource "a" "b" { c = "` + strings.Repeat(`${"`, maxFile/3),
		"n.tf":   `resource "a" "b" { c = ` + strings.Repeat("a==", maxFile/8) + "1 }",
		"o.tf":   `resource "a" "b" { c = "` + strings.Repeat("%{if a}", maxFile/7),
	} {
		found, _, _ := parser{key: testKey}.file(name, blob{content: []byte(src)})
		for _, r := range found {
			if len(r.settings) > maxSettings {
				t.Errorf("%s: %d settings", name, len(r.settings))
			}
		}
	}
}
