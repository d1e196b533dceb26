package oidc

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/penumbra-iac/penumbra"
)

// liar is a provider that answers what a test wants: what no honest one does cannot be
// had of a real one.
type liar struct {
	*httptest.Server
	key     *rsa.PrivateKey
	token   func(claims map[string]any) string // what it gives for a code
	claims  map[string]any                     // changes to the honest ones
	issuer  string                             // what it calls itself, its address if empty
	subject string                             // of its userinfo
	nonce   string
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	l := &liar{key: must(rsa.GenerateKey(rand.Reader, 2048)), subject: "8812"}
	l.token = l.signed
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		issuer := l.issuer
		if issuer == "" {
			issuer = l.URL
		}
		answer(w, map[string]any{
			"issuer": issuer, "authorization_endpoint": l.URL + "/auth", "token_endpoint": l.URL + "/token", "jwks_uri": l.URL + "/keys", "userinfo_endpoint": l.URL + "/userinfo",
			"id_token_signing_alg_values_supported": []string{"none", "HS256", "RS256"}, "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &l.key.PublicKey, KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("/userinfo", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"sub": l.subject, "groups": []string{"dba"}})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		claims := map[string]any{
			"iss": l.URL, "sub": "8812", "aud": "penumbra", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "nonce": l.nonce,
			"email": "alice@example.com", "email_verified": true, "groups": []string{"dba"},
		}
		for name, x := range l.claims {
			if claims[name] = x; x == nil {
				delete(claims, name)
			}
		}
		answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": l.token(claims)})
	})
	l.Server = httptest.NewServer(mux)
	t.Cleanup(l.Close)
	return l
}

func answer(w http.ResponseWriter, x any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(x)
}

func (l *liar) signed(claims map[string]any) string {
	return sign(claims, jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: l.key, KeyID: "k"}})
}

func sign(claims map[string]any, key jose.SigningKey) string {
	signer := must(jose.NewSigner(key, nil))
	return must(must(signer.Sign(must(json.Marshal(claims)))).CompactSerialize())
}

// unsigned is a token of the algorithm "none".
func unsigned(claims map[string]any) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + part(must(json.Marshal(claims))) + "."
}

// TestHostileProvider holds each check against a token that fails it alone.
func TestHostileProvider(t *testing.T) {
	t.Parallel()
	stranger := must(rsa.GenerateKey(rand.Reader, 2048))
	for what, lie := range map[string]func(l *liar){
		"another nonce":    func(l *liar) { l.claims = map[string]any{"nonce": "another"} },
		"no nonce":         func(l *liar) { l.claims = map[string]any{"nonce": nil} },
		"another audience": func(l *liar) { l.claims = map[string]any{"aud": "another"} },
		"no audience":      func(l *liar) { l.claims = map[string]any{"aud": nil} },
		"another issuer":   func(l *liar) { l.claims = map[string]any{"iss": "https://id.example"} },
		"expired":          func(l *liar) { l.claims = map[string]any{"exp": time.Now().Add(-time.Minute).Unix()} },
		"no end":           func(l *liar) { l.claims = map[string]any{"exp": nil} },
		"not yet":          func(l *liar) { l.claims = map[string]any{"nbf": time.Now().Add(time.Hour).Unix()} },
		"no signature":     func(l *liar) { l.token = unsigned },
		"a stranger's key": func(l *liar) {
			l.token = func(c map[string]any) string {
				return sign(c, jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: stranger, KeyID: "k"}})
			}
		},
		"its public key as a secret": func(l *liar) {
			l.token = func(c map[string]any) string {
				public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(&l.key.PublicKey))})
				return sign(c, jose.SigningKey{Algorithm: jose.HS256, Key: public})
			}
		},
		"changed after signing": func(l *liar) {
			l.token = func(c map[string]any) string {
				parts := strings.Split(l.signed(c), ".")
				c["groups"] = []string{"admins"}
				return parts[0] + "." + base64.RawURLEncoding.EncodeToString(must(json.Marshal(c))) + "." + parts[2]
			}
		},
		"no token":                      func(l *liar) { l.token = func(map[string]any) string { return "" } },
		"a giant":                       func(l *liar) { l.token = func(map[string]any) string { return strings.Repeat("x.", 1<<20) } },
		"no name":                       func(l *liar) { l.claims = map[string]any{"email": nil} },
		"a name that is none":           func(l *liar) { l.claims = map[string]any{"email": []string{"alice"}} },
		"an unverified name":            func(l *liar) { l.claims = map[string]any{"email_verified": false} },
		"a name that may be unverified": func(l *liar) { l.claims = map[string]any{"email_verified": nil} },
		"another's userinfo":            func(l *liar) { l.claims = map[string]any{"groups": nil}; l.subject = "1" },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l := newLiar(t)
			p := New(Config{Name: "corp", Issuer: l.URL, ClientID: "penumbra", Groups: map[string][]penumbra.Grant{"dba": {{Role: penumbra.Viewer}}, "admins": {{Role: penumbra.Admin}}}})
			finish := func() (Identity, error) {
				to, state, err := p.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				l.nonce = must(url.Parse(to)).Query().Get("nonce")
				return p.Finish(t.Context(), state, url.Values{"state": {state}, "code": {"c"}})
			}
			if who, err := finish(); err != nil || len(who.Grants) != 1 || who.Name != "alice@example.com" {
				t.Fatalf("an honest token: %+v %v", who, err)
			}
			lie(l)
			if who, err := finish(); penumbra.KindOf(err) != penumbra.Refused || err == nil {
				t.Errorf("%+v %v", who, err)
			}
		})
	}
}

// TestMixUp sends the answer of one provider to another.
func TestMixUp(t *testing.T) {
	t.Parallel()
	honest, evil := newLiar(t), newLiar(t)
	p := New(Config{Name: "corp", Issuer: honest.URL, ClientID: "penumbra"})
	other := New(Config{Name: "evil", Issuer: evil.URL, ClientID: "penumbra"})
	_, state, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(t.Context(), state, url.Values{"state": {state}, "code": {"c"}}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("a state of another provider's: %v", err)
	}
	_, state, err = p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(t.Context(), state, url.Values{"state": {state}, "code": {"c"}, "iss": {evil.URL}}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("an answer that names another issuer: %v", err)
	}
	evil.issuer = honest.URL
	if _, _, err := New(Config{Name: "evil", Issuer: evil.URL}).Begin(t.Context()); penumbra.KindOf(err) != penumbra.Unavailable {
		t.Errorf("a provider that calls itself another: %v", err)
	}
}

func TestAnswersThatWereNotAskedFor(t *testing.T) {
	t.Parallel()
	l := newLiar(t)
	now := time.Now()
	p := New(Config{Name: "corp", Issuer: l.URL, ClientID: "penumbra", Now: func() time.Time { return now }})
	_, state, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for what, tc := range map[string]struct{ held, sent string }{"none begun": {"x", "x"}, "empty": {"", ""}, "no cookie": {"", state}, "another browser's": {"x", state}} {
		if _, err := p.Finish(t.Context(), tc.held, url.Values{"state": {tc.sent}, "code": {"c"}}); penumbra.KindOf(err) != penumbra.Refused {
			t.Errorf("%s: %v", what, err)
		}
	}
	now = now.Add(awayFor)
	if _, err := p.Finish(t.Context(), state, url.Values{"state": {state}, "code": {"c"}}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("too late: %v", err)
	}
	_, state, _ = p.Begin(t.Context())
	_, err = p.Finish(t.Context(), state, url.Values{"state": {state}, "error": {"access_denied"}, "error_description": {"<script>" + strings.Repeat("x", 1<<16)}})
	if penumbra.KindOf(err) != penumbra.Refused || len(err.Error()) > 400 {
		t.Errorf("an error: %d bytes", len(fmt.Sprint(err)))
	}
}
