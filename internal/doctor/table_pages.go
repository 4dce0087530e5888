package doctor

// theNode is the check that nearly everything needs which only a running node can tell.
const theNode = "network.node"

var (
	needsNode    = []string{theNode}
	needsConfig  = []string{"config.valid"}
	needsKey     = []string{"key.readable"}
	needsCluster = []string{"kubernetes.api"}
)

var configPages = []Page{
	{ID: "config.valid", Group: "config", Title: "the configuration is valid",
		Text: "The config file, the environment and the flags are read as strictly as at a start: unknown keys, wrong types and bad values " +
			"are faults, each with its line. A node that runs goes on with what it read at its start; the next start would fail. " +
			"`mesh run --check-config` lists every problem with the line it stands in."},
	{ID: "config.warnings", Group: "config", Title: "the configuration has nothing that a start warns of", Needs: needsConfig,
		Text: "What a start says as a warning: an unknown MESH_ variable, an open admission, an entry of mesh.resources that is not replicated. " +
			"Each of them works, though perhaps not as it was meant."},
	{ID: "config.current", Group: "config", Title: "the node runs with what the config file says", Needs: []string{"config.valid", theNode},
		Text: "The configuration that is read now is compared with the one that the node runs with. nodes and log_level take effect by " +
			"SIGHUP, everything else by a restart."},
}

var keyPages = []Page{
	{ID: "key.readable", Group: "key", Title: "the private key can be read", Needs: needsConfig,
		Text: "The key file, or the variable PRIVATE_KEY, is read and has to hold an Ed25519 private key. Without it a node does not start. " +
			"`mesh keygen --public FILE` says what is wrong with a file."},
	{ID: "key.mode", Group: "key", Title: "nobody else can read the private key", Needs: needsKey,
		Text: "Whoever reads the key can pose as this node and sign for its zone. The file belongs to the user that runs the node, with mode " +
			"0600. In a pod its group may read it too, because that is how Secrets are mounted."},
	{ID: "key.current", Group: "key", Title: "the node runs with the key in the file", Needs: []string{"key.readable", theNode},
		Text: "A key file that was replaced takes effect at the next start, and peers know the node by its key. A key is changed with " +
			"`mesh keygen --rotate`, which hands the zone over."},
	{ID: "key.instance", Group: "key", Title: "one process uses this key", Needs: needsNode,
		Text: "Two processes with one key would write two histories into one log. The younger of the two stops publishing until the other is " +
			"gone. Stop one of them; a copy of a machine or of a data directory needs a key of its own."},
	{ID: "key.removed", Group: "key", Title: "this node's key belongs to the mesh", Needs: needsNode,
		Text: "A key that was removed, or whose zone was handed over to another key, publishes nothing any more, for good. The zone comes back " +
			"under a new key: make one, and join again with an invitation."},
	{ID: "zone.conflict", Group: "key", Title: "every zone has one key", Needs: needsNode,
		Text: "Two keys that are bound to one zone, without a hand-over from one to the other, are both stopped: new operations of neither are " +
			"taken, what is applied stays. Remove the key that should not be there with `mesh peers remove`."},
	{ID: "zone.binding", Group: "key", Title: "every key has one zone", Needs: needsNode,
		Text: "A key that signed for two zones is bound to neither. Bind it to one with `zone` under `nodes` in the config."},
}

var systemPages = []Page{
	{ID: "system.clock", Group: "system", Title: "this machine's clock agrees with those of its peers", Needs: needsNode,
		Text: "Probes compare the clocks. No clock decides what wins, except between two zones that create one object independently; times that " +
			"are shown, ages and retention follow it. More than 2 s against most peers means that this machine's clock is wrong; against one, " +
			"that of the peer. Start a time service such as chrony or systemd-timesyncd there."},
	{ID: "system.files", Group: "system", Title: "enough files may be open",
		Text: "Each connection takes a file. With fewer than 1,024 a node of many peers refuses connections, and at nine tenths of the limit it is " +
			"about to. Raise it with `ulimit -n`, LimitNOFILE of systemd, or the container runtime."},
	{ID: "system.udp_buffer", Group: "system", Title: "the UDP buffer is large enough",
		Text: "QUIC asks the system for a receive buffer of 7 MiB. With less, a fast link drops packets in bursts and is slower than it could be; " +
			"nothing is lost. On Linux raise net.core.rmem_max and net.core.wmem_max to 7500000."},
	{ID: "system.disk", Group: "system", Title: "the disk of the data directory has room", Needs: needsConfig,
		Text: "Below a tenth of the disk, or 1 GiB if that is less, operations of other zones are refused, so that what is left serves this node's " +
			"own; replication stands still then. Make room, or put data_dir on another disk."},
}

var networkPages = []Page{
	{ID: theNode, Group: "network", Title: "a node runs and answers",
		Text: "Commands ask the node on its socket, api.sock in its data directory. Without an answer only what needs no node is looked at, from " +
			"where the command runs. Start the node, or name another with --node."},
	{ID: "network.ports", Group: "network", Title: "the configured ports are bound", Needs: needsConfig,
		Text: "A port that was taken at the start is replaced by a free one, which no peer knows of and no firewall lets through. Find who has it " +
			"with `ss -lntup`, and start the node again when it is free; with --strict-port a node refuses to start instead."},
	{ID: "network.dns", Group: "network", Title: "the names of all endpoints resolve", Needs: needsConfig, Deadline: dialled,
		Text: "Endpoints of peers may be names; they are resolved anew at every dial. One that does not resolve here is left out. Look at the " +
			"name, and at the resolver of this machine or pod."},
	{ID: "network.dial", Group: "network", Title: "every endpoint answers", Needs: needsConfig, Deadline: dialled,
		Text: "A running node shakes hands with every endpoint, over QUIC and over TCP, and demands the key that it expects; without one only a TCP " +
			"connection is made. What answers says who it is: another key at an endpoint is a wrong address, or somebody in between. Where nothing " +
			"answers, the other node is down, the address is wrong, or a firewall drops what is sent."},
	{ID: "network.quic", Group: "network", Title: "every endpoint that answers does so by QUIC", Needs: []string{theNode}, Deadline: dialled,
		Text: "QUIC needs UDP on the same port number as TCP. Where only TCP answers everything works, a little slower. Allow UDP on the way: in " +
			"the firewall, the security group, the NetworkPolicy, the Service and the load balancer."},
	{ID: "network.tcp", Group: "network", Title: "every endpoint that answers does so by TCP", Needs: []string{theNode}, Deadline: dialled,
		Text: "TCP is the way around networks that drop UDP. Where only QUIC answers everything works until UDP is blocked. Allow TCP on the same " +
			"port."},
	{ID: "network.outside", Group: "network", Title: "peers reach this node", Needs: []string{theNode}, Deadline: dialled,
		Text: "A peer is asked to dial this node back, at the endpoints that it advertises. One way is enough for two nodes to work together, but " +
			"two nodes of which neither can be reached never meet. Forward UDP and TCP of the port, and set `advertise` to the address that others see."},
}

var peersPages = []Page{
	{ID: "peers.reachable", Group: "peers", Title: "every peer is Ready", Needs: needsNode,
		Text: "NotReady is a peer that is silent for seconds, Unavailable one that is so for longer than peer_unavailable_after_seconds. Nothing is " +
			"deleted because of it. The cause names what answered the last dial. A node that is gone for good is removed with `mesh peers remove`, " +
			"so that nothing waits for it."},
	{ID: "peers.version", Group: "peers", Title: "all peers run the same version", Needs: needsNode,
		Text: "Neighbouring versions work together. Upgrade the nodes that are behind one by one; a mesh that stays mixed for long is one that " +
			"nobody tests."},
	{ID: "peers.loss", Group: "peers", Title: "the links lose no packets", Needs: needsNode,
		Text: "Over QUIC the packets of the last minutes that had to be sent again are counted, over TCP the probes that were not answered in time. " +
			"Above 2 % replication slows down. On simulated links a peer that lives counts as Ready over QUIC at 20 %, too; over TCP it counts as " +
			"NotReady for a moment less than once an hour, and every two minutes at 20 % where delays vary by two seconds as well. Look at the " +
			"way between the two."},
	{ID: "peers.lag", Group: "peers", Title: "everything announced is applied", Needs: needsNode,
		Text: "Operations that somebody announced and that are not applied here. A few seconds are normal, and so is lag of a zone that is not " +
			"reachable. Ten seconds while its peer is Ready are worth a look, five minutes are a fault."},
	{ID: "peers.removal", Group: "peers", Title: "no removal waits", Needs: needsNode,
		Text: "A removal takes effect when more than half of the other zones were reached. Until then only its author stops taking operations of " +
			"the key."},
	{ID: "nodes.removed", Group: "peers", Title: "no removed key is admitted here", Needs: needsNode,
		Text: "A key that was removed from the mesh stays out, whatever the config or a MeshPeer says. Take it out there."},
	{ID: "nodes.diverging", Group: "peers", Title: "zones are bound here as everywhere", Needs: needsNode,
		Text: "The config or a MeshPeer binds a key to another zone than the rest of the mesh does. Correct its zone there."},
}

var replicationPages = []Page{
	{ID: "start.compared", Group: "replication", Title: "this node was compared with the others", Needs: needsNode,
		Text: "After a start, changes made here are recorded and announced only when the node has compared what it holds with its peers, or has " +
			"waited long enough for those that are away."},
	{ID: "log.stuck", Group: "replication", Title: "every log that is behind moves", Needs: needsNode,
		Text: "A log of which operations are announced, of which nothing arrived for two minutes although peers are Ready. `mesh log ls` shows the " +
			"heights and `mesh log verify ZONE` recomputes what is held; a disk that is nearly full stops it, too."},
	{ID: "log.fork", Group: "replication", Title: "no log has two histories", Needs: needsNode,
		Text: "Two different operations at one place of a log, both signed by its key: a copied key or data directory, a store restored from an old " +
			"backup, or a malicious node. The log is frozen until its author writes a new one. Find out what happened to that node; if its key was " +
			"stolen, `mesh peers remove` it."},
	{ID: "log.signature", Group: "replication", Title: "nothing was refused as forged or malformed", Needs: needsNode,
		Text: "Operations, heartbeats and records are checked before anything else looks at them. One that is refused harms nothing, but a node of " +
			"this mesh never sends one: look for a node of another version, a damaged store, or somebody who tries. The counters are those of the " +
			"metric mesh_refused_total."},
	{ID: "log.snapshot", Group: "replication", Title: "this zone's log has a recent snapshot", Needs: needsNode,
		Text: "A snapshot states everything that the zone claims, so that what came before it can be dropped. A log that grows far beyond " +
			"snapshot_max_log without one makes the first sync of others slow. The log of the node says why it could not be written."},
	{ID: "deletes.held", Group: "replication", Title: "no deletion is held back", Needs: needsNode,
		Text: "The mass-delete brake holds deletions of one zone beyond a number and a share of its objects. `mesh peers accept-deletes ZONE` lists " +
			"exactly what is held and asks. What its owner creates again is released by itself."},
	{ID: "resources.contested", Group: "replication", Title: "no object is claimed by two zones", Needs: needsNode,
		Text: "Two zones created one object independently. Each keeps its copy until somebody decides: `mesh adopt KIND/NS/NAME` in the zone whose " +
			"copy shall win, or make both alike."},
	{ID: "resources.rejected", Group: "replication", Title: "every object could be written here", Needs: needsNode,
		Text: "The cluster refused an object: a policy, a quota, a missing namespace or type, an immutable field. `mesh status` names each with the " +
			"answer. It is tried again without end, and nothing else waits for it."},
	{ID: "cluster.witness", Group: "replication", Title: "the cluster is the one it was", Needs: needsNode,
		Text: "A counter in the cluster tells one that was restored or replaced from one in which somebody deleted objects. Until it is confirmed, " +
			"nothing that is missing counts as deleted. `mesh peers accept-deletes` with the own zone confirms."},
}

var kubernetesPages = []Page{
	{ID: "kubernetes.api", Group: "kubernetes", Title: "the API server answers", Needs: needsConfig, Deadline: remote,
		Text: "The API server of the configured cluster is asked for its version, with the node's own access data. Without it a node goes on: it " +
			"keeps its peers and logs, and writes to the cluster when it is back."},
	{ID: "kubernetes.crd", Group: "kubernetes", Title: "the definition of MeshPeer is installed and current", Needs: needsCluster, Deadline: remote,
		Text: "MeshPeers show the mesh to Kubernetes and admit nodes. A node installs the definition where it may, the Helm chart always; `mesh crd` " +
			"prints it for kubectl apply. A missing definition deletes nothing and stops nothing else."},
	{ID: "kubernetes.types", Group: "kubernetes", Title: "every configured kind is served", Needs: needsCluster, Deadline: remote,
		Text: "Each entry of mesh.resources is looked for among the types that the API server offers, with its version and its plural. An entry whose " +
			"type is missing waits for it; objects that went with their definition count as deleted by nobody."},
	{ID: "kubernetes.rbac", Group: "kubernetes", Title: "mesh may do everything it has to", Needs: needsCluster, Deadline: remote,
		Text: "The API server is asked by SelfSubjectAccessReview about each verb on each configured resource, and on mesh's own objects. What is " +
			"missing is named with its verb, resource and namespace. The Helm chart grants exactly this; entries that were added by hand need " +
			"rules added by hand."},
	{ID: "cluster.connected", Group: "kubernetes", Title: "the cluster is read as a whole", Needs: needsNode,
		Text: "The cluster, or the folder that plays it, cannot be read, or not all of it. Nothing that is missing in it counts as deleted meanwhile."},
	{ID: "cluster.problems", Group: "kubernetes", Title: "no object of the cluster has a problem", Needs: needsNode,
		Text: "Objects or files that cannot be read, proven or written. `mesh status` lists them with file and line, or with the answer of the API " +
			"server."},
	{ID: "cluster.lease", Group: "kubernetes", Title: "one process leads the zone", Needs: needsCluster, Deadline: remote,
		Text: "Of several processes for one zone the one that holds the Lease mesh-ZONE works, the others stand by. Without a confirmed lease nothing " +
			"is written to the cluster. The reasons are an API server that does not answer, a missing right, or a process that was killed: then " +
			"another takes over within seconds."},
	{ID: "kubernetes.conflicts", Group: "kubernetes", Title: "nobody fights over replicas", Needs: []string{"kubernetes.api", theNode},
		Text: "Writes that had to be made anew because the object had changed meanwhile, and replicas that somebody alters again and again. Find the " +
			"other writer, named in `mesh status`, and take the object out of its hands, or the field out of mesh's with `ignore`."},
}

var observabilityPages = []Page{
	{ID: "observability.health", Group: "observability", Title: "the probes answer", Needs: needsNode,
		Text: "/livez and /readyz on the HTTP port, as the kubelet asks them. A probe that fails names its part; `curl .../readyz?verbose` shows all."},
	{ID: "observability.metrics", Group: "observability", Title: "metrics can be scraped", Needs: needsNode,
		Text: "/metrics on the HTTP port is fetched as Prometheus does. It answers at most 4 scrapes at once."},
}
