package penumbra_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// Not parallel with others of its kind: what is concealed is the process's.
func TestKnownCredentialsAreConcealed(t *testing.T) {
	const token, part = "sesame of <concealed> & more", "b1gs3cr3tpath"
	penumbra.Conceal(token, "https://u:p4ssw0rd-x@hooks.example/services/T0/"+part+"?sig=q%26a-12345&v=1", "short", "postgres")
	penumbra.ConcealNamed([]string{"PGPASSWORD=open-sesame-77", "AWS_REGION=eu-central-1-x", "DB_PASSWORD=postgres"})
	for _, text := range []string{
		"refused: " + token, "x=" + url.QueryEscape(token), `{"m":"sesame of \u003cconcealed\u003e \u0026 more"}`, "no " + part + " here", "with q&a-12345", "q%26a-12345", "as p4ssw0rd-x", "the open-sesame-77 of all",
	} {
		got := penumbra.Redact(text)
		for _, left := range []string{"concealed", part, "12345", "p4ssw0rd", "sesame"} {
			if strings.Contains(got, left) {
				t.Errorf("%q leaves %q", text, got)
			}
		}
		if again := penumbra.Redact(got); again != got {
			t.Errorf("%q becomes %q", got, again)
		}
		if !penumbra.HoldsSecret("note", penumbra.String(text)) {
			t.Errorf("%q is stored as it is", text)
		}
	}
	for _, text := range []string{"a short text of postgres in eu-central-1-x", "https://hooks.example/services/T0/other"} {
		if got := penumbra.Redact(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}
