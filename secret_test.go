package penumbra_test

import (
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func TestLooksSecret(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, text string
		want       bool
	}{
		{"admin_password", "hunter2", true},
		{"master.Password", "hunter2", true},
		{"environment.DB_PASSWD", "x", true},
		{"client_secret", "x", true},
		{"settings.api-key", "x", true},
		{"auth.tokens.token", "abc", true},
		{"tls.private_key", "x", true},
		{"user_data", "#!/bin/sh", true},
		{"primary_connection_string", "Endpoint=x", true},
		{"note", "-----BEGIN RSA PRIVATE KEY-----", true},
		{"note", "id AKIAABCDEFGHIJKLMNOP here", true},
		{"note", "ghp_" + strings.Repeat("a1", 18), true},
		{"url", "postgres://app:s3cret@db:5432/shop", true},
		{"note", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc", true},

		{"password_length", "16", false},
		{"secret_arn", "arn:aws:secretsmanager:eu:1:secret:x", false},
		{"password", "arn:aws:secretsmanager:eu:1:secret:x", false},
		{"password", "${var.password}", false},
		{"key_name", "ops", false},
		{"kms_key_id", "1234", false},
		{"url", "https://example.com/a:b@c", false},
		{"admin_password", "", false},
		{"tags.team", "pay", false},
	} {
		if got := penumbra.LooksSecret(c.path, penumbra.String(c.text)); got != c.want {
			t.Errorf("LooksSecret(%q, %q) = %v, want %v", c.path, c.text, got, c.want)
		}
	}
	if penumbra.LooksSecret("password", penumbra.Number(7)) {
		t.Error("a number is held to be a secret")
	}
}

func TestSealHidesAndCompares(t *testing.T) {
	t.Parallel()
	key := penumbra.Key("one key")
	a, same, b := key.Seal(penumbra.String("a")), key.Seal(penumbra.String("a")), key.Seal(penumbra.String("b"))
	if a != same || a == b || a == penumbra.Key("another").Seal(penumbra.String("a")) {
		t.Fatal("seals do not compare as their values do under one key")
	}
	if a.String() != "(sensitive)" || strings.Contains(a.Text(), "a\"") || a.Kind() != penumbra.SecretKind {
		t.Fatalf("a sealed value shows as %s", a)
	}
	if key.Seal(penumbra.Number(1)) == key.Seal(penumbra.String("1")) {
		t.Error("a number and its digits have one seal")
	}
	if again := key.Seal(a); again != a {
		t.Error("sealing a seal changes it")
	}
	if parsed, ok := penumbra.Secret(a.Text()); !ok || parsed != a {
		t.Error("a seal's text does not read back")
	}
	if _, ok := penumbra.Secret(penumbra.SecretPrefix + "not hex"); ok {
		t.Error("text that is no hash is read as a secret")
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for in, leaked := range map[string]string{
		`password = "hunter2"`:                       "hunter2",
		"DB_PASSWORD=hunter2 next":                   "hunter2",
		"connect postgres://app:hunter2@db/shop":     "hunter2",
		"token: ghp_" + strings.Repeat("b2", 18):     "b2b2",
		"key AKIAABCDEFGHIJKLMNOP":                   "AKIAABCDEFGHIJKLMNOP",
		"aws_secret_access_key=wJalrXUtnFEMIK7MDENG": "wJalr",
	} {
		if out := penumbra.Redact(in); strings.Contains(out, leaked) {
			t.Errorf("Redact(%q) = %q", in, out)
		}
	}
	for _, plain := range []string{
		"read state prod.tfstate: line 3: unexpected end",
		"sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	} {
		if out := penumbra.Redact(plain); out != plain {
			t.Errorf("Redact(%q) = %q", plain, out)
		}
	}
}

func TestRedactKeepsPaths(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"read /srv/runner/Work-7/infra/Prod_EU2/Cluster-xyz/vpc":    "read /srv/runner/Work-7/infra/Prod_EU2/Cluster-xyz/vpc",
		"read /srv/q7ZtR2mXv9KpLw4NbYc8JhGd5TfSa3Ue1QiOo6Rx/a":      "read [redacted]",
		"key wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAM9LEK3Yq":            "key [redacted]",
		"key /K7/wJalrXUtnFEMI/MDENG/bPxRfiCYzEXAM9LEK3Yq and more": "key [redacted] and more",
	} {
		if out := penumbra.Redact(in); out != want {
			t.Errorf("Redact(%q) = %q, want %q", in, out, want)
		}
	}
}
