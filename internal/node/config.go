package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/token"
)

// Peer is another node as it is configured, and thereby admitted.
type Peer struct {
	Key       keys.Public
	Zone      mesh.Zone // empty: the zone of its first operation
	Endpoints []string  // host:port; may be empty, then it has to dial us
}

// maxNodes bounds the configured peers, and the members dealt with: the largest mesh simulated has 1,000 zones.
const maxNodes = 4096

// Config is what a node is told. It is not changed after New.
type Config struct {
	Key     keys.Private   // required
	Zone    mesh.Zone      // required
	Network mesh.NetworkID // required, at most mesh.MaxNetworkID bytes

	BindAddresses []string // IP addresses to listen on; empty: all, both families
	Port          int      // UDP and TCP; 0: some free port, for tests
	StrictPort    bool     // a port that is taken is an error instead of a warning and another port
	Advertise     []string // host:port under which others reach us, told in heartbeats; at most 8

	Nodes         []Peer
	AdmissionOpen bool // let every key in; for demonstrations

	HeartbeatInterval    time.Duration // presence; default 5 s, 100 ms to 1 min
	ResyncInterval       time.Duration // between two sync rounds of a quiet link, with jitter; default 60 s, at least 1 s
	PeerUnavailableAfter time.Duration // from silence to Unavailable; default 120 s
	ProbeInterval        time.Duration // a quiet link is probed after one and a half of it; default 1 s, at least 10 ms
	Grace                time.Duration // for a shutdown; default 10 s
	Records              bool          // tell the members where this node is reached, and pass on what others tell
	MDNS                 bool          // find nodes on the local network, and be found
	Gossip               bool          // carry small operations and presence by gossip where zones are no neighbours
	Version              string        // of the software, for people; at most 64 bytes

	Store   oplog.Store    // required; the caller closes it after Run returned
	Replica replica.Config // Network, Zone, Key and Members are filled in from above
	Cluster Cluster        // nil: membership and replication only

	// DiskLow reports that foreign operations must not be taken because the disk is nearly full. It is asked
	// about once a second, from several goroutines. Nil: never.
	DiskLow func() bool
	// FilesGone reports that the process may open no more files. It is asked with each heartbeat. Nil: never.
	FilesGone func() bool
	// Decided is told every decision after it is on disk, by the goroutine that everything waits for: it must not
	// block. Nil: nobody is told.
	Decided func(replica.Decision)

	// Tell is handed what people should know of what happens: notices without id. It is called by many goroutines, and
	// by the one that everything waits for: it must not block. Nil: nobody is told.
	Tell func(mesh.Notice)

	// HandOver is the statement that the zone of a former key goes to Key (token.HandOver); it is presented to
	// peers that don't admit Key. Empty: none.
	HandOver string

	Logger     *slog.Logger          // nil: none
	JoinLogger *slog.Logger          // of who joins; nil: Logger
	Registerer prometheus.Registerer // nil: no metrics are registered
	Now        func() time.Time      // nil: time.Now

	lookup lookup // of names in endpoints; nil: the system's, another one in tests
}

// DefaultConfig returns the defaults; key, zone, network and store are still to be set.
func DefaultConfig() Config {
	return Config{
		Port:                 9102,
		HeartbeatInterval:    5 * time.Second,
		ResyncInterval:       time.Minute,
		PeerUnavailableAfter: 2 * time.Minute,
		ProbeInterval:        time.Second,
		Grace:                10 * time.Second,
		Records:              true,
		Gossip:               true,
		Version:              "dev",
	}
}

// validate reports everything that is wrong.
func (c *Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Key.IsZero() {
		bad("key: missing")
	}
	if _, err := mesh.ParseZone(string(c.Zone)); err != nil {
		bad("zone: %w", err)
	}
	if n := len(c.Network); n < 1 || n > mesh.MaxNetworkID {
		bad("network: %d bytes, want 1 to %d", n, mesh.MaxNetworkID)
	}
	for i, a := range c.BindAddresses {
		if _, err := netip.ParseAddr(a); err != nil {
			bad("bind addresses[%d]: %q is no IP address", i, a)
		}
	}
	if c.Port < 0 || c.Port > 65535 {
		bad("port: %d, want 0 to 65535", c.Port)
	}
	if len(c.Advertise) > maxBeatAddresses {
		bad("advertise: %d addresses, at most %d", len(c.Advertise), maxBeatAddresses)
	}
	for i, a := range c.Advertise {
		if _, _, err := net.SplitHostPort(a); err != nil || len(a) > maxText {
			bad("advertise[%d]: %q is not host:port", i, a)
		}
	}
	if c.HeartbeatInterval < 100*time.Millisecond || c.HeartbeatInterval > time.Minute {
		bad("heartbeat interval: %s, want 100ms to 1m", c.HeartbeatInterval)
	}
	if c.ResyncInterval < time.Second {
		bad("resync interval: %s, want at least 1s", c.ResyncInterval)
	}
	if c.PeerUnavailableAfter < c.HeartbeatInterval {
		bad("peer unavailable after: %s is shorter than the heartbeat interval", c.PeerUnavailableAfter)
	}
	if c.ProbeInterval < 10*time.Millisecond || c.ProbeInterval > time.Minute {
		bad("probe interval: %s, want 10ms to 1m", c.ProbeInterval)
	}
	if c.Grace <= 0 {
		bad("grace: must be positive")
	}
	if len(c.Version) > 64 {
		bad("version: longer than 64 bytes")
	}
	if c.Store == nil {
		bad("store: missing")
	}
	if c.HandOver != "" {
		if h, err := token.ParseHandOver(c.HandOver); err != nil {
			bad("hand-over: %w", err)
		} else if !c.Key.IsZero() && h.To != c.Key.Public() {
			bad("hand-over: it is for key %s, not for this node's", h.To.Short())
		}
	}
	errs = append(errs, c.validateNodes())
	return errors.Join(errs...)
}

func (c *Config) validateNodes() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Nodes) > maxNodes {
		bad("nodes: %d, at most %d", len(c.Nodes), maxNodes)
	}
	seen := map[keys.Public]int{}
	for i, p := range c.Nodes {
		if first, twice := seen[p.Key]; twice {
			bad("nodes[%d]: the same key as nodes[%d]", i, first)
		}
		seen[p.Key] = i
		if _, err := keys.PublicFromBytes(p.Key[:]); err != nil {
			bad("nodes[%d]: %w", i, err)
		}
		if p.Zone != "" {
			if _, err := mesh.ParseZone(string(p.Zone)); err != nil {
				bad("nodes[%d].zone: %w", i, err)
			}
		}
		for j, e := range p.Endpoints {
			if _, err := dialAddrs(e); err != nil {
				bad("nodes[%d].endpoints[%d]: %w", i, j, err)
			}
		}
	}
	return errors.Join(errs...)
}
