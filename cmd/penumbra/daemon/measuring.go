package daemon

import (
	"net"
	"net/http"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/telemetry"
)

// noting makes sure who asks, and notes it for log lines and traces.
type noting struct{ api.Authenticator }

// Authenticate returns the principal whose credential the request carries.
func (n noting) Authenticate(r *http.Request) (*penumbra.Principal, error) {
	p, err := n.Authenticator.Authenticate(r)
	if p != nil {
		telemetry.Principal(r.Context(), p.ID)
	}
	return p, err
}

// metricsFor shows metrics to who has a credential, and where the configuration says
// so to who is on this machine.
func metricsFor(c *wire.Config, who api.Authenticator, metrics http.Handler) http.Handler {
	guarded, local := api.Guard(who, metrics), api.Local(metrics)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); c.Telemetry.OpenMetrics && ip != nil && ip.IsLoopback() {
			local.ServeHTTP(w, r)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}
