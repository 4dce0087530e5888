// Package oplog knows what a log is: which operation may follow which, what a gap, a fork and a snapshot run
// mean, what one node has to send to another, and what a store must keep.
//
// A log is a hash chain of one author under one log id, numbered from 0. What is held of it are the rows
// [Start, Next): Start is 0 or the begin of a snapshot whose run is whole, for everything before it is
// restated there. Beyond the chain there may be a staged run: a later snapshot that arrives although the
// operations in between were pruned by everyone. It becomes the chain when its last operation is in.
//
//	0 ...... Start ============= Next            Staged.Begin ====== Staged.Next
//	 pruned        the chain, served     (a gap)       not served yet
//
// # Vouched operations
//
// An operation names the one before it by BLAKE3 over that one's whole header, signature included, and a header names
// its body the same way. So one verified signature at the end of a chain vouches for the exact bytes of all that it
// reaches back to: nobody but the author can make such a chain, and nobody can change a byte inside it. A log may hold
// operations on that ground alone; Unchecked says which, and is stored with them. Their own signatures are verified
// later, from the store. One that doesn't hold was nobody's doing but its author's, who signed what follows it: the
// log ends before it and is frozen, as by a fork.
//
// Judge gives one of six verdicts and changes nothing. A gap is no error: the operation waits, or is sent
// again by the next sync round. A fork is proof, kept as evidence; it freezes the log at the last position
// that both branches share.
package oplog
