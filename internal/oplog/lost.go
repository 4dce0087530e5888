package oplog

import "time"

// The bounds of what is kept of content that lost. They are applied when a record is written, with that
// record's time as the present: what is older than LostAge goes, then the oldest until LostBytes suffice. The
// newest record always stays.
const (
	// LostAge gives people a month to find out that they want something back.
	LostAge = 30 * 24 * time.Hour
	// LostBytes bounds payloads, 64 MiB: sixteen of the largest bodies, tens of thousands of usual ones.
	LostBytes = 64 << 20
)

// LostEntry is a LostRecord as a store lists it.
type LostEntry struct {
	ID         uint64 // names the record within its store; later records have higher ones
	LostRecord        // Payload is nil in lists
	Size       int    // payload bytes
}

// LostExpired reports whether a record made at one time is too old at another, both in Unix ms.
func LostExpired(at, now int64) bool { return at < now-LostAge.Milliseconds() }
