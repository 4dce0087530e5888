package doctor

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// dialWithin is how long one endpoint is waited for: longer than the worst round trip and a few lost packets.
	dialWithin = 5 * time.Second
	// dialAtOnce bounds how many are waited for at the same time, maxDialled how many there are in all.
	dialAtOnce = 64
	maxDialled = 256
)

// DialTCP resolves and dials endpoints by TCP, without looking at who answers: it is what can be found out without a node.
func DialTCP(ctx context.Context, list []Endpoint) Endpoints {
	out := Endpoints{Tried: list}
	if len(list) > maxDialled {
		out = Endpoints{Tried: list[:maxDialled], Left: len(list) - maxDialled}
	}
	room := make(chan struct{}, dialAtOnce)
	var wg sync.WaitGroup
	for i := range out.Tried {
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			if ctx.Err() == nil { // else there was no time for it
				dialTCP(ctx, &out.Tried[i])
			}
		})
	}
	wg.Wait()
	return out
}

func dialTCP(ctx context.Context, e *Endpoint) {
	within, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(within, "tcp", e.At)
	if err != nil && ctx.Err() != nil {
		return // it was not waited for
	}
	if err == nil {
		_ = conn.Close() // it was opened for nothing else
		e.TCP = Answered
		return
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Resolve = "the name " + dns.Name + " has no address"
	case errors.As(err, &dns):
		e.Resolve = "the name " + dns.Name + " cannot be resolved: " + dns.Err
	case errors.Is(err, syscall.ECONNREFUSED):
		e.TCP, e.Cause = Refused, "the connection was refused: no node listens there"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		e.TCP, e.Cause = Other, "there is no route to it from here"
	default:
		e.TCP, e.Cause = Silent, "no answer: it is down, the address is wrong, or a firewall drops what is sent there"
	}
}
