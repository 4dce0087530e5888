package config

import (
	"net/netip"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// DefaultPort is the p2p port, used too where an endpoint names none.
const DefaultPort = 9102

// DefaultKeyFile is the key file of a node that was told of none.
const DefaultKeyFile = "private.key"

// Config is a checked configuration. It is not changed after Load. The meaning, range and default of each
// field stand in the table of keys.
type Config struct {
	BindPort        uint16 // 0: any free port
	HTTPBindPort    uint16 // 0: any free port
	BindAddress     []netip.Addr
	HTTPBindAddress netip.Addr
	NetworkID       mesh.NetworkID
	PrivateKeyPath  string // as configured; Key tells where the key really is
	Nodes           []Node
	Admission       Admission
	Heartbeat       time.Duration
	Gossip          bool
	Discovery       Discovery
	Kubernetes      Kubernetes
	Mesh            Mesh
	Protocol        Protocol
	DataDir         string
	Advertise       []Endpoint // port 0: the p2p port that was bound
	API             API
	Join            Join
	Metrics         Metrics
	LogFormat       string // auto, text or json
	LogLevel        string // a log filter

	// Key says where the private key comes from.
	Key KeySource
	// File is the configuration file that was read; empty when there was none.
	File string

	origins map[string]Origin // by path of the key; absent: default
	marks   map[string]mark   // by path of a value: where it stands
	own     string            // namespace of mesh's own objects; see SetOwnNamespace
}

// Join says how a node becomes a member by itself.
type Join struct {
	TokenFile string // empty: it doesn't
}

// Admission says who may join.
type Admission string

// The admissions.
const (
	Closed Admission = "closed" // only configured and admitted keys
	Open   Admission = "open"   // everybody: for demos
)

// OnConflict says what happens to the copies of two zones that created one object independently.
type OnConflict string

// The ways to meet a conflict.
const (
	Hold   OnConflict = "hold"
	Oldest OnConflict = "oldest"
)

// Drift says what happens to a replica that somebody else changed.
type Drift string

// The ways to meet drift.
const (
	Correct Drift = "correct" // put back what its owner stated
	Observe Drift = "observe" // leave it and say so
)

// Mesh is what concerns replication.
type Mesh struct {
	Zone       mesh.Zone
	OnConflict OnConflict
	Drift      Drift
	Brake      Brake
	Resources  []Resource // of mesh.resources and mesh.resource together
	Bootstrap  bool

	SnapshotInterval     time.Duration
	SnapshotMaxLog       uint64
	TombstoneRetention   time.Duration
	PeerUnavailableAfter time.Duration

	single *Resource // mesh.resource
}

// Brake holds deletions of one zone beyond Min and Share of its objects within Window.
type Brake struct {
	Min    int
	Share  float64
	Window time.Duration
}

// Protocol is what concerns log sync.
type Protocol struct {
	ResyncInterval time.Duration
}

// Discovery is how nodes find each other beyond what is configured.
type Discovery struct {
	Records bool
	MDNS    bool
}

// API is what concerns the local API.
type API struct {
	Listen string // unix:PATH or a loopback HOST:PORT; empty: the socket in the data folder
	Proxy  bool   // tell the state on the health port too
}

// Metrics bounds what is measured.
type Metrics struct {
	MaxZones int
}

// Default returns what holds where nothing is configured.
func Default() *Config {
	return &Config{
		BindPort:        DefaultPort,
		HTTPBindPort:    3000,
		HTTPBindAddress: netip.IPv4Unspecified(),
		NetworkID:       "default",
		Admission:       Closed,
		Heartbeat:       5 * time.Second,
		Gossip:          true,
		Discovery:       Discovery{Records: true, MDNS: true},
		Mesh: Mesh{
			OnConflict:           Hold,
			Drift:                Correct,
			Brake:                Brake{Min: 10, Share: 0.5, Window: 10 * time.Minute},
			SnapshotInterval:     5 * time.Minute,
			SnapshotMaxLog:       256,
			TombstoneRetention:   10 * time.Minute,
			PeerUnavailableAfter: 2 * time.Minute,
		},
		Protocol:  Protocol{ResyncInterval: time.Minute},
		DataDir:   ".mesh",
		Metrics:   Metrics{MaxZones: 64},
		LogFormat: "auto",
		LogLevel:  "INFO",
		Key:       KeySource{Path: DefaultKeyFile},
		origins:   map[string]Origin{},
		marks:     map[string]mark{},
	}
}

// Layer is a source of values; a higher one beats a lower one.
type Layer int

// The layers.
const (
	FromDefault Layer = iota
	FromFile
	FromEnvironment
	FromFlag
)

// Origin says where a value comes from. The zero value is the default.
type Origin struct {
	Layer Layer
	Name  string // file:line, variable or flag
}

func (o Origin) String() string {
	switch o.Layer {
	case FromFile:
		return "file " + o.Name
	case FromEnvironment:
		return "environment " + o.Name
	case FromFlag:
		return "flag " + o.Name
	default:
		return "default"
	}
}

// Origin returns where the value of a key comes from, such as "mesh.zone".
func (c *Config) Origin(key string) Origin { return c.origins[key] }
