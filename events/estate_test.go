package events

import (
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// known returns a resource with text settings, path and value in turn.
func known(address penumbra.Address, typ string, settings ...string) *penumbra.Resource {
	r := &penumbra.Resource{Address: address, Type: typ}
	for i := 0; i < len(settings); i += 2 {
		r.Actual = append(r.Actual, penumbra.Setting{Path: settings[i], Value: penumbra.String(settings[i+1])})
	}
	r.Actual = penumbra.NewSettings(r.Actual...)
	return r
}

const ordersARN = "arn:aws:rds:eu-west-1:123456789012:db:orders"

// estate is resources of all the technologies, some with the same names.
func estate() []*penumbra.Resource {
	orders := known("shop/aws_db_instance.main", "aws_db_instance", "identifier", "orders", "arn", ordersARN,
		"instance_class", "db.t3.small", "tags.team", "pay", "multi_az", "false", "address", "orders.abc.eu-west-1.rds.amazonaws.com",
		"master_password", "hmac", "option_group", "quiet", "vpc_security_group_ids.0", "sg-1", "parameter_group_name", "pg15")
	for i := range orders.Actual {
		if p := orders.Actual[i].Path; p == "master_password" || p == "option_group" {
			orders.Actual[i].Sensitive = true
		}
	}
	return []*penumbra.Resource{
		orders,
		known("shop/aws_s3_bucket.logs", "aws_s3_bucket", "bucket", "orders", "id", "orders", "acl", "private"),
		known("shop/aws_instance.web[0]", "aws_instance", "id", "i-0aa", "private_ip", "10.0.0.5", "tags.Name", "web"),
		known("shop/aws_instance.web[1]", "aws_instance", "id", "i-0bb", "private_ip", "10.0.0.6", "tags.Name", "web"),
		known("shop/aws_lambda_function.mail", "aws_lambda_function", "function_name", "mailer"),
		known("k8s/kubernetes_deployment.web", "kubernetes_deployment", "metadata.0.name", "web", "metadata.0.namespace", "shop", "spec.0.replicas", "3"),
		known("k8s/kubernetes_namespace.shop", "kubernetes_namespace_v1", "metadata.0.name", "shop", "id", "shop"),
		known("k8s/kubernetes_service.web", "kubernetes_service", "metadata.0.name", "web", "metadata.0.namespace", "shop"),
		known("gitops/shop|Deployment/web@blue", "k8s:Deployment", "metadata.name", "web", "metadata.namespace", "blue", "spec.replicas", "2"),
		known("local/local_file.conf", "local_file", "filename", "/etc/nginx/nginx.conf", "content", "x"),
		known("local/local_file.rel", "local_file", "filename", "./out/app.conf"),
		known("site/db1/postgresql", "postgresql_server", "host", "db1", "work_mem", "4MB", "shared_buffers", "128MB"),
		known("site/web1/copy nginx.conf", "ansible.builtin.copy", "dest", "/srv/nginx.conf"),
		known("site/web1/file[/etc/motd]", "ansible_file", "content", "hmac-sha256:1", "mode", "0644"),
		known("site/web2/copy nginx.conf", "ansible.builtin.copy", "dest", "/srv/nginx.conf"),
		known("gcp/google_compute_instance.vm", "google_compute_instance", "name", "vm1",
			"self_link", "https://www.googleapis.com/compute/v1/projects/p/zones/z/instances/vm1"),
		known("az/azurerm_storage_account.a", "azurerm_storage_account", "id", "/subscriptions/S1/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/acc"),
		known("net/host.web1", "host", "hostname", "web1"),
		known("net/host.gate", "host", "hostname", "gate.example.com"),
	}
}

func mapper(t testing.TB, r Rules) *Mapper {
	t.Helper()
	m, err := New(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range estate() {
		m.Know(x)
	}
	return m
}

func record(typ string, targets ...string) *penumbra.Record {
	return &penumbra.Record{Time: noon, Format: "test", Input: "in", ID: "r1", Actor: "alice", ActorKind: penumbra.User, Action: "Modify", Type: typ, Targets: targets}
}
