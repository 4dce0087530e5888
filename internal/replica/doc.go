// Package replica is the state machine of a node: inputs in, effects out. It joins the rules of logs and of
// claims with this zone's own objects, its cluster's witness and the deletions that are held.
//
//	cluster, peers, operator, time  --Input-->  Step  --Effects-->  store, peers, cluster, operator
//
// Step is a function of the state, the time it is given and the inputs: same inputs, same bytes out. It reads
// no clock, starts no goroutine, and its only reads are those of committed state through oplog.Reader.
//
// # The order of effects
//
// The caller carries out one Effects completely, in the order of its fields, before it calls Step again:
//
//	Persist (durable) -> Publish -> WriteWitness, CheckWitness -> Apply -> Probe -> Report -> Request
//
// A crash between any two steps is safe. Nothing is published that is not on disk, so nobody ever holds an
// operation of ours that we forgot. What was persisted and not published goes out with the next sync round.
// What was persisted and not applied is applied again after the restart: a Placed record says which write was
// decided, and it stays "wanted" until the cluster confirmed it.
//
// # Level-triggered
//
// What should exist is a pure function of the claims (package merge). After every change of an object's
// claims, its local copy or its replica, settle compares what should be with what is and does one step
// towards it. Duplicates, restarts, conflicts and drift take the same path.
//
// # What is not promised
//
// The core trusts its caller for three things: signatures, payload hashes and log ids were verified before an
// operation arrives (of a vouched one that of a later operation, see vouched.go); the cluster adapter tells what it saw in a live read and never guesses that something is
// gone; and time is passed in as it is, jumps included: it bounds retention and waits, and decides nothing
// between zones.
package replica
