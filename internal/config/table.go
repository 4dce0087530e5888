package config

import (
	"net/netip"
	"strings"
	"time"
)

// Key is one entry of the table of keys.
type Key struct {
	// Path is dotted. One with [] is a key of the entries of a list, or of a single entry, and has no value by
	// itself.
	Path string
	// Doc says what the key means, in sentences.
	Doc string
	// Example is YAML for a key that has no default.
	Example string
	// Reload is true if a change takes effect on SIGHUP; any other needs a restart.
	Reload bool
	// Ignored keys are accepted with a warning and do nothing.
	Ignored bool

	codec
}

// Ranges of the numbers. The upper ends only keep a typo from becoming a value that never comes true.
const (
	year         = 365 * 24 * time.Hour
	maxBrake     = 1_000_000
	maxLogLength = 1_000_000
	maxMaxZones  = 1000
	maxQPS       = 100_000
	maxBurst     = 100_000
)

// table lists every key, in the order in which it is documented and printed. Keys of one section stand
// together.
var table = []Key{
	{Path: "bind_port", codec: integer(0, 65535, func(c *Config) *uint16 { return &c.BindPort }),
		Doc: "Port for peers: UDP (QUIC) and TCP. 0 takes any free port."},
	{Path: "http_bind_port", codec: integer(0, 65535, func(c *Config) *uint16 { return &c.HTTPBindPort }),
		Doc: "Port for health and metrics over HTTP. 0 takes any free port."},
	{Path: "bind_address", codec: addresses(func(c *Config) *[]netip.Addr { return &c.BindAddress }), Example: `["192.0.2.10", "2001:db8::10"]`,
		Doc: "IP addresses to listen on for peers; none means all."},
	{Path: "http_bind_address", codec: address(func(c *Config) *netip.Addr { return &c.HTTPBindAddress }),
		Doc: "IP address to listen on for HTTP."},
	{Path: "network_id", codec: networkID,
		Doc: "Name of the mesh, 1 to 128 bytes. Nodes with another one are refused. It is no secret."},
	{Path: "private_key_path", codec: keyPath, Example: "private.key",
		Doc: "File with the node's private key: hex, PKCS#8 PEM or DER, or libp2p's form. Without it " + DefaultKeyFile +
			" is used. The variable PRIVATE_KEY (hex or PEM) beats it, the flag -k beats both."},
	{Path: "nodes", codec: nodeList, Reload: true, Example: "\n" +
		"  - public_key: d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\n" +
		"    endpoints: [\"west.example:9102\", \"[2001:db8::20]:9102\"]\n" +
		"    zone: west\n" +
		"    allow: {resources: [ConfigMap, Deployment.apps], namespaces: [shop]}",
		Doc: "Known peers. Whoever is listed is admitted. This node may stand among them: one list may serve all nodes."},
	{Path: "nodes[].public_key", Doc: "The peer's key, 64 hex digits, as `mesh keygen --public` prints it. Required."},
	{Path: "nodes[].endpoints", Doc: "Where to reach it: HOST:PORT, the port defaults to 9102, IPv6 in brackets. With none it has to dial us."},
	{Path: "nodes[].zone", Doc: "The zone that this key speaks for. Without it the key's first operation decides."},
	{Path: "nodes[].allow", Doc: "Which objects of that zone are applied here, beyond what mesh.resources says; in the entry of this node's own key: which are published. " +
		"resources lists kinds, such as ConfigMap or Deployment.apps, and namespaces their namespaces, which leaves objects without one out. " +
		"A list that is absent allows all, an empty one nothing. What is no longer allowed stays as it is, unmanaged, here and elsewhere; it is never deleted for that."},
	{Path: "admission", codec: enum(func(c *Config) *Admission { return &c.Admission }, Closed, Open),
		Doc: "closed admits the keys under nodes only. open admits everybody, for demos."},
	{Path: "heartbeat_interval_seconds", codec: seconds(100*time.Millisecond, 5*time.Minute, func(c *Config) *time.Duration { return &c.Heartbeat }),
		Doc: "Time between two signs of life, in seconds."},
	{Path: "gossip", codec: boolean(func(c *Config) *bool { return &c.Gossip }),
		Doc: "Spread changes by gossip too. Without it log sync alone carries them: nothing is lost, it is only slower."},
	{Path: "discovery.records", codec: boolean(func(c *Config) *bool { return &c.Discovery.Records }),
		Doc: "Tell the other members where this node is reached, take what they tell, signed by each of them, and pass it on. " +
			"Without it peers are reached where they are configured, and at the addresses that they advertise."},
	{Path: "discovery.mdns", codec: boolean(func(c *Config) *bool { return &c.Discovery.MDNS }),
		Doc: "Find nodes of the same network_id on the local network, and be found there. Members are connected, others are listed by `mesh peers`. " +
			"Off by default with kubernetes.incluster. A node that listens on loopback addresses only does neither."},
	{Path: "advertise", codec: endpointList(func(c *Config) *[]Endpoint { return &c.Advertise }), Example: `["east.example:9102"]`,
		Doc: "Addresses under which peers can reach this node, where it cannot see them itself (behind NAT or a load balancer). " +
			"HOST:PORT; without a port the one that is bound."},
	{Path: "data_dir", codec: path(true, func(c *Config) *string { return &c.DataDir }),
		Doc: "Folder of the store and the local API's socket."},
	{Path: "log_level", codec: logLevel, Reload: true,
		Doc: "Log filter: OFF, ERROR, WARN, INFO, DEBUG or TRACE for mesh itself, =LEVEL for everything, or a list such as mesh.sync=DEBUG,libp2p=ERROR."},
	{Path: "log_format", codec: enum(func(c *Config) *string { return &c.LogFormat }, "auto", "text", "json"),
		Doc: "auto is text on a terminal and JSON elsewhere; or text, or json."},

	{Path: "kubernetes.incluster", codec: boolean(func(c *Config) *bool { return &c.Kubernetes.InCluster }),
		Doc: "Use the cluster in whose pod the node runs, with the pod's service account. The form kubernetes: incluster means the same."},
	{Path: "kubernetes.external.kube_context", codec: kubeContext, Example: "kind-east",
		Doc: "Use the cluster of this context of the kubeconfig (KUBECONFIG, else ~/.kube/config); empty, or kubernetes: {external: {}}, is its current context."},
	{Path: "kubernetes.namespace", codec: ownNamespace, Example: "mesh-system",
		Doc: "Namespace of mesh's own objects, its MeshPeers and its Lease. Without it the pod's, and outside a pod default."},
	{Path: "kubernetes.qps", codec: number(0, maxQPS, func(c *Config) *float64 { return &c.Kubernetes.QPS }),
		Doc: "Requests to the API server per second at most, held back on this side. 0 holds nothing back: the API server shares itself out."},
	{Path: "kubernetes.burst", codec: integer(0, maxBurst, func(c *Config) *int { return &c.Kubernetes.Burst }),
		Doc: "Requests that may go out at once beyond kubernetes.qps, which it needs. 0 means 10 then."},
	{Path: "kubernetes.folder", codec: path(false, func(c *Config) *string { return &c.Kubernetes.Folder }), Example: "manifests",
		Doc: "Folder of YAML manifests that plays the cluster. With no folder and no Kubernetes nothing is replicated into or out of this node."},

	{Path: "mesh.zone", codec: zoneName, Example: "east",
		Doc: "Name of this cluster in the mesh: a DNS label, 1 to 63 characters. Required to run."},
	{Path: "mesh.on_conflict", codec: enum(func(c *Config) *OnConflict { return &c.Mesh.OnConflict }, Hold, Oldest),
		Doc: "Two zones created one object: hold keeps both copies until somebody adopts it, oldest lets the older one replace the other."},
	{Path: "mesh.drift", codec: enum(func(c *Config) *Drift { return &c.Mesh.Drift }, Correct, Observe),
		Doc: "Somebody else changed a replica in Kubernetes: correct puts it back, observe leaves it and shows it."},
	{Path: "mesh.bootstrap", codec: boolean(func(c *Config) *bool { return &c.Mesh.Bootstrap }),
		Doc: "Publish at once when the store is new and no peer is known, instead of waiting for one to compare with."},
	{Path: "mesh.delete_brake.min", codec: integer(0, maxBrake, func(c *Config) *int { return &c.Mesh.Brake.Min }),
		Doc: "Deletions of one zone within the window that are always carried out. Beyond them share counts too."},
	{Path: "mesh.delete_brake.share", codec: number(0, 1, func(c *Config) *float64 { return &c.Mesh.Brake.Share }),
		Doc: "Part of a zone's objects, 0 to 1, whose deletion within the window is still carried out. All further ones are held until confirmed. 1 never holds."},
	{Path: "mesh.delete_brake.window_seconds", codec: seconds(time.Second, year, func(c *Config) *time.Duration { return &c.Mesh.Brake.Window }),
		Doc: "Length of the sliding window, in seconds."},
	{Path: "mesh.resources", codec: resourceList, Example: "\n" +
		"  - {version: v1, kind: ConfigMap, namespaces: [shop, blog]}\n" +
		"  - {group: apps, version: v1, kind: Deployment, direction: publish}",
		Doc: "The replicated kinds. With none, every kind goes in and out of a folder, and nothing in or out of Kubernetes. Entries of one kind must not share a namespace."},
	{Path: "mesh.resources[].group", Doc: "API group; empty for the core group."},
	{Path: "mesh.resources[].version", Doc: "API version. Required."},
	{Path: "mesh.resources[].kind", Doc: "Kind. Required."},
	{Path: "mesh.resources[].plural", Doc: "The kind's name in the API server's addresses, such as configmaps. Without it the API server is asked."},
	{Path: "mesh.resources[].namespaces", Doc: "Namespaces; none means all, and objects without one. Namespaces that begin with kube- count only if named here."},
	{Path: "mesh.resources[].selector", Doc: "Label selector, such as app=shop or tier in (web, api); only objects that match go out. Without it all."},
	{Path: "mesh.resources[].direction", Doc: "both, publish (only out of this zone) or subscribe (only into it). Default both."},
	{Path: "mesh.resources[].merge_strategy", Doc: "default. An entry with another one is not replicated, and shown with that as its problem."},
	{Path: "mesh.resources[].status", Doc: "true replicates the status section too. Default false."},
	{Path: "mesh.resources[].ignore", Doc: "JSON pointers to fields that are neither published nor written here, such as /spec/replicas; * stands for every key or element, ~1 for a slash within a name."},
	{Path: "mesh.resources[].recreate", Doc: "true lets a replica be deleted and made again where a change of a field that cannot change asks for it. Default false: the change is refused and shown."},
	{Path: "mesh.resources[].include_controlled", Doc: "true replicates objects too that a controller made, such as the ReplicaSets of a Deployment. Default false: the controller makes its own in every cluster."},
	{Path: "mesh.resources[].create_namespaces", Doc: "true makes a namespace that a replica needs and that is missing here. Default false: the replica waits for it."},
	{Path: "mesh.resource", codec: singleResource, Example: "\n" +
		"  version: v1\n" +
		"  kind: Secret\n" +
		"  namespace: shop",
		Doc: "One more entry in the older form: group, version, kind, namespace and merge_strategy, in both directions."},
	{Path: "mesh.resource[].namespace", Doc: "One namespace; empty for all. The other keys are those of mesh.resources."},
	{Path: "mesh.snapshot.snapshot_interval_seconds", codec: seconds(time.Second, year, func(c *Config) *time.Duration { return &c.Mesh.SnapshotInterval }),
		Doc: "A snapshot is due after this time if something changed, in seconds."},
	{Path: "mesh.snapshot.snapshot_max_log", codec: integer(1, maxLogLength, func(c *Config) *uint64 { return &c.Mesh.SnapshotMaxLog }),
		Doc: "A snapshot is due after this many operations, or as many as there are live objects if these are more."},
	{Path: "mesh.tombstone.tombstone_retention_interval_seconds", codec: seconds(0, year, func(c *Config) *time.Duration { return &c.Mesh.TombstoneRetention }),
		Doc: "How long a deletion is remembered at least, in seconds. It is remembered longer until every zone has acknowledged it."},
	{Path: "mesh.peer_timeout.peer_unavailable_after_seconds", codec: seconds(time.Second, year, func(c *Config) *time.Duration { return &c.Mesh.PeerUnavailableAfter }),
		Doc: "A silent peer counts as unavailable after this time, in seconds. Nothing is deleted because of it."},

	{Path: "protocol.resync_interval_seconds", codec: seconds(100*time.Millisecond, time.Hour, func(c *Config) *time.Duration { return &c.Protocol.ResyncInterval }),
		Doc: "Logs are compared with every peer at least this often, in seconds."},
	{Path: "protocol.poll_interval_seconds", codec: ignored("number"), Ignored: true, Example: "3",
		Doc: "Accepted for older files and ignored: nothing polls."},
	{Path: "api.listen", codec: apiListen, Example: "unix:/run/mesh/api.sock",
		Doc: "Where the local API listens: unix:PATH, or a loopback HOST:PORT. Without it api.sock in data_dir, and with " +
			"kubernetes.incluster 127.0.0.1:3001 too, for port-forwards. Who can reach it controls the node."},
	{Path: "api.proxy", codec: boolean(func(c *Config) *bool { return &c.API.Proxy }),
		Doc: "Tell on http_bind_port, to everybody who reaches it, what the API tells about the state: addresses of peers, names of objects, events; " +
			"never their content. For kubectl mesh by way of pods/proxy, where nobody may use port-forward."},
	{Path: "join.token_file", codec: path(false, func(c *Config) *string { return &c.Join.TokenFile }), Example: "/run/secrets/mesh/token",
		Doc: "File with the token of an invitation. A node that is no member yet redeems it when it starts, and keeps what it learns in its store; " +
			"from then on the file is not read any more. mesh.zone and network_id, where they are not given, are those of the token."},
	{Path: "metrics.max_zones", codec: integer(1, maxMaxZones, func(c *Config) *int { return &c.Metrics.MaxZones }),
		Doc: "Zones that get metrics of their own; the rest is counted together as other."},
	{Path: "console.enable", codec: ignored("true or false"), Ignored: true, Example: "false",
		Doc: "Accepted for older files and ignored."},
}

// Keys returns the table of keys. The slice is the caller's.
func Keys() []Key { return append([]Key(nil), table...) }

// HasValue reports whether the key can be set by itself, and not only within an entry of a list.
func (k Key) HasValue() bool { return !strings.Contains(k.Path, "[]") }

// Default returns the default as YAML, or nothing.
func (k Key) Default() string {
	if k.show == nil {
		return ""
	}
	return strings.Join(k.show(Default()), ", ")
}

// Type returns what kind of value the key takes, in words.
func (k Key) Type() string { return k.typ }

// Variable returns the name of the environment variable that sets the key.
func (k Key) Variable() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.Path, ".", "__"))
}

// lookup returns the entry of a key that has a value.
func lookup(path string) (Key, bool) {
	for _, k := range table {
		if k.Path == path && k.HasValue() {
			return k, true
		}
	}
	return Key{}, false
}

// members returns the names of the keys and sections directly below a section, "" being the file.
func members(section string) []string {
	var names []string
	for _, k := range table {
		rest := k.Path
		if section != "" {
			var ok bool
			if rest, ok = strings.CutPrefix(k.Path, section+"."); !ok {
				continue
			}
		}
		name, _, _ := strings.Cut(rest, ".")
		if strings.Contains(name, "[]") || len(names) > 0 && names[len(names)-1] == name {
			continue
		}
		names = append(names, name)
	}
	return names
}
