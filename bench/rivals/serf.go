package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// change is printed for every member that an agent says something new about.
type change struct {
	Event  string `json:"event"` // join, leave, failed
	Member string `json:"member"`
	At     int64  `json:"at"` // Unix nanoseconds
}

// runSerf runs one agent with the defaults for a LAN until its input or ctx ends. Events are not coalesced, as the
// library has it; the agent of serf's own command line would hold them back for seconds.
func runSerf(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("serf", flag.ContinueOnError)
	name := flags.String("name", "", "of the node")
	port := flags.Int("port", 0, "on 127.0.0.1")
	join := flags.String("join", "", "host:port of others, with commas between")
	if err := flags.Parse(args); err != nil {
		return err
	}
	const queue = 4096 // events of some hundred members at once
	events := make(chan serf.Event, queue)
	cfg := serf.DefaultConfig()
	cfg.NodeName, cfg.EventCh, cfg.LogOutput = *name, events, io.Discard
	cfg.MemberlistConfig = memberlist.DefaultLANConfig()
	cfg.MemberlistConfig.BindAddr, cfg.MemberlistConfig.BindPort = "127.0.0.1", *port
	cfg.MemberlistConfig.AdvertiseAddr, cfg.MemberlistConfig.AdvertisePort = "127.0.0.1", *port
	cfg.MemberlistConfig.LogOutput = io.Discard
	agent, err := serf.Create(cfg)
	if err != nil {
		return fmt.Errorf("start an agent: %w", err)
	}
	defer func() { _ = agent.Shutdown() }() // the process ends anyway
	if *join != "" {
		if _, err := agent.Join(strings.Split(*join, ","), true); err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	if err := line(out, ready{"ready"}); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(ended)
	}()
	for {
		select {
		case ev := <-events:
			now := time.Now().UnixNano()
			members, ok := ev.(serf.MemberEvent)
			if !ok {
				continue
			}
			for _, m := range members.Members {
				if err := line(out, change{strings.TrimPrefix(ev.EventType().String(), "member-"), m.Name, now}); err != nil {
					return err
				}
			}
		case <-ended:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}
