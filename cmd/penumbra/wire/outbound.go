package wire

import "github.com/penumbra-iac/penumbra/internal/outbound"

// outboundConfig says what is sent to beyond the public internet.
type outboundConfig struct {
	// Allow are networks such as 10.20.0.0/16, and single addresses.
	Allow []string `koanf:"allow"`
}

// OutboundGuard returns what guards messages to addresses that people name, such as
// webhooks. The error is of kind Invalid.
func (c *Config) OutboundGuard() (*outbound.Guard, error) { return outbound.New(c.Outbound.Allow) }
