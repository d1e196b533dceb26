package wire

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/v2"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/access"
	"github.com/penumbra-iac/penumbra/access/oidc"
	"github.com/penumbra-iac/penumbra/web"
)

// accessConfig says who may come in beside those that the store keeps.
type accessConfig struct {
	// URL is where browsers reach the daemon; where it listens without one.
	URL  string           `koanf:"url"`
	OIDC []providerConfig `koanf:"oidc"`
}

// providerConfig is an OpenID provider.
type providerConfig struct {
	Name     string `koanf:"name"`
	Issuer   string `koanf:"issuer"`
	ClientID string `koanf:"client_id"`
	// The client's secret is in a file, or in an environment variable; never in the
	// configuration.
	SecretFile string   `koanf:"client_secret_file"`
	SecretEnv  string   `koanf:"client_secret_env"`
	Scopes     []string `koanf:"scopes"`
	NameClaim  string   `koanf:"name_claim"`
	AnyEmail   bool     `koanf:"unverified_email"`
	// GroupsClaim names the groups of a person, Groups what each is granted.
	GroupsClaim string              `koanf:"groups_claim"`
	Groups      map[string][]string `koanf:"groups"`
}

var providerName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// check returns what is wrong with a provider and what to do about it, "" if nothing.
func (p *providerConfig) check() (what, remedy string) {
	u, err := url.Parse(p.Issuer)
	switch {
	case !providerName.MatchString(p.Name):
		return "has no name for addresses", "name it in small letters, digits and -, such as corp"
	case err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && isLoopbackName(u.Hostname())):
		return fmt.Sprintf("has the issuer %q", p.Issuer), "give the address that the provider calls itself by, with https"
	case p.ClientID == "":
		return "has no client_id", "register Penumbra at the provider, and give what it is called there"
	case (p.SecretFile == "") == (p.SecretEnv == ""):
		return "needs one of client_secret_file and client_secret_env", "name the file, or the environment variable, that holds the client's secret"
	case len(p.Groups) == 0:
		return "grants nothing to any group", "say under groups what each may, such as dba: [approver:stack=shop*]"
	}
	if _, err := p.grants(); err != nil {
		return err.Error(), "write a role and where it holds, such as approver:stack=shop*:values"
	}
	return "", ""
}

func isLoopbackName(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

func (p *providerConfig) grants() (map[string][]penumbra.Grant, error) {
	out := map[string][]penumbra.Grant{}
	for group, texts := range p.Groups {
		for _, text := range texts {
			g, err := access.ParseGrant(text)
			if err != nil {
				return nil, err
			}
			out[group] = append(out[group], g)
		}
	}
	return out, nil
}

func (c *Config) checkAccess(k *koanf.Koanf) error {
	invalid := func(what, remedy string) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: orDefaults(c.file) + ": " + what, Remedy: remedy}
	}
	if key, ok := unknownKey(k.Get("access.oidc"), "access.oidc", keysOf[providerConfig]()); ok {
		return invalid("unknown key "+key, "the keys of a provider are "+strings.Join(keysOf[providerConfig](), ", "))
	}
	var names []string
	for i, p := range c.Access.OIDC {
		if what, remedy := p.check(); what != "" {
			return invalid(fmt.Sprintf("access.oidc[%d] %s", i, what), remedy)
		}
		if slices.Contains(names, p.Name) {
			return invalid(fmt.Sprintf("two of access.oidc are named %q", p.Name), "give each a name of its own")
		}
		names = append(names, p.Name)
	}
	if u, err := url.Parse(c.Access.URL); c.Access.URL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		return invalid(fmt.Sprintf("access.url %q", c.Access.URL), "give where browsers reach the daemon, such as https://penumbra.example:7676")
	}
	return nil
}

// secret reads the client's secret.
func (p *providerConfig) secret(c *Config) (string, error) {
	if p.SecretEnv != "" {
		if text := os.Getenv(p.SecretEnv); text != "" {
			penumbra.Conceal(text)
			return text, nil
		}
		return "", &penumbra.Error{Kind: penumbra.Missing, What: "the environment has no " + p.SecretEnv, Remedy: "set it to the secret of client " + p.ClientID}
	}
	text, err := os.ReadFile(c.path(p.SecretFile))
	if err != nil {
		return "", &penumbra.Error{Kind: penumbra.Missing, What: "read the secret of client " + p.ClientID, Remedy: "correct client_secret_file in penumbra.yaml", Err: err}
	}
	secret := strings.TrimSpace(string(text))
	penumbra.Conceal(secret)
	return secret, nil
}

// provider is an OpenID provider whose people come in as the keeper says.
type provider struct {
	*oidc.Provider
	keeper *access.Keeper
}

var _ web.Provider = provider{}

// Finish implements [web.Provider].
func (p provider) Finish(ctx context.Context, state string, query url.Values, from string) (*penumbra.Principal, error) {
	who, err := p.Provider.Finish(ctx, state, query)
	if err != nil {
		return nil, err
	}
	return p.keeper.Welcome(ctx, penumbra.Account{ID: who.ID, Name: who.Name, Groups: who.Groups, Grants: who.Grants}, from)
}

// Providers are the configured ones. at is where the daemon listens.
func (c *Config) Providers(k *access.Keeper, at string) ([]web.Provider, error) {
	if c.Access.URL != "" {
		at = strings.TrimRight(c.Access.URL, "/")
	}
	var out []web.Provider
	for _, p := range c.Access.OIDC {
		secret, err := p.secret(c)
		if err != nil {
			return nil, err
		}
		grants, err := p.grants()
		if err != nil {
			return nil, err
		}
		out = append(out, provider{oidc.New(oidc.Config{
			Name: p.Name, Issuer: p.Issuer, ClientID: p.ClientID, Secret: secret, Redirect: at + "/oidc/" + p.Name + "/callback", Scopes: p.Scopes,
			NameClaim: p.NameClaim, GroupsClaim: p.GroupsClaim, AnyEmail: p.AnyEmail, Groups: grants,
		}), k})
	}
	return out, nil
}
