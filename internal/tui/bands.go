package tui

import "dcp.hiro.io/mesh/internal/mesh"

// The bands in which a number is fine, worth a look, or bad.
const (
	rttWarn, rttBad               = 0.150, 0.400 // seconds
	lagWarn, lagBad               = 50, 500      // operations
	lagSecondsWarn, lagSecondsBad = 5, 30
	lossWarn                      = 0.02
)

func band(v, warnFrom, badFrom float64) tone {
	switch {
	case v >= badFrom:
		return bad
	case v >= warnFrom:
		return warn
	}
	return plain
}

// rttTone says how a round trip of so many seconds looks; what is fine is plain, not green.
func rttTone(seconds float64) tone { return band(seconds, rttWarn, rttBad) }

// lagTone says how a lag looks, by the worse of operations and seconds.
func lagTone(operations, seconds float64) tone {
	t := band(seconds, lagSecondsWarn, lagSecondsBad)
	return max(t, band(operations, lagWarn+1, lagBad+1))
}

// stateTone is how the word of a state looks.
func stateTone(s mesh.PeerState) tone {
	switch s {
	case mesh.Ready:
		return ok
	case mesh.NotReady:
		return warn
	case mesh.Unavailable:
		return bad
	}
	return unknown
}

// stateMark stands in brackets before a name: + ! ? x.
func stateMark(s mesh.PeerState) string {
	switch s {
	case mesh.Ready:
		return "+"
	case mesh.NotReady:
		return "!"
	case mesh.Unavailable:
		return "x"
	}
	return "?"
}

// stateOrder sorts states, the worst last.
func stateOrder(s mesh.PeerState) int {
	switch s {
	case mesh.Ready:
		return 0
	case mesh.NotReady:
		return 1
	case mesh.Unknown:
		return 2
	case mesh.Unavailable:
		return 3
	}
	return 4
}
