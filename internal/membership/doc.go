// Package membership decides how alive every other node looks from here.
//
// It is a state machine: told what was observed and when, it answers with the transitions that follow.
// It does no I/O, starts no goroutine, reads no clock and logs nothing; the same calls give the same answers.
//
//	            a proof of life
//	Unknown ------------------------> Ready <------------------------+
//	   |                                |  connection closed         |
//	   |                                |  probes missed             | a proof
//	   |                                |  heartbeats missed         | of life
//	   |                                v                            |
//	   |                            NotReady ------------------------+
//	   |  UnavailableAfter              |  UnavailableAfter          |
//	   +---------------------------> Unavailable --------------------+
//
// Every member starts as Unknown: remembered or configured, not heard in this run. A member that stays
// silent becomes Unavailable UnavailableAfter later, like one that fell silent. Without that, a zone which
// died while this node restarted would stay Unknown for good and nobody could ever take over from it; the
// same delay is the grace that a slow starter gets.
//
// # What proves life
//
// A member with a link, that is with an admitted direct connection, is judged by that link alone: any
// authenticated traffic on it and every answered probe proves life, its closing counts at once, and
// ProbeMisses probes missed in a row, without a byte in between, make it NotReady.
//
// A member without a link is judged by the heartbeats that others relay. They can be replayed, so having one
// proves nothing. What proves life is a heartbeat that is newer than any held of its run and either echoes
// a counter which this very run sent within the last UnavailableAfter, or is the second rise of its counter
// since this run first heard it (since its link closed, since it fell silent). Rises that arrive closer
// together than half a heartbeat interval count once: a backlog flushed by a peer is no passing of time.
// So a dead node's heartbeats and logs, relayed to a fresh node, never make it Ready.
//
// A member whose link is up but whose probes fail may prove by relayed heartbeats that it lives elsewhere:
// that keeps it from becoming Unavailable, it doesn't make it Ready.
//
// What other members say about a member is no input at all.
//
// # Time
//
// Every call takes the caller's now, which should come from a monotonic clock (time.Now carries one); a now
// before an earlier one counts as that earlier one. Nothing that a peer wrote is ever compared with it: a
// peer's process start only orders instances, whatever its clock said.
//
// A node that stalled doubts itself first. When a call comes later than Deadline by more than StallAfter, or
// the caller says so with Stalled, the silence was ours: nobody is condemned for it, the heartbeat timers
// start again, and the time lost doesn't count towards Unavailable.
//
// # One live instance per key
//
// A heartbeat names the run it comes from: (incarnation, process start, run id), in this order. Of two live
// runs of one key the lower goes on, the other has to stop publishing. For our own key the machine reports
// a Conflict; it tells us to yield only on a heartbeat that echoes a counter of ours, because only such a
// one cannot be a replay of what our own earlier run signed. For other keys it reports what it sees.
//
// # Bounds
//
// MaxMembers members, maxRuns runs of each. Heartbeats of keys that are no members change nothing.
package membership
