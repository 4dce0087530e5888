package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/forward"
	"dcp.hiro.io/mesh/internal/mesh"
)

var soakFlag = flag.Duration("soak", 3*time.Minute, "how long TestSoak goes on, at least")

// soak is three nodes that are never left alone for long. The network between them is a forwarder in front of each.
type soak struct {
	t      *testing.T
	rng    *rand.Rand
	all    []*zone
	wires  []*forward.Forwarder
	record soakRecord
	want   model
	cycles int
	spent  time.Duration // processor time of processes that ended
}

// TestSoak goes through the same cycle again and again: objects are created, changed and deleted in all folders while
// nodes are killed and stopped, the network is cut, a configuration is reloaded, an object is adopted to and fro, and a stranger
// knocks with an invitation that has expired. Then everything is brought back to the same number of objects, and when the
// folders agree and nothing moves any more the nodes are looked at: each cycle has to end as the ones before did.
//
// East is never killed; west is killed in each cycle and north is stopped in each, so that their windows are those of
// processes of the same age. While north is stopped the rows of its store are counted.
func TestSoak(t *testing.T) {
	t.Parallel()
	s := newSoak(t)
	startAll(t, s.all...)
	began := time.Now()
	for s.cycles = 0; s.cycles < minWindows+1 || time.Since(began) < *soakFlag; s.cycles++ { // the first one has no census
		s.cycle()
	}
	took := time.Since(began)
	if rising := s.record.table(os.Stdout); len(rising) > 0 {
		t.Errorf("not flat:\n%s", strings.Join(rising, "\n"))
	}
	for _, z := range s.all {
		z.verify()
		s.stop(z)
		z.verify()
	}
	fmt.Printf("soak: %d cycles in %s; the nodes took %.0f%% of a core\n", s.cycles, took.Round(time.Second), 100*(s.spent.Seconds()/took.Seconds()))
}

func newSoak(t *testing.T) *soak {
	s := &soak{t: t, rng: random(t), record: soakRecord{}, want: model{}}
	for name := range strings.FieldsSeq("east north west") {
		s.all = append(s.all, newZone(t, name,
			setMesh("delete_brake", map[string]any{"share": 1}),
			setMesh("snapshot", map[string]any{"snapshot_max_log": 50, "snapshot_interval_seconds": 1}),
			setMesh("tombstone", map[string]any{"tombstone_retention_interval_seconds": 1}),
			set("protocol", map[string]any{"resync_interval_seconds": 5})))
	}
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	t.Cleanup(func() { stop(); work.Wait() })
	for _, z := range s.all {
		f, err := forward.Listen(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(z.port)))
		must(t, err)
		s.wires = append(s.wires, f)
		work.Go(func() { f.Run(ctx) })
		z.config["advertise"] = []string{f.Addr().String()}
	}
	for _, z := range s.all {
		for i, o := range s.all {
			if o != z {
				z.config["nodes"] = append(z.config["nodes"].([]map[string]any),
					map[string]any{"public_key": o.public, "zone": o.name, "endpoints": []string{s.wires[i].Addr().String()}})
			}
		}
		z.save()
	}
	return s
}

// cycle is trouble, then order, then quiet.
func (s *soak) cycle() {
	began := time.Now()
	east, north, west := s.all[0], s.all[1], s.all[2]
	if s.cycles > 0 {
		// North is as the last window left it.
		s.stop(north)
		must(s.t, s.census(north))
	}

	users := make([]*soakUser, len(s.all))
	errs := make([]error, len(s.all))
	var work sync.WaitGroup
	over := make(chan struct{})
	for i, z := range s.all {
		users[i] = &soakUser{z: z, cycle: s.cycles, rng: rand.New(rand.NewPCG(s.rng.Uint64(), s.rng.Uint64())), have: s.want[z.name]}
		work.Go(func() { errs[i] = users[i].work(over) })
	}
	if s.cycles > 0 {
		must(s.t, north.begin())
	}
	trouble := []func(){
		func() { s.killed(west) },
		func() { s.cut() },
		func() { s.reload(east) },
		func() { s.stranger(north) },
	}
	s.rng.Shuffle(len(trouble), func(i, j int) { trouble[i], trouble[j] = trouble[j], trouble[i] })
	for _, do := range trouble {
		do()
		s.pause(700 * time.Millisecond)
	}
	close(over)
	work.Wait()
	must(s.t, errors.Join(errs...))
	for i, z := range s.all {
		s.want[z.name] = users[i].have
	}
	took := time.Since(began)
	s.adopted(north, east)
	s.settle()
	s.t.Logf("cycle %d: %s of trouble, %s until all were at rest, %d objects", s.cycles,
		took.Round(time.Second/10), (time.Since(began) - took).Round(time.Second/10), s.want.count())
	must(s.t, s.quiet())
}

func (m model) count() (n int) {
	for _, objects := range m {
		n += len(objects)
	}
	return n
}

// pause lets the users work: how long is the point of the story, not a wait for something.
func (s *soak) pause(most time.Duration) { time.Sleep(time.Duration(s.rng.Int64N(int64(most)))) }

// stop ends a node in an orderly way.
func (s *soak) stop(z *zone) {
	s.t.Helper()
	z.stop()
	s.ended(z)
}

func (s *soak) ended(z *zone) {
	state := z.process.cmd.ProcessState
	s.spent += state.UserTime() + state.SystemTime()
}

// killed ends a node as a crash does, and starts it again.
func (s *soak) killed(z *zone) {
	s.t.Helper()
	must(s.t, z.kill())
	s.ended(z)
	s.pause(500 * time.Millisecond)
	must(s.t, z.begin())
}

// cut takes the network apart until the nodes know it.
func (s *soak) cut() {
	s.t.Helper()
	for _, w := range s.wires {
		w.Cut()
	}
	for _, o := range s.all[1:] {
		eventually(s.t, "the cut is noticed", func() error {
			p, err := s.all[0].peer(o.name)
			if err == nil && p.State == mesh.Ready {
				err = fmt.Errorf("%s is Ready for %s", o.name, s.all[0].name)
			}
			return err
		})
	}
	for _, w := range s.wires {
		w.Heal()
	}
}

// reload changes what may be changed while a node runs, to and fro.
func (s *soak) reload(z *zone) {
	s.t.Helper()
	for _, level := range []string{"DEBUG", "INFO"} {
		z.config["log_level"] = level
		for _, n := range z.config["nodes"].([]map[string]any) {
			endpoints := n["endpoints"].([]string)[:1]
			if level == "DEBUG" {
				endpoints = append(endpoints, "127.0.0.1:9") // the discard port: nobody is there
			}
			n["endpoints"] = endpoints
		}
		z.save()
		z.signal(syscall.SIGHUP)
		eventually(s.t, z.name+" took the configuration over", func() error {
			var list struct {
				Items []struct {
					Key    string
					Values []string
				}
			}
			err := z.ask("config", &list)
			for _, v := range list.Items {
				if v.Key == "log_level" && (len(v.Values) != 1 || v.Values[0] != level) {
					return fmt.Errorf("log_level is %q", v.Values)
				}
			}
			return err
		})
	}
}

// stranger knocks with an invitation that has expired.
func (s *soak) stranger(z *zone) {
	s.t.Helper()
	eventually(s.t, z.name+" is ready", func() error {
		status, err := z.status()
		if err == nil && !status.Ready {
			err = errors.New("not yet")
		}
		return err
	})
	token := z.token("--ttl", "1s")
	id := idOf(s.t, token)
	eventually(s.t, "an invitation expires", func() error {
		if state := z.invite(id).State; state != mesh.InviteExpired {
			return fmt.Errorf("it is %s", state)
		}
		return nil
	})
	thief := &zone{t: s.t, program: z.program, name: "thief", dir: s.t.TempDir()}
	thief.refused(6, []string{"expired"}, "join", token, "--zone", "thief")
}

// adopted takes an object from one zone and gives it back.
func (s *soak) adopted(from, to *zone) {
	s.t.Helper()
	const name = "wanderer"
	if s.want[from.name][name] == "" {
		from.write(name+".yaml", manifest(name, "1"))
		s.want.set(from.name, name, "1")
	}
	equal(s.t, s.want, s.all...)
	for _, z := range []*zone{to, from} {
		z.cli("adopt", "ConfigMap/default/"+name, "-y", "--timeout=120s")
		for _, o := range []*zone{from, to} {
			delete(s.want[o.name], name)
		}
		s.want.set(z.name, name, "1")
		equal(s.t, s.want, s.all...)
	}
}

// settle waits until the folders agree and nothing moves any more. A deletion is forgotten by the snapshot of its zone that
// comes after those of the others in which they said that they know of it, and snapshots are made where there is something
// new: so each zone goes on to say something until no deletion is remembered.
func (s *soak) settle() {
	s.t.Helper()
	says := 0
	for deadline := time.Now().Add(patience); ; {
		for _, z := range s.all {
			name, value := z.name+"-says", fmt.Sprintf("%04d-%04d", s.cycles, says)
			z.write(name+".yaml", manifest(name, value))
			s.want.set(z.name, name, value)
		}
		says++
		equal(s.t, s.want, s.all...)
		const often = 2 * time.Second // twice the interval of snapshots
		err := wait(often, s.atRest)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("nothing comes to rest within %s: %v", patience, err)
		}
	}
}

// atRest returns what a node still has to do, if there is anything.
func (s *soak) atRest() error {
	for _, z := range s.all {
		status, err := z.status()
		if err != nil {
			return err
		}
		if n := status.Resources.Tombstones; !status.Ready || !status.InSync || status.Peers.Ready != len(s.all)-1 || n > 0 {
			return fmt.Errorf("%s: ready %v, in sync %v, %d peers, %d deletions remembered", z.name, status.Ready, status.InSync, status.Peers.Ready, n)
		}
	}
	return nil
}

// soakUser works in the folder of one zone. Objects with a number belong to it for good, the others come and go.
type soakUser struct {
	z     *zone
	cycle int
	rng   *rand.Rand
	have  map[string]string // value by name
	fresh int
}

const (
	soakObjects = 40        // of each zone
	soakLarge   = 512 << 10 // bytes of one more
	soakPace    = 250 * time.Millisecond
)

// work goes on until over is closed, then makes what is lacking and takes away what is too much.
func (u *soakUser) work(over <-chan struct{}) error {
	if u.have == nil {
		u.have = map[string]string{}
	}
	if err := u.put(u.z.name+"-large", strings.Repeat(u.value(), soakLarge/valueSize)); err != nil {
		return err
	}
	for n := 0; ; n++ {
		select {
		case <-over:
			return u.tidy()
		case <-time.After(time.Duration(u.rng.Int64N(int64(2 * soakPace)))): // a user's pace
		}
		var err error
		name := fmt.Sprintf("%s-%d", u.z.name, u.rng.IntN(soakObjects))
		passing := fmt.Sprintf("%s-passing-%d-%d", u.z.name, u.cycle, u.fresh)
		switch u.rng.IntN(6) {
		case 0:
			u.fresh++
			err = u.put(fmt.Sprintf("%s-passing-%d-%d", u.z.name, u.cycle, u.fresh), u.value())
		case 1:
			if u.have[passing] != "" {
				err = u.remove(passing)
			}
		case 2:
			if u.have[name] != "" {
				err = u.remove(name)
			}
		default:
			err = u.put(name, u.value())
		}
		if err != nil {
			return err
		}
	}
}

func (u *soakUser) tidy() error {
	for name := range u.have {
		if strings.Contains(name, "-passing-") {
			if err := u.remove(name); err != nil {
				return err
			}
		}
	}
	for n := range soakObjects {
		if name := fmt.Sprintf("%s-%d", u.z.name, n); u.have[name] == "" {
			if err := u.put(name, u.value()); err != nil {
				return err
			}
		}
	}
	return nil
}

// valueSize is the length of a value: objects of the same name are of the same size in all windows.
const valueSize = 16

func (u *soakUser) value() string { return fmt.Sprintf("%0*x", valueSize, u.rng.Uint64()) }

func (u *soakUser) put(name, value string) error {
	u.have[name] = value
	return u.z.replace(name+".yaml", manifest(name, value))
}

func (u *soakUser) remove(name string) error {
	delete(u.have, name)
	return os.Remove(filepath.Join(u.z.folder, "local", name+".yaml"))
}
