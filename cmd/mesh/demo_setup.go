package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"dcp.hiro.io/mesh/internal/forward"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
)

// demoZones are the zones of the demo, in the order in which they are shown.
func demoZones() []mesh.Zone { return []mesh.Zone{"east", "north", "west"} }

// demoWires is the network of the demo: a forwarder for each direction in which two nodes dial.
type demoWires struct {
	stop context.CancelFunc
	work sync.WaitGroup
	byTo map[[2]mesh.Zone]*forward.Forwarder // from, to
}

// cut takes a zone off the network, silently.
func (w *demoWires) cut(z mesh.Zone) { w.each(z, (*forward.Forwarder).Cut) }

// heal brings a zone back.
func (w *demoWires) heal(z mesh.Zone) { w.each(z, (*forward.Forwarder).Heal) }

func (w *demoWires) each(z mesh.Zone, do func(*forward.Forwarder)) {
	for ends, f := range w.byTo {
		if ends[0] == z || ends[1] == z {
			do(f)
		}
	}
}

// lead tells the forwarders to a zone which port its node listens on.
func (w *demoWires) lead(to mesh.Zone, port uint16) error {
	for ends, f := range w.byTo {
		if ends[1] != to {
			continue
		}
		if err := f.SetTarget(loopback(port)); err != nil {
			return err
		}
	}
	return nil
}

// close ends all forwarders. There may be none yet.
func (w *demoWires) close() {
	if w == nil {
		return
	}
	w.stop()
	w.work.Wait()
}

func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// prepare makes everything that the nodes need: the network between them, and a folder for each.
func (d *demo) prepare() error {
	for _, z := range demoZones() {
		key, err := keys.Generate(d.e.rand)
		if err != nil {
			return fmt.Errorf("read the system's random source: %w", err)
		}
		d.nodes = append(d.nodes, &demoNode{zone: z, key: key, dir: filepath.Join(d.dir, string(z))})
	}
	if err := d.wire(); err != nil {
		return fmt.Errorf("make the network of the demo: %w", err)
	}
	for _, n := range d.nodes {
		if err := d.write(n); err != nil {
			return fmt.Errorf("write the files of %s: %w", n.zone, err)
		}
	}
	return nil
}

// wire opens the forwarders and chooses the nodes' ports. Another process may take such a port before its node
// does; the node then takes another one, and the forwarders learn of it when the node is up.
func (d *demo) wire() error {
	ctx, stop := context.WithCancel(context.Background())
	w := &demoWires{stop: stop, byTo: map[[2]mesh.Zone]*forward.Forwarder{}}
	d.wires = w
	const nowhere = 9 // the discard port; no node runs yet
	for _, a := range d.nodes {
		for _, b := range d.nodes {
			if a == b {
				continue
			}
			f, err := forward.Listen(loopback(nowhere))
			if err != nil {
				return err
			}
			w.byTo[[2]mesh.Zone{a.zone, b.zone}] = f
			w.work.Go(func() { f.Run(ctx) })
		}
	}
	for _, n := range d.nodes {
		f, err := forward.Listen(loopback(nowhere)) // finds a port that is free for TCP and UDP
		if err != nil {
			return err
		}
		n.port = f.Addr().Port()
		f.Close()
		if err := w.lead(n.zone, n.port); err != nil {
			return err
		}
	}
	return nil
}

// write makes the folder of a node, its key and its configuration.
func (d *demo) write(n *demoNode) error {
	if err := os.MkdirAll(filepath.Join(n.dir, "manifests", "local"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(n.dir, keyFileName), []byte(n.key.Hex()+"\n"), keyFileMode); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(n.dir, configName), []byte(d.config(n)), 0o600)
}

// config is the configuration of a node. The others are reached through the forwarders alone: nobody tells where
// they really are.
func (d *demo) config(n *demoNode) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# The node of zone %[1]s in a demo of mesh.
mesh:
  zone: %[1]s
network_id: demo
private_key_path: %[2]s
data_dir: %[3]s
kubernetes:
  folder: %[4]s
bind_address: [127.0.0.1]
bind_port: %[5]d
http_bind_address: 127.0.0.1
http_bind_port: 0
log_format: text
discovery: {records: false, mdns: false}
nodes:
`, n.zone, strconv.Quote(filepath.Join(n.dir, keyFileName)), strconv.Quote(n.data()),
		strconv.Quote(filepath.Join(n.dir, "manifests")), n.port)
	for _, o := range d.nodes {
		if o != n {
			fmt.Fprintf(&b, "  - public_key: %s\n    endpoints: [%q]\n    zone: %s\n",
				o.key.Public(), d.wires.byTo[[2]mesh.Zone{n.zone, o.zone}].Addr().String(), o.zone)
		}
	}
	return b.String()
}
