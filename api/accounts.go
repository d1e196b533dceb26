package api

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penumbra-iac/penumbra"
)

// A Keeper keeps who may sign in. Each method asks who asks: others' accounts are for
// admins, and others get an error of kind Refused.
type Keeper interface {
	// Accounts returns all of them, by name.
	Accounts(ctx context.Context) ([]penumbra.Account, error)
	// AddAccount returns an error of kind Refused if the name is taken.
	AddAccount(ctx context.Context, n penumbra.NewAccount) (penumbra.Account, error)
	// ChangeAccount changes one by its name.
	ChangeAccount(ctx context.Context, name string, c penumbra.AccountChange) (penumbra.Account, error)
}

// A Greeter lets people in by name and password.
type Greeter interface {
	// SignIn returns whose they are, asked for from an address. It returns an error of
	// kind Refused if they do not fit, and of kind Unavailable if too many were tried.
	SignIn(ctx context.Context, name, password, from string) (*penumbra.Principal, error)
}

// An Issuer makes tokens for who asks, and for programs.
type Issuer interface {
	// Tokens returns those that who asks may see, revoked ones too.
	Tokens(ctx context.Context) ([]penumbra.Token, error)
	// AddToken returns the token with its secret, which is nowhere else.
	AddToken(ctx context.Context, n penumbra.NewToken) (penumbra.MadeToken, error)
	RevokeToken(ctx context.Context, id string) (penumbra.Token, error)
}

type accountList struct {
	Users []penumbra.Account `json:"users"`
}

type newAccount struct {
	Body penumbra.NewAccount
}

type accountChange struct {
	Name string `path:"name" doc:"The user's name or ID." example:"alice"`
	Body penumbra.AccountChange
}

type tokenList struct {
	Tokens []penumbra.Token `json:"tokens"`
}

type newToken struct {
	Body penumbra.NewToken
}

// Login asks for a token by name and password.
type Login struct {
	Name     string        `json:"name" doc:"The user's name." example:"alice"`
	Password string        `json:"password" maxLength:"512" doc:"Their password."`
	Token    string        `json:"token" doc:"What the token is to be called." example:"login-laptop"`
	Lasts    time.Duration `json:"lasts,omitempty" doc:"How long it holds, in nanoseconds; 0 for ever."`
}

type login struct {
	Body Login
	from string
}

// Resolve implements [huma.Resolver]: it notes where the request comes from.
func (in *login) Resolve(ctx huma.Context) []error {
	in.from = ctx.RemoteAddr()
	if host, _, err := net.SplitHostPort(in.from); err == nil {
		in.from = host
	}
	return nil
}

// loginPath is the one route of the API that needs no credential: it gives one.
const loginPath = "/v1/login"

// addLogin adds the route that makes a token of a password.
func addLogin(a huma.API, greeter Greeter, issuer Issuer) {
	r := route{http.MethodPost, loginPath, "login", "access",
		"Get a token by password", "Needs no credential but name and password. The token is one of the user's own, with all that they may. Who guesses has to wait: status 503.",
		penumbra.MadeToken{Token: exampleToken(), Secret: "pnb_4f2a9c0d11e7_…"},
	}
	op := r.operation(a)
	op.Security = []map[string][]string{}
	op.MaxBodyBytes = 16 << 10
	huma.Register(a, op, func(ctx context.Context, in *login) (*output[penumbra.MadeToken], error) {
		p, err := greeter.SignIn(ctx, in.Body.Name, in.Body.Password, in.from)
		if err != nil {
			return nil, problemOf(err)
		}
		made, err := issuer.AddToken(penumbra.WithPrincipal(ctx, p), penumbra.NewToken{Name: in.Body.Token, Kind: penumbra.PersonPrincipal, Lasts: in.Body.Lasts})
		if err != nil {
			return nil, problemOf(err)
		}
		return &output[penumbra.MadeToken]{Body: made}, nil
	})
	op.Responses["200"].Content["application/json"].Example = r.example
}

// Login returns a token of a user's by name and password. The client itself needs
// none.
func (c *Client) Login(ctx context.Context, in Login) (penumbra.MadeToken, error) {
	var made penumbra.MadeToken
	return made, c.call(ctx, http.MethodPost, loginPath, in, &made)
}

type tokenPath struct {
	ID string `path:"id" doc:"The token's id." example:"4f2a9c0d11e7"`
}

func addAccounts(a huma.API, s Keeper) {
	answer(a, route{http.MethodGet, "/v1/whoami", "whoami", "access",
		"Who asks", "The principal that the credential stands for, with what it is granted.",
		examplePrincipal(),
	}, func(ctx context.Context, _ *none) (penumbra.Principal, error) {
		p := penumbra.PrincipalOf(ctx)
		if p == nil {
			_, err := asker(ctx, "")
			return penumbra.Principal{}, err
		}
		return *p, nil
	})
	answer(a, route{http.MethodGet, "/v1/users", "list-users", "access",
		"Users", "Who may sign in, by name, for admins. No answer has a password or its hash.",
		accountList{[]penumbra.Account{exampleAccount()}},
	}, func(ctx context.Context, _ *none) (accountList, error) {
		users, err := s.Accounts(ctx)
		return accountList{orEmpty(users)}, err
	})
	answer(a, route{http.MethodPost, "/v1/users", "add-user", "access",
		"Add a user", "For admins. Without a password the user cannot sign in until one is set. Names are unique without regard to case, and never given to another.",
		exampleAccount(),
	}, func(ctx context.Context, in *newAccount) (penumbra.Account, error) {
		return s.AddAccount(ctx, in.Body)
	})
	answer(a, route{http.MethodPatch, "/v1/users/{name}", "change-user", "access",
		"Change a user", "Password, grants, disabled or not: an admin of any user, others their own password, with the one they have. Every change ends the user's sessions; disabling stops their tokens too.",
		exampleAccount(),
	}, func(ctx context.Context, in *accountChange) (penumbra.Account, error) {
		return s.ChangeAccount(ctx, in.Name, in.Body)
	})
}

func addTokens(a huma.API, s Issuer) {
	answer(a, route{http.MethodGet, "/v1/tokens", "list-tokens", "access",
		"Tokens", "Your own; of everybody for admins; expired and revoked ones too.",
		tokenList{[]penumbra.Token{exampleToken()}},
	}, func(ctx context.Context, _ *none) (tokenList, error) {
		tokens, err := s.Tokens(ctx)
		return tokenList{orEmpty(tokens)}, err
	})
	answer(a, route{http.MethodPost, "/v1/tokens", "add-token", "access",
		"Make a token", "Of your own, never with more than you have; or as an admin of a service or a source. The secret is in this answer alone: only a hash of it is kept. A token makes none that outlives it.",
		penumbra.MadeToken{Token: exampleToken(), Secret: "pnb_4f2a9c0d11e7_…"},
	}, func(ctx context.Context, in *newToken) (penumbra.MadeToken, error) {
		return s.AddToken(ctx, in.Body)
	})
	answer(a, route{http.MethodPost, "/v1/tokens/{id}/revoke", "revoke-token", "access",
		"Revoke a token", "Ends it at once, for good: your own, or any as an admin.",
		exampleToken(),
	}, func(ctx context.Context, in *tokenPath) (penumbra.Token, error) {
		return s.RevokeToken(ctx, in.ID)
	})
}

func examplePrincipal() penumbra.Principal {
	return penumbra.Principal{
		ID: "user:alice", Name: "alice", Kind: penumbra.PersonPrincipal, Grants: exampleAccount().Grants, Via: "token", Credential: "4f2a9c0d11e7",
	}
}

func exampleAccount() penumbra.Account {
	return penumbra.Account{
		ID: "user:alice", Name: "alice", Grants: []penumbra.Grant{{Role: penumbra.Approver, Stacks: []string{"shop*"}, Values: true}},
		Created: exampleTime, Changed: exampleTime, SignedIn: exampleTime.Add(time.Hour),
	}
}

func exampleToken() penumbra.Token {
	return penumbra.Token{
		ID: "4f2a9c0d11e7", Name: "ci", Kind: penumbra.ServicePrincipal, Grants: []penumbra.Grant{{Role: penumbra.Operator, Stacks: []string{"shop"}}},
		Made: exampleTime, By: "olga", Expires: exampleTime.AddDate(0, 3, 0), Used: exampleTime.Add(time.Hour),
	}
}

// Whoami returns the principal that the client's token stands for.
func (c *Client) Whoami(ctx context.Context) (penumbra.Principal, error) {
	var p penumbra.Principal
	return p, c.get(ctx, "/v1/whoami", nil, &p)
}

// Accounts implements [Keeper].
func (c *Client) Accounts(ctx context.Context) ([]penumbra.Account, error) {
	var list accountList
	err := c.get(ctx, "/v1/users", nil, &list)
	return list.Users, err
}

// AddAccount implements [Keeper].
func (c *Client) AddAccount(ctx context.Context, n penumbra.NewAccount) (penumbra.Account, error) {
	var a penumbra.Account
	return a, c.call(ctx, http.MethodPost, "/v1/users", n, &a)
}

// ChangeAccount implements [Keeper].
func (c *Client) ChangeAccount(ctx context.Context, name string, change penumbra.AccountChange) (penumbra.Account, error) {
	var a penumbra.Account
	if name == "" {
		return a, unnamed("user")
	}
	return a, c.call(ctx, http.MethodPatch, "/v1/users/"+url.PathEscape(name), change, &a)
}

// Tokens implements [Issuer].
func (c *Client) Tokens(ctx context.Context) ([]penumbra.Token, error) {
	var list tokenList
	err := c.get(ctx, "/v1/tokens", nil, &list)
	return list.Tokens, err
}

// AddToken implements [Issuer].
func (c *Client) AddToken(ctx context.Context, n penumbra.NewToken) (penumbra.MadeToken, error) {
	var made penumbra.MadeToken
	return made, c.call(ctx, http.MethodPost, "/v1/tokens", n, &made)
}

// RevokeToken implements [Issuer].
func (c *Client) RevokeToken(ctx context.Context, id string) (penumbra.Token, error) {
	var t penumbra.Token
	return t, c.callOn(ctx, http.MethodPost, "token", "/v1/tokens/", id, "/revoke", nil, &t)
}
