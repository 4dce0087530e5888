package meshtest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
	"dcp.hiro.io/mesh/internal/replica"
)

// doNode is for the commands that begin with a zone.
func (s *story) doNode(x *Node, name string, args []string) error {
	var k mesh.ObjectKey
	if len(args) > 0 {
		k = Object(args[0])
	}
	switch fmt.Sprint(name, " ", len(args)) {
	case "config 1":
		return s.config(x, args[0])
	case "crash 2", "crash 3":
		return s.crash(x, args)
	case "write 2", "edit 2", "write 4":
		x.Cluster.Local[k] = content(args[1])
		switch {
		case name == "edit":
		case len(args) == 4 && args[2] == "labelled":
			x.Cluster.queue = append(x.Cluster.queue,
				replica.Local{Object: k, Payload: []byte(args[1]), Labelled: mesh.Zone(args[3])})
		default:
			x.Cluster.look(k)
		}
	case "delete 1":
		s.w.Delete(x, k)
	case "unmatch 1":
		x.Cluster.queue = append(x.Cluster.queue, replica.LocalUnmatched{Object: k})
	case "alter 1":
		delete(x.Cluster.Replicas, k)
		x.Cluster.queue = append(x.Cluster.queue, x.Cluster.seen(k))
	case "alter 2":
		x.Cluster.Replicas[k] = Standing{x.Cluster.Replicas[k].Zone, args[1]}
		x.Cluster.queue = append(x.Cluster.queue, x.Cluster.seen(k))
	case "clock 1":
		d, err := duration(args)
		x.Skew = d
		return err
	case "stall 0", "resume 0":
		s.stalled[x] = name == "stall"
	case "unmount 0":
		x.Cluster.Mounted = false
	case "mount 0":
		asked := x.Cluster.asked
		x.Cluster.Mounted = true
		x.Cluster.start()
		x.Cluster.asked = asked
	case "swap 0":
		c := x.Cluster
		old := sortedKeys(c.Local)
		c.Disk = NewDisk()
		for _, k := range old {
			c.look(k)
		}
	case "backup 1", "restore 1", "lose 1":
		return s.backup(x, name, args[0])
	case "adopt 1":
		s.w.Do(x, replica.Adopt{Object: k})
	case "allow 2":
		return s.allow(x, args[0], args[1])
	case "accept 1":
		return s.accept(x, mesh.Zone(args[0]))
	case "future 0":
		return s.future(x)
	case "falsify 0":
		if done, err := s.w.Falsify(x); err != nil || !done {
			return cmp.Or(err, errUsage)
		}
	case "check 0":
		s.w.Check(x, 1<<30)
	default:
		return errUsage
	}
	return nil
}

// allow changes what may flow, at once and for later starts.
func (s *story) allow(x *Node, of, namespaces string) error {
	y := s.node(of)
	if y == nil {
		return fmt.Errorf("no zone %s", of)
	}
	rule := replica.Rule{Key: y.Key.Public()}
	switch namespaces {
	case "all":
	case "none":
		rule.Allow = &mesh.Allow{Namespaces: []string{}}
	default:
		rule.Allow = &mesh.Allow{Namespaces: strings.Split(namespaces, ",")}
	}
	rules := slices.DeleteFunc(slices.Clone(x.Config.Rules), func(r replica.Rule) bool { return r.Key == rule.Key })
	x.Config.Rules = append(rules, rule)
	s.w.Do(x, replica.Rules{Rules: x.Config.Rules})
	return nil
}

func (s *story) config(x *Node, setting string) error {
	key, val, _ := strings.Cut(setting, "=")
	c := &x.Config
	var err error
	switch key {
	case "on_conflict":
		c.OnConflict = replica.OnConflict(val)
	case "bootstrap":
		c.Bootstrap = val == "true"
	case "brake_min":
		c.BrakeMin, err = strconv.Atoi(val)
	case "snapshot_max":
		c.SnapshotMaxLog, err = strconv.ParseUint(val, 10, 32)
	case "alone":
		c.Members = nil
	case "publishes": // none of the named objects
		c.Publishes = func(k mesh.ObjectKey) bool { return k.Name != strings.TrimPrefix(val, "!") }
	case "applies":
		c.Applies = func(k mesh.ObjectKey) bool { return k.Name != strings.TrimPrefix(val, "!") }
	default:
		return errUsage
	}
	return err
}

// crash arms one crash: "after persist", "before persist", "while publishing" or "after apply".
func (s *story) crash(x *Node, args []string) error {
	n := 1
	if len(args) == 3 {
		var err error
		if n, err = strconv.Atoi(args[2]); err != nil {
			return err
		}
	}
	point := args[0] + " " + args[1]
	x.CrashAt(func(at string) bool {
		if at == point {
			n--
		}
		if n > 0 {
			return false
		}
		x.CrashAt(nil)
		fmt.Fprintf(&s.out, "%s: crashed %s\n", x.Name, point)
		return true
	})
	return nil
}

func (s *story) backup(x *Node, verb, what string) error {
	if x.Replica != nil && verb != "backup" {
		return fmt.Errorf("%s is running", x.Name)
	}
	name := string(x.Name)
	switch verb + " " + what {
	case "backup store":
		s.stores[name] = x.Store.Clone()
	case "backup cluster":
		s.disks[name] = x.Cluster.Disk.Clone()
	case "restore store":
		x.Store = s.stores[name].Clone()
	case "restore cluster":
		x.Cluster.Disk = s.disks[name].Clone()
	case "lose store":
		x.Store.Wipe()
	case "lose cluster":
		x.Cluster.Disk = NewDisk()
	default:
		return errUsage
	}
	return nil
}

func (s *story) accept(x *Node, z mesh.Zone) error {
	for _, h := range x.Replica.Held() {
		if h.Zone == z {
			digest, err := mesh.ParseHash(h.Digest)
			s.w.Do(x, replica.AcceptDeletes{Zone: z, Digest: digest})
			return err
		}
	}
	return fmt.Errorf("%s holds nothing for %s", x.Name, z)
}

// content expands "text*700000".
func content(word string) string {
	if text, times, ok := strings.Cut(word, "*"); ok {
		if n, err := strconv.Atoi(times); err == nil && n < 1<<20 {
			return strings.Repeat(text, n)
		}
	}
	return word
}

// send hands single operations of a log that x holds to y, as a sync round that breaks off does.
func (s *story) send(args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	x, y, err := s.pair(args[1])
	if err != nil {
		return err
	}
	log, err := s.names.log(args[0])
	if err != nil {
		return err
	}
	var from, to uint32
	if _, err := fmt.Sscanf(args[2], "%d..%d", &from, &to); err != nil {
		return err
	}
	if x.Replica != nil {
		s.w.Do(y, replica.Haves{From: x.Key.Public(), Logs: x.Replica.Haves()})
	}
	for _, in := range s.w.arrivals(y, s.w.rows(x, oplog.Send{Log: log, From: from, To: to + 1}), x) {
		s.w.Do(y, in)
	}
	return nil
}

// ownLog returns the log of a node in use, as stored.
func (s *story) ownLog(x *Node) (l oplog.Log, err error) {
	idx, err := x.Store.Load()
	if err != nil {
		return l, err
	}
	for _, l := range idx.Logs {
		if l.Key.Author == x.Key.Public() && l.Instance.Incarnation == idx.Meta.Incarnation {
			return l, nil
		}
	}
	return l, fmt.Errorf("%s has signed nothing", x.Name)
}

// bare hands y the header of the newest operation of x without its body.
func (s *story) bare(x, y *Node) error {
	l, err := s.ownLog(x)
	if err != nil {
		return err
	}
	for _, row := range s.w.rows(x, oplog.Send{Log: l.Key, From: l.Next - 1, To: l.Next}) {
		in, op := s.w.know(row).in, *s.w.know(row).in.Op
		op.Body = nil
		in.Op, in.Event, in.From = &op, nil, x.Key.Public()
		s.w.Do(y, in)
	}
	return nil
}

// future appends an operation to the log of a node that is down, with a body that only later versions read.
func (s *story) future(x *Node) error {
	l, err := s.ownLog(x)
	if err != nil || x.Replica != nil {
		return cmp.Or(err, errUsage)
	}
	op, err := operation.Sign(x.Key, operation.Header{
		Seq: l.Next, Backlink: l.Head, Log: l.Key.Log, Timestamp: uint64(s.w.clock(x).Sub(time.Unix(0, 0)).Microseconds()),
	}, []byte("what later versions say"))
	if err != nil {
		return err
	}
	l.Next, l.Head, l.Ops = l.Next+1, op.ID, l.Ops+1
	return x.Store.Commit(&oplog.Batch{
		Rows: []oplog.Row{{Log: l.Key, Seq: op.Seq, ID: op.ID, Header: op.Raw, Body: op.Body}},
		Logs: []oplog.Log{l},
	})
}
