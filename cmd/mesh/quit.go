package main

import (
	"bytes"
	"context"
	"errors"

	"github.com/muesli/cancelreader"
)

// errQuit says that somebody pressed q.
var errQuit = errors.New("quit")

// untilQuit runs f. Where asked for, and where somebody sits at a terminal that shows what f prints, q ends it,
// which is no error. Nothing that it starts outlives it.
func (e *env) untilQuit(ctx context.Context, ask bool, f func(context.Context) error) error {
	if !ask || e.flags.noInput || !e.isTerminal(e.stdin) || !e.isTerminal(e.stdout) {
		return f(ctx)
	}
	keys, err := cancelreader.NewReader(e.stdin)
	if err != nil {
		return f(ctx) // it ends with Ctrl-C
	}
	defer keys.Close()
	defer singleKeys(e.stdin)()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		key := make([]byte, 16)
		for {
			n, err := keys.Read(key)
			if bytes.ContainsAny(key[:n], "qQ") {
				cancel(errQuit)
				return
			}
			if err != nil {
				return
			}
		}
	}()
	err = f(ctx)
	quit := context.Cause(ctx) == errQuit
	if keys.Cancel() {
		<-done
	}
	if quit {
		return nil
	}
	return err
}
