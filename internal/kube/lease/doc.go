// Package lease elects the one process that acts for a zone in its cluster, by a Lease of coordination.k8s.io.
//
// Several candidates run; one holds the Lease and leads, the others stand by. Records are those of client-go's
// leader election, so that kubectl and other tools read them. The loop is our own, for what client-go's does
// not offer:
//
//   - A holder that cannot renew because the API server is away goes on leading, unconfirmed: it serves its
//     peers and writes nothing to the cluster. It is confirmed again as soon as a renewal succeeds. Only the
//     sight of another holder ends it.
//
//   - The lease counts as confirmed for RenewDeadline after the last renewal was sent, not after it was
//     answered: an answer may come late. A standby takes over Duration after it first saw the last renewal.
//     What lies between the two is for writes that are under way, and for clocks that run at different speeds.
//
//   - A standby looks every second and takes over in the moment in which the lease has run out, so that a
//     killed holder is replaced after 11 s, and a holder that says goodbye after one.
//
//   - The time in which the API server did not answer a standby doesn't count: the holder could not renew either,
//     and comes first when it can.
//
// No wall clock decides anything: a candidate measures, on its own monotonic clock, how long a record has not
// changed. A machine that is suspended as a whole stops that clock: a write that was about to be sent then goes
// out late. Writes that name the version or the identity of what they change fail in that case; a creation
// that goes out late is put right by the new holder as any other drift.
package lease
