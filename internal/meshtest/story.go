package meshtest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// A story is a transcript: lines that begin with "> " are commands, those below up to the next command, comment
// (#) or empty line are what they printed. The lines before the first command say what it shows.
//
//	zones a b c                 make the zones, cut from nobody and not started
//	config a on_conflict=oldest change a configuration; takes effect at the next start
//	start a b                   start nodes;  kill a: stop one at once
//	crash a after persist 2     crash at the second such boundary from now on
//	write a x v1                save an object of a's own;  delete a x;  write a x v1 labelled b;
//	                            v1*700000 is that text so many times
//	edit a x v1                 the same, not seen by the adapter yet
//	unmatch a x                 no entry of the configuration publishes it any more
//	alter a x v9                alter a replica behind mesh's back;  alter a x: delete it
//	cut a b                     no messages between them;  heal: all links work again
//	sync a->b                   one sync round: b gets what a has;  settle: rounds until nothing changes
//	send a@1 a->b 3..5          only these operations of that log, as a round that breaks off
//	pass 20m                    let time pass;  clock a 10y: its clock is off by so much
//	stall a                     a's cluster neither reports nor writes;  resume a: it goes on
//	unmount a                   the cluster cannot be reached;  mount a
//	backup a store              keep a copy, also of: cluster;  restore a store;  lose a store
//	swap a                      its cluster is replaced by an empty one while it runs
//	allow a b shop,blog         a applies of b's zone only what is in these namespaces; all, none; allow a a: what a publishes
//	adopt a x                   take ownership;  accept a b: confirm the deletions held at a for b
//	expel a b                   a proposes to remove the key of b;  trust a: who belongs to the mesh as a sees it
//	rekey b                     b (down) gets a new key, to which its old one hands the zone over
//	future a                    a (down) signs something that no present version can read
//	falsify a                   a (down) never signed its newest operation, though it will sign what follows
//	check a                     a verifies signatures that it took in on the word of a later one
//	bare a->b                   the header of a's newest operation without its body
//	show [a..]  logs a  findings a  lost a  held a  waits a  acks a
//
// Every command prints the decisions that nodes took. Versions and incarnations are printed as small numbers,
// in the order in which their zone issued them.

// Tell runs a story and returns it with the printed lines as they are now.
func Tell(text string) (string, error) {
	s := &story{disks: make(map[string]*Disk), stores: make(map[string]*oplog.Memory), stalled: make(map[*Node]bool)}
	var out strings.Builder
	begun := false
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		cmd, isCmd := strings.CutPrefix(line, "> ")
		switch {
		case isCmd:
			begun = true
			out.WriteString(line + "\n")
			s.out.Reset()
			if err := s.run(strings.Fields(cmd)); err != nil {
				return "", fmt.Errorf("line %d: %s: %w", i+1, cmd, err)
			}
			out.WriteString(s.out.String())
		case !begun, line == "", strings.HasPrefix(line, "#"):
			out.WriteString(line + "\n")
		}
	}
	return out.String(), nil
}

type story struct {
	w       *World
	out     strings.Builder
	disks   map[string]*Disk
	stores  map[string]*oplog.Memory
	stalled map[*Node]bool
	names   ordinals
}

// errNoWorld and errUsage are mistakes in the story itself.
var (
	errNoWorld = errors.New("the first command must be zones")
	errUsage   = errors.New("unknown command or wrong number of words")
)

// run carries out one command, lets everything that can happen happen, and prints the decisions taken.
func (s *story) run(words []string) error {
	if len(words) == 0 {
		return errUsage
	}
	if words[0] == "zones" {
		return s.zones(words[1:])
	}
	if s.w == nil {
		return errNoWorld
	}
	if err := s.do(words[0], words[1:]); err != nil {
		return err
	}
	s.drain()
	s.names.learn(s.w)
	s.decisions()
	return s.w.Err
}

func (s *story) zones(names []string) error {
	if len(names) == 0 || s.w != nil {
		return errUsage
	}
	s.w = NewWorld(1, len(names), nil)
	zone := make(map[mesh.Zone]mesh.Zone)
	for i, x := range s.w.Nodes {
		zone[x.Name] = mesh.Zone(names[i])
		x.Name, x.Config.Zone = mesh.Zone(names[i]), mesh.Zone(names[i])
	}
	for _, x := range s.w.Nodes {
		for i := range x.Config.Members {
			x.Config.Members[i].Zone = zone[x.Config.Members[i].Zone]
		}
	}
	return nil
}

// do finds the command by its name and number of words.
func (s *story) do(name string, args []string) error {
	if done, err := s.print(name, args); done {
		return err
	}
	switch name {
	case "settle", "heal":
		if len(args) > 0 {
			return errUsage
		}
		if name == "heal" {
			s.w.Heal()
			return nil
		}
		return s.settle()
	case "pass":
		d, err := duration(args)
		if err != nil {
			return err
		}
		s.w.Advance(d)
		return nil
	case "start", "kill":
		return s.each(args, func(x *Node) error {
			if (name == "start") != (x.Replica == nil) {
				return fmt.Errorf("%s is so already", x.Name)
			}
			if name == "start" {
				s.w.Start(x)
			} else {
				s.w.Stop(x)
			}
			return nil
		})
	case "sync", "bare":
		if len(args) != 1 {
			return errUsage
		}
		x, y, err := s.pair(args[0])
		if err != nil {
			return err
		}
		if name == "bare" {
			return s.bare(x, y)
		}
		s.w.Sync(x, y)
		return nil
	case "send":
		return s.send(args)
	case "cut":
		if len(args) != 2 {
			return errUsage
		}
		x, y := s.node(args[0]), s.node(args[1])
		if x == nil || y == nil {
			return fmt.Errorf("no zone %s or %s", args[0], args[1])
		}
		s.w.Cut(x, y, true)
		return nil
	}
	if len(args) == 0 || s.node(args[0]) == nil {
		return errUsage
	}
	if done, err := s.doTrust(s.node(args[0]), name, args[1:]); done {
		return err
	}
	return s.doNode(s.node(args[0]), name, args[1:])
}

func (s *story) node(name string) *Node {
	for _, x := range s.w.Nodes {
		if string(x.Name) == name {
			return x
		}
	}
	return nil
}

// each calls fn for the named nodes, or for all.
func (s *story) each(names []string, fn func(*Node) error) error {
	if len(names) == 0 {
		for _, x := range s.w.Nodes {
			names = append(names, string(x.Name))
		}
	}
	for _, n := range names {
		x := s.node(n)
		if x == nil {
			return fmt.Errorf("no zone %s", n)
		}
		if err := fn(x); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) pair(arrow string) (x, y *Node, err error) {
	from, to, ok := strings.Cut(arrow, "->")
	if ok {
		x, y = s.node(from), s.node(to)
	}
	if x == nil || y == nil {
		return nil, nil, fmt.Errorf("%s: want ZONE->ZONE", arrow)
	}
	return x, y, nil
}

// duration reads a Go duration, or years.
func duration(args []string) (time.Duration, error) {
	if len(args) != 1 {
		return 0, errUsage
	}
	if y, ok := strings.CutSuffix(args[0], "y"); ok {
		n, err := strconv.Atoi(y)
		return time.Duration(n) * 365 * 24 * time.Hour, err
	}
	return time.ParseDuration(args[0])
}

// drain lets everything happen that is on its way: messages first, then reports of clusters, then what was
// asked of them.
func (s *story) drain() {
	for busy := true; busy; {
		busy = false
		for _, x := range s.w.Nodes {
			for s.deliver(x) {
				busy = true
			}
		}
	}
}

func (s *story) deliver(x *Node) bool {
	c := x.Cluster
	switch {
	case x.Replica == nil:
		return false
	case len(x.inbox) > 0:
		m := x.inbox[0]
		x.inbox = slices.Delete(x.inbox, 0, 1)
		s.w.Do(x, m.input)
	case s.stalled[x]:
		return false
	case len(c.queue) > 0:
		in := c.queue[0]
		c.queue = slices.Delete(c.queue, 0, 1)
		s.w.Do(x, in)
	case len(c.asked) > 0 && c.Mounted:
		do := c.asked[0]
		c.asked = slices.Delete(c.asked, 0, 1)
		do()
	default:
		return false
	}
	return true
}

// settle runs sync rounds between all that are linked until two in a row change nothing.
func (s *story) settle() error {
	for round, quiet := 0, 0; quiet < 2; round++ {
		if round > 100 {
			return errors.New("the mesh doesn't come to rest")
		}
		before := s.w.fingerprint()
		s.w.Advance(11 * time.Second)
		s.drain()
		for _, x := range s.w.Nodes {
			for _, y := range s.w.Nodes {
				if x != y {
					s.w.Sync(x, y)
					s.drain()
				}
			}
		}
		quiet++
		if s.w.fingerprint() != before {
			quiet = 0
		}
	}
	return nil
}
