package node

import "time"

const (
	// deadProbes is how many probe intervals of silence end a connection, so that it is dialled anew. By itself
	// QUIC would take half a minute. On a slow link it is deadAnswers times what an answer is waited for, if that is more.
	deadProbes  = 5
	deadAnswers = 3
	// measureEvery is how many probe intervals may pass without measuring the round trip of a busy link. A link on which
	// answers are waited for for long is measured in each: it may be slow no more, and a peer that dies be noticed sooner.
	measureEvery = 5
	// slack is the part of a probe interval before its time when something counts as due: the next look is later.
	slack = 20
)

// vigil decides what a link does about its peer's silence, and its own. It reads no clock and does no I/O. It belongs to
// whoever watches the links.
type vigil struct {
	every    time.Duration // a probe interval
	pings    *pings
	stream   bool      // nothing but the stream tells of the peer: it is TCP
	seen     uint64    // signs of life, when looked at last
	busy     int       // looks in a row that found new ones
	said     uint64    // bytes written, when looked at last
	heard    time.Time // the last sign of life
	spoke    time.Time // when we were seen to have written last
	measured time.Time // the last question; zero: none yet
}

// outlook is what follows from one look at a link.
type outlook struct {
	at     time.Time
	missed bool      // the question of asked got no answer in time
	asked  time.Time //
	dead   bool      // it is silent for too long
	ask    bool      // ask it
	speak  bool      // tell it that we live, unasked
}

// listen reports whether there were signs of life since the last look. signs counts up with every one; reading is
// whether more could be heard, that is, what the peer sent doesn't wait for our own loop.
func (v *vigil) listen(now time.Time, signs uint64, reading bool) bool {
	if signs != v.seen {
		v.seen, v.heard = signs, now
		v.busy++
		return true
	}
	v.busy = 0
	if !reading {
		v.heard = now
	}
	return false
}

// decide says what is due. written is the bytes that we wrote.
func (v *vigil) decide(now time.Time, written uint64) outlook {
	o := outlook{at: now}
	patience := v.pings.patience(v.every, v.stream)
	over := func(since time.Time, d time.Duration) bool { return now.Sub(since) >= d-v.every/slack }
	if over(v.heard, max(deadProbes*v.every, deadAnswers*patience)) {
		o.dead = true
		return o
	}
	if written != v.said {
		v.said, v.spoke = written, now
	}
	switch sent, open := v.pings.pending(); {
	case !open || sent.Before(v.heard):
		o.ask = over(v.heard, v.every*3/2)
	case over(sent, patience):
		v.pings.late()
		o.missed, o.asked, o.ask = true, sent, true
	}
	rest := measureEvery * v.every
	if v.pings.roundTrip() > 0 && patience > shortPatience(v.every) {
		rest = v.every
	}
	o.ask = o.ask || over(v.measured, rest)
	// While the peer has so much to say that we only listen, its questions may wait behind all that for longer than it
	// waits for an answer; so it hears of us unasked.
	o.speak = !o.ask && v.busy > 1 && over(v.spoke, v.every*3/4)
	if o.ask {
		v.measured = now
	}
	if o.ask || o.speak {
		v.spoke = now
	}
	return o
}

// stalled says that we stood still ourselves: the silence was ours.
func (v *vigil) stalled(now time.Time) {
	v.heard = now
	v.pings.forget()
}
