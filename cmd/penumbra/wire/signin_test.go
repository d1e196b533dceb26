package wire

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func TestProvidersAreChecked(t *testing.T) {
	t.Parallel()
	const good = "{name: corp, issuer: 'https://id.example', client_id: p, client_secret_env: OIDC_SECRET_OF_THE_TEST, groups: {dba: ['approver:stack=shop*']}}"
	for what, tc := range map[string]struct{ from, to, says string }{
		"good":                 {"", "", ""},
		"no name":              {"name: corp", "name: Corp A", "access.oidc[0] has no name"},
		"no TLS":               {"https://id.example", "http://id.example", `has the issuer "http://id.example"`},
		"no issuer":            {"issuer: 'https://id.example', ", "", "has the issuer"},
		"no client":            {"client_id: p, ", "", "has no client_id"},
		"a secret in the file": {"client_secret_env", "client_secret", "unknown key access.oidc[0].client_secret"},
		"no secret":            {"client_secret_env: OIDC_SECRET_OF_THE_TEST, ", "", "needs one of client_secret_file and client_secret_env"},
		"no group":             {", groups: {dba: ['approver:stack=shop*']}", "", "grants nothing"},
		"a role that is none":  {"approver", "root", `"root" is no role`},
		"a bound that is none": {"stack=", "stacks=", "means nothing"},
		"an unknown key":       {"name: corp", "name: corp, colour: red", "unknown key access.oidc[0].colour"},
		"twice":                {"{name", good + ", {name", "two of access.oidc"},
	} {
		path := filepath.Join(t.TempDir(), "penumbra.yaml")
		text := "access: {url: 'https://penumbra.example', oidc: [" + strings.Replace(good, tc.from, tc.to, 1) + "]}\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := LoadConfig(path)
		if tc.says == "" {
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			_, err = c.Providers(nil, "http://localhost")
			if penumbra.KindOf(err) != penumbra.Missing || !strings.Contains(err.Error(), "OIDC_SECRET_OF_THE_TEST") {
				t.Errorf("%s: without the secret: %v", what, err)
			}
			continue
		}
		if err == nil || penumbra.KindOf(err) != penumbra.Invalid || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", what, err, tc.says)
		}
	}
}
