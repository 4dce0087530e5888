// Package node is the shell around the replica: it owns the loop, the store's commits and everything on the
// network. It is the only importer of libp2p.
//
//	cluster ---> local channel ---+
//	operator --> local channel ---+--> loop --> Step --> commit --> live frames, heads, gossip
//	links  --> verify --> remote channel                      `--> cluster, log lines, sync rounds
//	gossip --> verify --> remote channel
//
// One goroutine, the loop, touches the replica. It drains its channels, local changes first, into one group
// of at most 1,000 inputs or 4 MiB, steps once, and carries out what the step wants in a fixed order: persist
// (synced), publish, witness, apply, probe, report, request. An error of the store ends the node. Everybody
// else reads an immutable view that the loop replaces after a commit.
//
// Operations from outside are verified on all cores before the loop sees them: canonical bytes, strict
// signature, body hash, event, and a log id that follows from network, zone and incarnation. What fails is
// refused and counted by reason, and the link goes on; a frame that is no frame ends the stream.
//
// # Links
//
// Two nodes share one connection (QUIC or TCP, on one port number) and on it one long stream, the link. Who
// has the smaller key dials first. "Connected" means nothing: a peer counts as up once each side accepted the
// other's hello. Of two links between the same two processes the one opened by the smaller key stays. A link
// has independent reader and writer goroutines, three outgoing lanes (control, live, bulk) of bounded size,
// and a deadline on every read and write. After a second and a half of silence a side probes the other; five
// seconds end the connection, which is dialled anew with pauses of at most 12 s.
//
// # Sync
//
// Sync is the source of truth and works alone; live operations, heads and gossip only make it fast. A Have
// says "this is what I hold, send me what I lack". The other side answers with PreSync, the operations that
// are missing, log by log in order, and Done. When all of them went through the loop the replica is told
// that it was compared with that peer. A node asks on connect, when a peer announces what it lacks (a
// moment later, so that the direct way may win), every resync interval with jitter, and when the replica
// wants it: one round at a time per link, with unlimited retries and a growing pause after futile ones.
//
// An operation of our own goes out at once on every link whose peer holds all before it. One accepted from
// elsewhere is not sent on, only its height is announced, to those neighbours that don't have it from the
// author: a chain of nodes converges as a full mesh does, without every operation crossing every link.
//
// # Presence
//
// Every heartbeat interval a signed heartbeat goes out on every link, and by gossip as long as some admitted
// zone is no direct neighbour. What proves life and what doesn't is package membership's matter. Two
// processes with one key learn of each other through whoever is linked to both.
//
// # Members and strangers
//
// The loop says who is a member, whenever that changes; whoever is not any more is disconnected at once. We
// connect to members only. A key that is none may connect to us: 8 of them at a time, 4 from one address, for 15
// seconds. Such a connection reaches the join protocol and libp2p's identify. Hello is answered by a refusal,
// sync and gossip are reset, and gossip is told of no stranger. What becomes a member meanwhile comes again with
// a new connection.
//
// On the join protocol a stranger redeems an invitation, or presents what admits it: operations of members, or
// the statement by which the key of a member hands its zone over. It may send 4 KiB in an exchange, open four of
// them on a connection, and after five bad tries in a minute everything from its address is refused. Who is
// refused by a member as not admitted presents what it has, and comes again.
//
// # Finding each other
//
// The address book holds what is known of how to reach each member: what is configured, what its signed record
// and its heartbeats say, what worked when we dialled it, and what the local network says by mDNS. What is configured
// is dialled first and by itself; after a failure the best of all is dialled together with some of the rest, in
// turns, a bounded number at a time. Names are resolved anew for each attempt. News of a way ends the wait for
// the next attempt. What worked and the newest record of each member are kept in the store; nothing is forgotten
// of a node because it is away.
//
// A peer record is libp2p's signed envelope around its author's addresses and a number that rises. Each side of a
// link tells its own and those of the members it knows, at the start and when there is a newer one. A record is
// taken if its author is a member and its number is higher than that of the one that is held; those of authors
// that are no members yet wait, 64 of them. A node that is told a record of its own with a higher number, because
// its clock went back, goes on above that.
//
// By mDNS a node announces its addresses under a name made of the hash of the network id. Of members that are
// found addresses on our own networks are tried. Others are listed for people and never dialled.
//
// # The wire
//
// Protocols, where H is the first 16 hex digits of BLAKE3(network id):
//
//	/mesh/H/hello/1.0.0           one exchange per connection
//	/mesh/H/sync/1.0.0            the link
//	/mesh/H/join/1.0.0            one exchange per stream
//	/mesh/H/dialback/1.0.0        one exchange per stream
//	/mesh/H/meshsub/1.2.0, 1.1.0  gossipsub, topic /mesh/H/gossip/1.0.0
//
// A frame is u32 length, u8 kind, payload; the length counts kind and payload and is capped for each kind.
// Integers are big-endian. text is u8 length and that many bytes; bytes is u32 length and that many bytes;
// log is author (32), log id (32), text zone, u64 incarnation. Every message has exactly one encoding: what
// is left over, ends early, names an unknown kind or flag, or passes a cap is refused.
//
//	kind            payload
//	 1 Hello        u8 n, n x u16 protocol versions, text software, text network, text zone,
//	                u64 incarnation (0: nothing signed yet), run id (16), u64 process start (Unix ms)
//	 2 Refusal      text reason, text for people
//	16 TrustDigest  digest (32)
//	17 TrustOps     u32 n, n x (bytes header, bytes body)
//	18 Have         u32 round, u32 n, n x (log, u32 start, u32 next, head (32), u8 flags,
//	                if flags & 1: staged run u32 begin, u32 next, head (32)); flags & 2: frozen;
//	                ordered by author and log id, each once
//	19 PreSync      u32 round, u64 operations, u64 bytes: estimates
//	20 Operation    bytes header, bytes body (empty: none)
//	21 Done         u32 round
//	22 Live         as Operation
//	23 Heads        u32 n, n x (log, u32 next, head (32))
//	24 Heartbeat    signature (64) over "mesh heartbeat v1" and what follows: key (32), text network,
//	                text zone, u64 incarnation, run id (16), u64 life, u64 process start, u64 counter,
//	                i64 clock (Unix us), u32 next and head (32) of the own log, digest of all that is held (32),
//	                text version, u8 n, n x text address, u8 n, n x (text zone, u8 state,
//	                if state & 128: u16 round trip (ms, 0: not measured), u64 counter),
//	                u8 n, n x echo (key (32), run id (16), u64 counter)
//	25 Ping         u64 id
//	26 Pong         u64 id (0: nothing was asked, its sender only listens and lives), i64 clock (Unix us)
//	27 Goodbye      text reason
//	28 Records      u32 n, n x bytes peer record: a libp2p envelope (domain libp2p-peer-record, payload type
//	                0x0301) of at most 5 KiB, sealed with the Ed25519 key that it is about, of at most 16
//	                addresses, /ip4, /ip6, /dns, /dns4 or /dns6 and then /udp/N/quic-v1 or /tcp/N; for each
//	                author the one with the highest number counts
//	32 Redeem       u8 flags (1: only judge it), u8 n, n x u16 protocol versions, text software,
//	                text network, text id of the invitation (8), secret (16), text zone (may be empty)
//	33 Granted      text zone, text zone of the inviter, u32 n, n x (bytes header, bytes body),
//	                u32 n, n x (key (32), text zone (may be empty), u8 n, n x text host:port)
//	34 Denied       text code, text for people, key (32): who has it; zero: nobody
//	35 Ack          nothing
//	36 Present      text hand-over (may be empty), u32 n, n x (bytes header, bytes body)
//	37 Accepted     nothing
//	48 DialBack     nothing
//	49 DialedBack   u8 n, n x (text host:port, u8 outcome by QUIC, u8 outcome by TCP); an outcome is 1 answered,
//	                2 silent, 3 refused, 4 something else
//
// Life is the incarnation of the log in use when the process started, or the time if there was none; (life,
// process start, run id) orders two processes with one key. A state is 1 Ready, 2 NotReady, 3 Unavailable, 4
// Unknown, plus 128 for a direct connection. The digest of all that is held is BLAKE3 over the digest of the
// trust set and (author, log id, u32 next, head) of every log in order.
//
// The hello exchange: the side that opened the connection sends Hello; the other answers Hello or Refusal;
// the first refuses with a Refusal of its own or closes the stream and opens the sync stream. On the sync
// stream frames 16 to 28 may come in any order, but Done ends the round that the Have of its number began,
// and a TrustDigest speaks for the Have that follows it. A gossip message is one Live or Heartbeat frame of
// at most 64 KiB.
//
// On a join stream the side that opened it sends Redeem, is answered Granted or Denied, and if it was granted, and
// not only judged, says Ack and is answered Accepted. Or it sends Present and is answered Accepted or Denied. A
// Redeem may be repeated by the same key: it gets the same answer. The codes of Denied are those of
// replica.Denial, and wrong_network, incompatible, rate_limited and not_proven.
//
// On a dialback stream a member sends DialBack, and is answered DialedBack: how dialling it went, at the endpoints at
// which the other knows it, at most four, from sockets that no link uses. A node serves two of them at a time, one each
// 2 seconds to the same key, and nobody who is no member.
//
// # Limits
//
// Frames: 4 MiB of body and 4 KiB of header, 4,096 logs in a Have, 256 heads, 6 KiB heartbeats, 64 records or 32 KiB
// of them. In flight
// between all links and the loop: 64 MiB. Waiting on a link: 64 control frames, 1,024 live frames or 8 MiB,
// 8 bulk frames. On a join stream 4 KiB may be asked and 256 KiB answered, with at most 64 operations and 64
// contacts of 8 endpoints each. A full control or live lane drops, and heights repair it; everything else waits.
package node
