package e2e_test

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wires join machines, network namespaces each with one interface. What a machine sends this process reads, and carries
// it to the other machine in the way that the test says: late, in another order, twice, not at all. That takes no module
// of the kernel beside tun, and a change of a wire counts from the next packet on.
type wires struct {
	t    testing.TB
	id   int32
	name string

	mu    sync.Mutex
	ends  map[netip.Addr]*wireEnd
	addrs map[string]netip.Addr // of the machines, by zone
	ways  map[way]*carriage
	rand  *rand.Rand
	late  lateness // what is under way
	count int
	nat   map[netip.Addr]*nat // by the address that others see

	wake chan struct{} // capacity 1, never closed: something is under way
	done chan struct{} // closed at the end
	work sync.WaitGroup
}

// way is one direction between two machines, by the names of their zones.
type way struct{ from, to string }

// wire says how one direction carries packets. The zero value carries everything at once.
type wire struct {
	cut     bool          // nothing arrives, and nobody is told
	loss    float64       // share that is lost
	twice   float64       // share that arrives twice
	delay   time.Duration // of each packet
	jitter  time.Duration // up to so much more, of each packet by itself: they overtake each other
	inOrder bool          // they don't
	rate    int           // bytes a second; 0: no limit
	buffer  int           // bytes that wait for their turn where there is a rate; what is more is lost
	mtu     int           // longer packets are lost, and nobody is told; 0: no limit
	most    int           // after so many bytes both directions are cut; 0: no limit
	noUDP   bool
	noTCP   bool
}

// carriage is a wire and what it carried.
type carriage struct {
	wire
	free    time.Time // when the rate allows the next packet
	last    time.Time // when the last one arrives
	packets int       // sent
	bytes   int       // sent since the wire was set
	lost    int
	asked   time.Time     // when the last one was sent while the wire was cut, or when it was cut
	quiet   time.Duration // the longest time without one
}

// wireEnd is a machine's interface.
type wireEnd struct {
	zone string
	tun  *os.File
}

// parcel is a packet under way.
type parcel struct {
	at     time.Time
	to     *wireEnd
	packet []byte
}

type lateness []parcel

func (l lateness) Len() int           { return len(l) }
func (l lateness) Less(i, j int) bool { return l[i].at.Before(l[j].at) }
func (l lateness) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *lateness) Push(x any)        { *l = append(*l, x.(parcel)) }
func (l *lateness) Pop() any {
	old := *l
	p := old[len(old)-1]
	*l = old[:len(old)-1]
	return p
}

// wireCount counts them: tests have theirs at the same time.
var wireCount atomic.Int32

// newWires returns false, and says so, where namespaces or tun can't be had.
func newWires(t testing.TB) (*wires, bool) {
	t.Helper()
	n := wireCount.Add(1)
	w := &wires{t: t, id: n, name: fmt.Sprintf("mesh-net-%d-%d", os.Getpid(), n),
		ends: map[netip.Addr]*wireEnd{}, addrs: map[string]netip.Addr{}, ways: map[way]*carriage{}, nat: map[netip.Addr]*nat{},
		rand: rand.New(rand.NewPCG(rand.Uint64(), uint64(n))), wake: make(chan struct{}, 1), done: make(chan struct{})}
	probe := w.name + "-try"
	out, err := exec.Command("ip", "netns", "add", probe).CombinedOutput()
	if err == nil {
		defer w.ip("netns", "del", probe)
		var f *os.File
		if f, err = openTun(fmt.Sprintf("mn%dx%d", os.Getpid()%100000, n)); err == nil {
			f.Close()
		}
	}
	if err != nil {
		t.Logf("NOT RUN: %s: machines on wires need root with CAP_SYS_ADMIN, the ip command and /dev/net/tun: %v %s", t.Name(), err, out)
		return nil, false
	}
	w.work.Go(w.deliver)
	t.Cleanup(func() {
		close(w.done)
		for _, e := range w.ends {
			e.tun.Close()
		}
		w.work.Wait()
	})
	return w, true
}

func (w *wires) ip(args ...string) {
	w.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		w.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// openTun makes an interface that is there as long as the file is open.
func openTun(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if _, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(req))); no != 0 {
			err = no
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make the interface %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil
}

// machine adds one for a node, which is not started, with the default intervals of a node.
func (w *wires) machine(name string, settings ...func(map[string]any)) *zone {
	w.t.Helper()
	z := newZone(w.t, name, append([]func(map[string]any){
		set("bind_address", []string{"0.0.0.0"}), set("bind_port", 9102), set("heartbeat_interval_seconds", 5), set("network_id", w.name),
	}, settings...)...)
	z.port = 9102
	z.machine = w.name + "-" + name
	w.count++
	w.ip("netns", "add", z.machine)
	w.t.Cleanup(func() {
		if z.running() {
			must(w.t, z.kill())
		}
		w.ip("netns", "del", z.machine)
	})
	device := fmt.Sprintf("mn%dx%dx%d", os.Getpid()%100000, w.id, w.count)
	tun, err := openTun(device)
	must(w.t, err)
	end := &wireEnd{zone: name, tun: tun}
	w.ip("link", "set", device, "netns", z.machine, "name", "eth0")
	w.ip("-n", z.machine, "link", "set", "lo", "up")
	w.ip("-n", z.machine, "link", "set", "eth0", "up")
	w.address(z, addressOf(w.count), end)
	w.work.Go(func() { w.read(end) })
	return z
}

// addressOf is the address of the nth machine.
func addressOf(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 98, 0, byte(n)}) }

// address gives a machine an address.
func (w *wires) address(z *zone, a netip.Addr, end *wireEnd) {
	w.t.Helper()
	w.ip("-n", z.machine, "addr", "add", a.String()+"/24", "dev", "eth0")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends[a], w.addrs[z.name] = end, a
}

// moves gives a machine another address in place of the one that it has.
func (w *wires) moves(z *zone, to netip.Addr) {
	w.t.Helper()
	from := w.at(z)
	w.mu.Lock()
	end := w.ends[from]
	delete(w.ends, from)
	w.mu.Unlock()
	w.ip("-n", z.machine, "addr", "del", from.String()+"/24", "dev", "eth0")
	w.address(z, to, end)
}

// at is the address of a machine.
func (w *wires) at(z *zone) netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.addrs[z.name]
}

// meet has the configs of machines name each other.
func (w *wires) meet(all ...*zone) {
	w.t.Helper()
	for _, z := range all {
		w.knows(z, all...)
	}
}

// knows names others in a config.
func (w *wires) knows(z *zone, others ...*zone) {
	w.t.Helper()
	nodes := z.config["nodes"].([]map[string]any)
	for _, o := range others {
		if o != z {
			nodes = append(nodes, map[string]any{"public_key": o.public, "zone": o.name, "endpoints": []string{w.at(o).String() + ":9102"}})
		}
	}
	z.config["nodes"] = nodes
	z.save()
}

// one sets how packets go from one machine to another.
func (w *wires) one(from, to *zone, is wire) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.carriage(from.name, to.name)
	c.wire, c.bytes, c.asked, c.quiet = is, 0, time.Now(), 0
}

// quiet is the longest time for which a machine sent another nothing, since the way was set last.
func (w *wires) quiet(from, to *zone) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.carriage(from.name, to.name)
	return max(c.quiet, time.Since(c.asked))
}

// both sets how packets go between two machines.
func (w *wires) both(a, b *zone, is wire) {
	w.one(a, b, is)
	w.one(b, a, is)
}

// apart sets how packets go between the machines of two groups.
func (w *wires) apart(as, bs []*zone, is wire) {
	for _, a := range as {
		for _, b := range bs {
			w.both(a, b, is)
		}
	}
}

// carriage is what there is of a way. The caller holds mu.
func (w *wires) carriage(from, to string) *carriage {
	c := w.ways[way{from, to}]
	if c == nil {
		c = &carriage{}
		w.ways[way{from, to}] = c
	}
	return c
}

// isCut reports whether nothing gets from one machine to another.
func (w *wires) isCut(from, to *zone) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.carriage(from.name, to.name).cut
}

// lossRatio is the share of packets that were lost on a way.
func (w *wires) lossRatio(from, to *zone) (packets int, lost float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.carriage(from.name, to.name)
	return c.packets, float64(c.lost) / float64(max(1, c.packets))
}

// read takes what a machine sends.
func (w *wires) read(from *wireEnd) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.tun.Read(buf)
		if err != nil {
			return // the test is over: nothing else closes it
		}
		if n < 20 || buf[0]>>4 != 4 {
			continue // IPv6 looks around for neighbours
		}
		w.carry(from, buf[:n])
	}
}

// carry sends a packet on its way, if it gets that far.
func (w *wires) carry(from *wireEnd, packet []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.translate(packet)
	to := w.ends[netip.AddrFrom4([4]byte(packet[16:20]))]
	if to == nil || to == from {
		return
	}
	c, now := w.carriage(from.zone, to.zone), time.Now()
	c.packets++
	if c.bytes += len(packet); c.most > 0 && c.bytes > c.most && !c.cut {
		c.cut, w.carriage(to.zone, from.zone).cut = true, true
	}
	c.quiet, c.asked = max(c.quiet, now.Sub(c.asked)), now
	at, ok := c.arrives(now, w.rand, packet)
	if !ok {
		c.lost++
		return
	}
	if !at.After(now) {
		to.send(packet)
	} else {
		w.push(parcel{at, to, append([]byte(nil), packet...)})
	}
	if c.twice > 0 && w.rand.Float64() < c.twice {
		w.push(parcel{at.Add(time.Duration(w.rand.Int64N(int64(10*time.Millisecond + c.jitter)))), to, append([]byte(nil), packet...)})
	}
}

// arrives tells when a packet does, if it does.
func (c *carriage) arrives(now time.Time, r *rand.Rand, packet []byte) (at time.Time, ok bool) {
	const tcp, udp = 6, 17
	switch proto := packet[9]; {
	case c.cut, c.noUDP && proto == udp, c.noTCP && proto == tcp, c.mtu > 0 && len(packet) > c.mtu,
		c.loss > 0 && r.Float64() < c.loss:
		return at, false
	}
	at = now
	if c.rate > 0 {
		if c.free.Before(now) {
			c.free = now
		}
		if waiting := int(c.free.Sub(now).Seconds() * float64(c.rate)); waiting+len(packet) > c.buffer {
			return at, false
		}
		c.free = c.free.Add(time.Duration(len(packet)) * time.Second / time.Duration(c.rate))
		at = c.free
	}
	at = at.Add(c.delay)
	if c.jitter > 0 {
		at = at.Add(time.Duration(r.Int64N(int64(c.jitter))))
	}
	if c.inOrder && at.Before(c.last) {
		at = c.last
	}
	c.last = at
	return at, true
}

// push puts a packet among those under way. The caller holds mu.
func (w *wires) push(p parcel) {
	heap.Push(&w.late, p)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// deliver hands out what is under way when its time has come.
func (w *wires) deliver() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		w.mu.Lock()
		now := time.Now()
		for len(w.late) > 0 && !w.late[0].at.After(now) {
			p := heap.Pop(&w.late).(parcel)
			p.to.send(p.packet)
		}
		pause := time.Hour
		if len(w.late) > 0 {
			pause = w.late[0].at.Sub(now)
		}
		w.mu.Unlock()
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-w.wake:
		case <-w.done:
			return
		}
	}
}

// send hands a packet to the machine. What it has no room for is lost, as on any wire.
func (e *wireEnd) send(packet []byte) {
	if _, err := e.tun.Write(packet); err != nil && !errors.Is(err, os.ErrClosed) {
		return
	}
}

// nat hides one machine behind an address of its own: others reach it only where it reached them, as long as that is
// remembered.
type nat struct {
	inside netip.Addr
	shift  uint16 // of ports, until the next rebinding
	open   map[natKey]bool
}

// natKey is what may come in: from there, to this port.
type natKey struct {
	proto  byte
	remote netip.AddrPort
	port   uint16
}

// hide puts a machine behind another address.
func (w *wires) hide(z *zone, outside netip.Addr) {
	inside := w.at(z)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nat[outside] = &nat{inside: inside, shift: 1000, open: map[natKey]bool{}}
	w.ends[outside] = &wireEnd{zone: z.name, tun: w.ends[inside].tun}
}

// rebind has the NAT forget everything: what goes out from now on comes from other ports.
func (w *wires) rebind(outside netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.nat[outside]
	n.shift += 1000
	clear(n.open)
}

// translate is what a NAT does to a packet. The caller holds mu.
func (w *wires) translate(b []byte) {
	head := int(b[0]&15) * 4
	if len(b) < head+8 || b[9] != 6 && b[9] != 17 {
		return
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	sport, dport := binary.BigEndian.Uint16(b[head:]), binary.BigEndian.Uint16(b[head+2:])
	for outside, n := range w.nat {
		switch {
		case src == n.inside:
			sport += n.shift
			n.open[natKey{b[9], netip.AddrPortFrom(dst, dport), sport}] = true
			rewrite(b, head, 12, outside, head, sport)
		case dst == outside:
			if !n.open[natKey{b[9], netip.AddrPortFrom(src, sport), dport}] {
				rewrite(b, head, 16, netip.AddrFrom4([4]byte{}), head+2, dport) // to nowhere
				continue
			}
			rewrite(b, head, 16, n.inside, head+2, dport-n.shift)
		case dst == n.inside:
			rewrite(b, head, 16, netip.AddrFrom4([4]byte{}), head+2, dport) // nobody outside can name it
		}
	}
}

// rewrite replaces an address and a port, and corrects both checksums.
func rewrite(b []byte, head, addrAt int, a netip.Addr, portAt int, port uint16) {
	sumAt := head + 16 // TCP
	if b[9] == 17 {
		sumAt = head + 6
	}
	old, raw := [4]byte(b[addrAt:addrAt+4]), a.As4()
	for i := 0; i < 4; i += 2 {
		was, is := binary.BigEndian.Uint16(old[i:]), binary.BigEndian.Uint16(raw[i:])
		correct(b, 10, was, is)
		if len(b) >= sumAt+2 {
			correct(b, sumAt, was, is)
		}
	}
	copy(b[addrAt:], raw[:])
	if len(b) >= sumAt+2 {
		correct(b, sumAt, binary.BigEndian.Uint16(b[portAt:]), port)
	}
	binary.BigEndian.PutUint16(b[portAt:], port)
}

// correct updates a checksum for a word that changes (RFC 1624).
func correct(b []byte, at int, was, is uint16) {
	sum := uint32(^binary.BigEndian.Uint16(b[at:])) + uint32(^was) + uint32(is)
	sum = sum&0xffff + sum>>16
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(b[at:], ^uint16(sum))
}
