package wire

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/v2"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/alertmanager"
	"github.com/penumbra-iac/penumbra/adapter/chat"
	"github.com/penumbra-iac/penumbra/adapter/email"
	"github.com/penumbra-iac/penumbra/adapter/webhook"
	"github.com/penumbra-iac/penumbra/notify"
)

// notifyConfig says who is told of what: docs/notifications.md.
type notifyConfig struct {
	// URL is where people see the pages, for links.
	URL      string          `koanf:"url"`
	Gather   time.Duration   `koanf:"gather"`
	Stale    time.Duration   `koanf:"stale"`
	Keep     time.Duration   `koanf:"keep"`
	Retries  int             `koanf:"retries"`
	Channels []channelConfig `koanf:"channels"`
	Routes   []routeConfig   `koanf:"routes"`
}

// channelConfig is one way to people. What is secret of it is in a file or in the
// environment; here is which.
type channelConfig struct {
	Name string `koanf:"name"`
	Kind string `koanf:"kind"`

	URL     string `koanf:"url"`
	URLEnv  string `koanf:"url_env"`
	URLFile string `koanf:"url_file"`
	// SecretEnv and SecretFile hold what webhooks are signed with; several, apart by
	// space, sign each.
	SecretEnv  string `koanf:"secret_env"`
	SecretFile string `koanf:"secret_file"`
	// TokenEnv and TokenFile hold Slack's token of a bot, Alertmanager's bearer token.
	TokenEnv  string `koanf:"token_env"`
	TokenFile string `koanf:"token_file"`
	Room      string `koanf:"room"` // of Slack

	Host         string   `koanf:"host"`
	Port         int      `koanf:"port"`
	TLS          string   `koanf:"tls"`
	From         string   `koanf:"from"`
	To           []string `koanf:"to"`
	Username     string   `koanf:"username"`
	PasswordEnv  string   `koanf:"password_env"`
	PasswordFile string   `koanf:"password_file"`
	CAFile       string   `koanf:"ca_file"`

	Rate         float64       `koanf:"rate"` // an hour
	Burst        int           `koanf:"burst"`
	Quiet        []quietConfig `koanf:"quiet"`
	LoudCritical bool          `koanf:"critical_breaks_quiet"`
}

// quietConfig are quiet hours.
type quietConfig struct {
	From     string   `koanf:"from"`
	To       string   `koanf:"to"`
	Days     []string `koanf:"days"`
	TimeZone string   `koanf:"time_zone"`
}

// routeConfig says which channels hear of what.
type routeConfig struct {
	Channels     []string `koanf:"channels"`
	Stacks       []string `koanf:"stacks"`
	Environments []string `koanf:"environments"`
	Severity     string   `koanf:"severity"` // the least
	Verdicts     []string `koanf:"verdicts"`
	About        []string `koanf:"about"`
}

// The kinds of channel.
const (
	webhookChannel      = "webhook"
	slackChannel        = "slack"
	teamsChannel        = "teams"
	alertmanagerChannel = "alertmanager"
	emailChannel        = "email"
)

var channelKinds = []string{webhookChannel, slackChannel, teamsChannel, alertmanagerChannel, emailChannel}

// days are those of the week as quiet hours name them.
var days = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// checkNotify checks what the configuration says of notices. What is secret is not
// read yet: a verb that tells nobody does not need it.
func (c *Config) checkNotify(k *koanf.Koanf) error {
	for _, list := range []struct {
		name, noun string
		known      []string
	}{{"notify.channels", "a channel", keysOf[channelConfig]()}, {"notify.routes", "a route", keysOf[routeConfig]()}} {
		if key, ok := unknownKey(k.Get(list.name), list.name, list.known); ok {
			return c.invalid("unknown key "+key, "the keys of "+list.noun+" are "+strings.Join(list.known, ", "), nil)
		}
	}
	channels, _ := k.Get("notify.channels").([]any)
	for i, item := range channels {
		keys, _ := item.(map[string]any)
		if key, ok := unknownKey(keys["quiet"], fmt.Sprintf("notify.channels[%d].quiet", i), keysOf[quietConfig]()); ok {
			return c.invalid("unknown key "+key, "the keys of quiet hours are "+strings.Join(keysOf[quietConfig](), ", "), nil)
		}
	}
	for i := range c.Notify.Channels {
		x := &c.Notify.Channels[i]
		if what, remedy := x.check(); what != "" {
			return c.invalid(fmt.Sprintf("notify.channels[%d] (%s) %s", i, x.Name, what), remedy, nil)
		}
		if _, err := c.quietHours(i, x); err != nil {
			return err
		}
	}
	_, err := c.routes()
	return err
}

// check returns what is wrong with a channel and what to do about it, "" if nothing.
func (x *channelConfig) check() (what, remedy string) {
	address := x.URL != "" || x.URLEnv != "" || x.URLFile != ""
	switch {
	case !penumbra.ValidStackName(x.Name):
		return "has a name that is none", "use letters, digits, '.', '_' and '-'"
	case !slices.Contains(channelKinds, x.Kind):
		return fmt.Sprintf("is of kind %q", x.Kind), "use " + strings.Join(channelKinds, ", ")
	case x.URL != "" && (x.Kind == slackChannel || x.Kind == teamsChannel):
		return "has its address in the file: whoever has it can post", "name the variable that holds it as url_env, or its file as url_file"
	case x.Kind == slackChannel && !address && x.TokenEnv == "" && x.TokenFile == "":
		return "has neither an address nor a token", "name the webhook's address by url_env or url_file, or a bot's token by token_env or token_file with a room"
	case x.Kind != emailChannel && x.Kind != slackChannel && !address:
		return "has no address", "give url, url_env or url_file"
	case x.Kind == webhookChannel && x.SecretEnv == "" && x.SecretFile == "":
		return "has no secret: receivers could not tell it from a forgery", "name what holds it as secret_env or secret_file"
	case x.Rate < 0 || x.Burst < 0:
		return "has a rate or a burst below 0", "give how many notices an hour, and how many at once"
	}
	for _, name := range []string{x.URLEnv, x.SecretEnv, x.TokenEnv, x.PasswordEnv} {
		if name != "" && !variableForm.MatchString(name) {
			return "names a variable that is none", "name the variable, and keep its content out of the file"
		}
	}
	return "", ""
}

func (c *Config) quietHours(i int, x *channelConfig) ([]notify.Quiet, error) {
	var out []notify.Quiet
	for j, q := range x.Quiet {
		where := fmt.Sprintf("notify.channels[%d].quiet[%d]", i, j)
		zone, err := c.zone(cmp.Or(q.TimeZone, c.TimeZone), where+".time_zone")
		if err != nil {
			return nil, err
		}
		hours := notify.Quiet{Zone: zone}
		for _, end := range []struct {
			name, text string
			to         *time.Duration
		}{{"from", q.From, &hours.From}, {"to", q.To, &hours.To}} {
			at, err := time.Parse("15:04", end.text)
			if err != nil && end.text != "24:00" {
				return nil, c.invalid(fmt.Sprintf("%s.%s %q", where, end.name, end.text), `write a time of the day such as "22:00", in quotes`, nil)
			}
			*end.to = time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
			if end.text == "24:00" {
				*end.to = 24 * time.Hour
			}
		}
		for _, name := range q.Days {
			day := slices.Index(days, strings.ToLower(name)[:min(3, len(name))])
			if day < 0 {
				return nil, c.invalid(fmt.Sprintf("%s.days has %q", where, name), "use "+strings.Join(days, ", "), nil)
			}
			hours.Days = append(hours.Days, time.Weekday(day))
		}
		if err := hours.Check(); err != nil {
			return nil, c.invalid(where, "", err)
		}
		out = append(out, hours)
	}
	return out, nil
}

func (c *Config) routes() ([]notify.Route, error) {
	var out []notify.Route
	for i, r := range c.Notify.Routes {
		where := fmt.Sprintf("notify.routes[%d]", i)
		route := notify.Route{Channels: r.Channels, Stacks: r.Stacks, Environments: r.Environments}
		if r.Severity != "" {
			if err := route.Least.UnmarshalText([]byte(r.Severity)); err != nil {
				return nil, c.invalid(where+".severity", "use low, medium, high or critical", err)
			}
		}
		for _, text := range r.Verdicts {
			var v penumbra.Verdict
			if err := v.UnmarshalText([]byte(text)); err != nil {
				return nil, c.invalid(where+".verdicts", "use drifted, unexpected, impending, tolerated", err)
			}
			route.Verdicts = append(route.Verdicts, v)
		}
		for _, text := range r.About {
			if !slices.Contains(penumbra.NoticeAbouts, penumbra.NoticeAbout(text)) {
				return nil, c.invalid(fmt.Sprintf("%s.about has %q", where, text), fmt.Sprintf("use %v", penumbra.NoticeAbouts), nil)
			}
			route.About = append(route.About, penumbra.NoticeAbout(text))
		}
		for _, name := range r.Channels {
			if !slices.ContainsFunc(c.Notify.Channels, func(x channelConfig) bool { return x.Name == name }) {
				return nil, c.invalid(fmt.Sprintf("%s leads to channel %q, which is not configured", where, name), "name one of `notify.channels`", nil)
			}
		}
		out = append(out, route)
	}
	return out, nil
}

// unusable is a channel whose secrets can't be read: it says so each time that it is to
// send, and is tried again until somebody has corrected it.
type unusable struct{ err error }

func (u unusable) Send(context.Context, *penumbra.Notice) (string, error) {
	e := &penumbra.Error{Kind: penumbra.Unavailable, What: u.err.Error()}
	if x, ok := errors.AsType[*penumbra.Error](u.err); ok {
		e.What, e.Remedy, e.Err = x.What, x.Remedy, x.Err
	}
	return "", e
}

// teller joins the channels.
func (c *Config) teller(world notify.World, watch notify.Watch, outbox notify.Outbox, o Options) (*notify.Teller, error) {
	routes, err := c.routes()
	if err != nil {
		return nil, err
	}
	environments := map[string]string{}
	for _, s := range c.Stacks {
		environments[s.Name] = s.Environment
	}
	cfg := notify.Config{
		World: world, Watch: watch, Outbox: outbox, Routes: routes, URL: c.Notify.URL, Gather: c.Notify.Gather, Stale: c.Notify.Stale,
		Retries: c.Notify.Retries, Keep: c.Notify.Keep, Now: o.Now, Log: o.Log,
		Environment: func(stack string) string { return environments[stack] },
	}
	if o.Telemetry != nil {
		cfg.Observe = o.Telemetry.Told
	}
	for i := range c.Notify.Channels {
		x := &c.Notify.Channels[i]
		quiet, err := c.quietHours(i, x)
		if err != nil {
			return nil, err
		}
		sender, err := c.sender(x, o)
		if err != nil {
			o.Log.Warn("a channel cannot be used", "channel", x.Name, "error", err)
			sender = unusable{err}
		}
		cfg.Channels = append(cfg.Channels, notify.Channel{
			Name: x.Name, Kind: x.Kind, Sender: sender, Quiet: quiet, LoudCritical: x.LoudCritical, Rate: x.Rate, Burst: cmp.Or(x.Burst, 5),
		})
	}
	return notify.New(cfg)
}

// sender makes what sends through a channel.
func (c *Config) sender(x *channelConfig, o Options) (notify.Sender, error) {
	read := func(key, env, file string) (string, error) {
		return c.secretOf("notify channel "+x.Name+": "+key, env, file)
	}
	address, err := read("url", x.URLEnv, x.URLFile)
	if err != nil {
		return nil, err
	}
	address = cmp.Or(address, x.URL)
	secret, err := read("secret", x.SecretEnv, x.SecretFile)
	if err != nil {
		return nil, err
	}
	token, err := read("token", x.TokenEnv, x.TokenFile)
	if err != nil {
		return nil, err
	}
	password, err := read("password", x.PasswordEnv, x.PasswordFile)
	if err != nil {
		return nil, err
	}
	guard, err := c.OutboundGuard()
	if err != nil {
		return nil, err
	}
	if address != "" && x.Kind != alertmanagerChannel {
		if err := guard.CheckURL(address); err != nil {
			return nil, err
		}
	}
	guarded := guard.Client(25 * time.Second)
	switch x.Kind {
	case webhookChannel:
		return webhook.New(webhook.Config{URL: address, Secrets: strings.Fields(secret), Client: guarded, Now: o.Clock()})
	case slackChannel:
		return chat.NewSlack(chat.SlackConfig{URL: address, Token: token, Room: x.Room, Client: guarded})
	case teamsChannel:
		return &chat.Teams{URL: address, Client: guarded}, nil
	case emailChannel:
		roots, err := c.roots(x.CAFile)
		if err != nil {
			return nil, err
		}
		return email.New(email.Config{Host: x.Host, Port: x.Port, TLS: x.TLS, Username: x.Username, Password: password, From: x.From, To: x.To, Roots: roots})
	default:
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.User != nil || !slices.Contains([]string{"http", "https"}, u.Scheme) {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "notify channel " + x.Name + ": the address is none", Remedy: "write http://alertmanager.example.com:9093, without a user"}
		}
		// It is the operator's own server, as a rule on a private network or this
		// machine, and posts nothing that the guard would have to keep in.
		client := &http.Client{Timeout: 25 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		authorization := ""
		switch {
		case token != "":
			authorization = "Bearer " + token
		case x.Username != "":
			both := base64.StdEncoding.EncodeToString([]byte(x.Username + ":" + password))
			penumbra.Conceal(both)
			authorization = "Basic " + both
		}
		return alertmanager.New(alertmanager.Config{URL: address, Authorization: authorization, Client: client}), nil
	}
}

// secretOf reads a secret from where the configuration says, "" if it says nowhere.
func (c *Config) secretOf(what, env, file string) (string, error) {
	switch {
	case env != "" && file != "":
		return "", &penumbra.Error{Kind: penumbra.Invalid, What: what + " is named by a variable and by a file", Remedy: "keep one of them"}
	case env != "":
		text := strings.TrimSpace(os.Getenv(env))
		if text == "" {
			return "", &penumbra.Error{Kind: penumbra.Missing, What: what + ": the variable " + env + " is not set", Remedy: "set it where Penumbra runs"}
		}
		penumbra.Conceal(strings.Fields(text)...)
		return text, nil
	case file != "":
		path := c.path(file)
		text, err := os.ReadFile(path)
		if err == nil && strings.TrimSpace(string(text)) == "" {
			err = errors.New("it is empty")
		}
		if err != nil {
			return "", &penumbra.Error{Kind: penumbra.Missing, What: what + ": read " + path, Remedy: "correct the name, and let the user who runs Penumbra read it", Err: err}
		}
		penumbra.Conceal(strings.Fields(string(text))...)
		return strings.TrimSpace(string(text)), nil
	}
	return "", nil
}

// roots returns the system's authorities and those of a file, nil without a file.
func (c *Config) roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	text, err := os.ReadFile(c.path(file))
	if err == nil && !pool.AppendCertsFromPEM(text) {
		err = errors.New("it has no certificate")
	}
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read the authorities in " + c.path(file), Remedy: "correct ca_file", Err: err}
	}
	return pool, nil
}

// ChannelNames returns the names of the channels, in the order of the file.
func (c *Config) ChannelNames() []string {
	var names []string
	for i := range c.Notify.Channels {
		names = append(names, c.Notify.Channels[i].Name)
	}
	return names
}
