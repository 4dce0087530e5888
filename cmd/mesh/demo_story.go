package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

// many is how many manifests are saved at once.
const many = 50

// tell is the story, told while it happens.
func (d *demo) tell(ctx context.Context) error {
	err := d.e.printf("%s\n\n  %s\n  %s\n  %s\n", d.bold("mesh demo: three zones on this machine"),
		"Each has a process, a key, a store and a folder of manifests of its own.",
		"They talk through forwarders on 127.0.0.1, the network that will be cut.",
		"Everything is in "+d.dir)
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{d.tellStart, d.tellChanges, d.tellKill, d.tellCut, d.tellConflict, d.tellEnd} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) tellStart(ctx context.Context) error {
	if err := d.chapter("1  Three nodes start"); err != nil {
		return err
	}
	begun := time.Now()
	if err := d.take(ctx, "east, north and west are up", d.startAll); err != nil {
		return err
	}
	err := d.take(ctx, "each sees the others, in sync", func(ctx context.Context) (string, error) {
		var all []expectation
		for _, n := range d.nodes {
			all = append(all, d.inSync(ctx, n))
		}
		if _, err := d.await(ctx, begun, all...); err != nil {
			return "", err
		}
		return inMillis(time.Since(begun)), nil
	})
	if err != nil {
		return err
	}
	return d.showPeers(ctx, "east")
}

func (d *demo) startAll(ctx context.Context) (string, error) {
	begun := time.Now()
	var all []expectation
	for _, n := range d.nodes {
		x, err := d.startNode(ctx, n)
		if err != nil {
			return "", err
		}
		all = append(all, x)
	}
	if _, err := d.await(ctx, begun, all...); err != nil {
		return "", err
	}
	return inMillis(time.Since(begun)), nil
}

// startNode starts one and expects that it answers. From then on the forwarders lead to where it listens.
func (d *demo) startNode(ctx context.Context, n *demoNode) (expectation, error) {
	if err := n.start(d.exe, childEnvironment(d.e.environ())); err != nil {
		return expectation{}, err
	}
	return d.answers(ctx, n, "the node is ready", func(s mesh.Status) bool {
		return s.Ready && d.wires.lead(n.zone, listenPort(s.Listen, n.port)) == nil
	}), nil
}

// listenPort finds the p2p port among what a node listens on.
func listenPort(listen []string, otherwise uint16) uint16 {
	for _, l := range listen {
		var port uint16
		if _, err := fmt.Sscanf(l, "tcp/%d", &port); err == nil {
			return port
		}
	}
	return otherwise
}

func (d *demo) tellChanges(ctx context.Context) error {
	if err := d.chapter("2  A manifest in the folder of east appears in the others"); err != nil {
		return err
	}
	err := d.take(ctx, "saved as local/hello.yaml", d.after(
		func() error { return d.save("east", "hello", "the-first") }, d.shows("east", "hello", "the-first", "north", "west")))
	if err != nil {
		return err
	}
	err = d.take(ctx, "changed", d.after(
		func() error { return d.save("east", "hello", "the-second") }, d.shows("east", "hello", "the-second", "north", "west")))
	if err != nil {
		return err
	}
	err = d.take(ctx, "deleted", d.after(
		func() error { return d.remove("east", "hello") }, d.lacks("east", "hello", "north", "west")))
	if err != nil {
		return err
	}
	var all []expectation
	for i := range many {
		all = append(all, d.shows("north", numbered(i), "one-of-many", "east", "west")...)
	}
	return d.take(ctx, fmt.Sprintf("north saves %d at once", many), d.after(func() error {
		for i := range many {
			if err := d.save("north", numbered(i), "one-of-many"); err != nil {
				return err
			}
		}
		return nil
	}, all))
}

func numbered(i int) string { return fmt.Sprintf("item-%02d", i) }

func (d *demo) tellKill(ctx context.Context) error {
	if err := d.chapter("3  west is killed, misses something, and comes back"); err != nil {
		return err
	}
	west := d.node("west")
	err := d.take(ctx, "kill -9; the others notice", d.after(
		func() error { west.kill(); return nil }, d.sees(ctx, mesh.NotReady, "west", "east", "north")))
	if err != nil {
		return err
	}
	if err := d.showPeers(ctx, "east"); err != nil {
		return err
	}
	err = d.take(ctx, "east saves one meanwhile", d.after(
		func() error { return d.save("east", "away", "while-west-was-away") }, d.shows("east", "away", "while-west-was-away", "north")))
	if err != nil {
		return err
	}
	gone, changed := numbered(0), numbered(1)
	err = d.take(ctx, "north deletes and changes", d.after(func() error {
		if err := d.remove("north", gone); err != nil {
			return err
		}
		return d.save("north", changed, "while-west-was-away")
	}, d.lacks("north", gone, "east"), d.shows("north", changed, "while-west-was-away", "east")))
	if err != nil {
		return err
	}
	return d.take(ctx, "west starts, and has it all", func(ctx context.Context) (string, error) {
		begun := time.Now()
		up, err := d.startNode(ctx, west)
		if err != nil {
			return "", err
		}
		all := append(d.lacks("north", gone, "west"), d.shows("north", changed, "while-west-was-away", "west")...)
		all = append(all, d.shows("east", "away", "while-west-was-away", "west")...)
		return d.await(ctx, begun, append(all, up, d.inSync(ctx, west))...)
	})
}

func (d *demo) tellCut(ctx context.Context) error {
	if err := d.chapter("4  The network is cut: west on one side, east and north on the other"); err != nil {
		return err
	}
	err := d.take(ctx, "cut; both sides notice", d.after(
		func() error { d.wires.cut("west"); return nil },
		d.sees(ctx, mesh.NotReady, "west", "east", "north"), d.sees(ctx, mesh.NotReady, "east", "west")))
	if err != nil {
		return err
	}
	err = d.take(ctx, "east saves one, north gets it", d.after(
		func() error { return d.save("east", "cut", "east-during-the-cut") }, d.shows("east", "cut", "east-during-the-cut", "north")))
	if err != nil {
		return err
	}
	err = d.take(ctx, "west saves one, and signs it", d.after(
		func() error { return d.save("west", "island", "west-during-the-cut") }, d.holds(ctx, "west", "island")))
	if err != nil {
		return err
	}
	err = d.take(ctx, "both save one called shared", d.after(func() error {
		return errors.Join(d.save("east", "shared", "as-east-wants-it"), d.save("west", "shared", "as-west-wants-it"))
	}, d.holds(ctx, "east", "shared"), d.holds(ctx, "west", "shared")))
	if err != nil {
		return err
	}
	err = d.take(ctx, "nothing got through", func(context.Context) (string, error) {
		for _, x := range append(d.lacks("east", "cut", "west"), d.lacks("west", "island", "east", "north")...) {
			if !x.holds() {
				return "", fmt.Errorf("not so in %s: %s", x.zone, x.what)
			}
		}
		return "", nil
	})
	if err != nil {
		return err
	}
	return d.take(ctx, "healed; all have both", d.after(func() error { d.wires.heal("west"); return nil },
		d.shows("east", "cut", "east-during-the-cut", "west"), d.shows("west", "island", "west-during-the-cut", "east", "north")))
}

func (d *demo) tellConflict(ctx context.Context) error {
	if err := d.chapter("5  Two zones have created the same object"); err != nil {
		return err
	}
	err := d.take(ctx, "each keeps its own copy", d.after(func() error { return nil }, d.contested(ctx, "shared", "east", "west")))
	if err != nil {
		return err
	}
	key := configMap("shared")
	return d.take(ctx, "mesh adopt in west settles it", func(ctx context.Context) (string, error) {
		return d.after(func() error {
			_, err := query(d.node("west"), func(c *admin.Client) (mesh.Adoption, error) { return c.Adopt(ctx, key, false) })
			return err
		}, d.shows("west", "shared", "as-west-wants-it", "east", "north"), d.lacks("east", "shared", "north"))(ctx)
	})
}

func (d *demo) tellEnd(ctx context.Context) error {
	if err := d.chapter("6  What is left"); err != nil {
		return err
	}
	err := d.take(ctx, "all in sync again", func(ctx context.Context) (string, error) {
		begun := time.Now()
		var all []expectation
		for _, n := range d.nodes {
			all = append(all, d.inSync(ctx, n))
		}
		_, err := d.await(ctx, begun, all...)
		return inMillis(time.Since(begun)), err
	})
	if err != nil {
		return err
	}
	if err := d.take(ctx, "claims and folders are equal", d.compare); err != nil {
		return err
	}
	if err := d.take(ctx, "every log verifies everywhere", d.verify); err != nil {
		return err
	}
	return d.e.printf("\n  told in %.1f s\n", time.Since(d.started).Seconds())
}

// after is a step: do something, and wait until all that is expected of it has come true.
func (d *demo) after(do func() error, expected ...[]expectation) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		var all []expectation
		for _, x := range expected {
			all = append(all, x...)
		}
		begun := time.Now()
		if err := do(); err != nil {
			return "", err
		}
		return d.await(ctx, begun, all...)
	}
}

// query puts a question to a node.
func query[T any](n *demoNode, question func(*admin.Client) (T, error)) (T, error) {
	c, err := admin.NewClient(n.api(), defaultTimeout)
	if err != nil {
		var none T
		return none, err
	}
	defer c.Close()
	return question(c)
}

// answers expects a node to answer with a status that fits.
func (d *demo) answers(ctx context.Context, n *demoNode, what string, fits func(mesh.Status) bool) expectation {
	return expectation{n.zone, what, func() bool {
		s, err := query(n, func(c *admin.Client) (mesh.Status, error) { return c.Status(ctx) })
		return err == nil && fits(s)
	}, askEvery}
}

// inSync expects a node to see the others and to hold what they hold.
func (d *demo) inSync(ctx context.Context, n *demoNode) expectation {
	return d.answers(ctx, n, "the node sees both others and is in sync", func(s mesh.Status) bool {
		return s.Ready && s.InSync && s.Peers.Ready == len(d.nodes)-1
	})
}

// sees expects zones to see a peer in a state.
func (d *demo) sees(ctx context.Context, state mesh.PeerState, peer mesh.Zone, from ...mesh.Zone) (all []expectation) {
	for _, z := range from {
		all = append(all, expectation{z, fmt.Sprintf("%s is seen as %s", peer, state), func() bool {
			peers, err := query(d.node(z), func(c *admin.Client) ([]mesh.Peer, error) { return c.Peers(ctx) })
			if err != nil {
				return false
			}
			for _, p := range peers {
				if p.Zone == peer {
					return p.State == state
				}
			}
			return false
		}, askEvery})
	}
	return all
}

// holds expects a zone to have signed a claim on a ConfigMap of its own.
func (d *demo) holds(ctx context.Context, zone mesh.Zone, name string) []expectation {
	return []expectation{d.resource(ctx, zone, name, "its own claim on "+name, func(r mesh.Resource) bool { return r.Owner == zone })}
}

// contested expects zones to show the conflict over a ConfigMap, each with its own copy untouched.
func (d *demo) contested(ctx context.Context, name string, zones ...mesh.Zone) (all []expectation) {
	for _, z := range zones {
		all = append(all, d.resource(ctx, z, name, "the conflict over "+name+" beside its own copy", func(r mesh.Resource) bool {
			own, _ := readOrNothing(d.node(z).local(name))
			return r.State == "Conflict" && len(r.Claims) == len(zones) && bytes.Contains(own, []byte(z))
		}))
	}
	return all
}

func (d *demo) resource(ctx context.Context, zone mesh.Zone, name, what string, fits func(mesh.Resource) bool) expectation {
	return expectation{zone, what, func() bool {
		r, err := query(d.node(zone), func(c *admin.Client) (mesh.Resource, error) { return c.Resource(ctx, configMap(name)) })
		return err == nil && fits(r)
	}, askEvery}
}

func configMap(name string) mesh.ObjectKey {
	return mesh.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: name}
}

// showPeers prints what mesh peers answers at a zone.
func (d *demo) showPeers(ctx context.Context, zone mesh.Zone) error {
	ctx, cancel := context.WithTimeout(ctx, d.limit)
	defer cancel()
	peers, err := query(d.node(zone), func(c *admin.Client) ([]mesh.Peer, error) { return c.Peers(ctx) })
	if err != nil {
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return ctx.Err()
		}
		d.step, d.failed = "mesh peers, asked of "+string(zone), true
		return d.failure(err)
	}
	sortPeers(peers)
	text := peerTable(d.e, peers, false).layout(0, func(s string, st style) string { return d.e.paint(d.e.stdout, s, st) })
	const indent = "        "
	return d.e.printf("%smesh peers, asked of %s:\n%s%s\n", indent, zone, indent,
		strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+indent))
}
