package membership_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/membership"
	"dcp.hiro.io/mesh/internal/mesh"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// epoch is an arbitrary start of time; transcripts count from it.
var epoch = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// TestTranscripts runs every story in testdata: a line "> 12s command args" is an input at 12 s, the lines
// after it are what the machine answered.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("%s differs; got:\n%s", file, got)
			}
		})
	}
}

// play runs the commands of a transcript and returns it with its answers filled in.
func play(t *testing.T, text string) string {
	var out strings.Builder
	var m *membership.Membership
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		cmd, isCmd := strings.CutPrefix(line, "> ")
		if !isCmd {
			if line == "" || strings.HasPrefix(line, "#") {
				out.WriteString(line + "\n")
			}
			continue
		}
		f := strings.Fields(cmd)
		at, err := time.ParseDuration(f[0])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		now := epoch.Add(at)
		out.WriteString(line + "\n")
		if f[1] == "new" {
			m = membership.New(now, config(), members(f[2:]))
			fmt.Fprintf(&out, "wake at %s\n", clock(m.Deadline()))
			continue
		}
		do(t, &out, m, now, f[1], f[2:])
	}
	return out.String()
}

func do(t *testing.T, out *strings.Builder, m *membership.Membership, now time.Time, cmd string, args []string) {
	var ch []membership.Change
	switch cmd {
	case "members":
		ch = m.SetMembers(now, members(args))
	case "up":
		ch = m.LinkUp(now, key(args[0]))
	case "down":
		ch = m.LinkDown(now, key(args[0]), membership.ConnectionClosed)
	case "goodbye":
		ch = m.LinkDown(now, key(args[0]), membership.Goodbye)
	case "traffic":
		ch = m.Traffic(now, key(args[0]))
	case "probe":
		ch = m.ProbeOK(now, key(args[0]), duration(t, args[1]))
	case "miss":
		ch = m.ProbeMissed(now, key(args[0]), epoch.Add(duration(t, args[1])))
	case "stalled":
		ch = m.Stalled(now, duration(t, args[0]))
	case "tick":
		ch = m.Tick(now)
	case "wait": // tick at every deadline until now
		for d := m.Deadline(); !d.IsZero() && !d.After(now); d = m.Deadline() {
			ch = append(ch, m.Tick(d)...)
		}
	case "sent":
		m.Sent(number(t, args[0]))
	case "heartbeat":
		h := m.Heartbeat(now, heartbeat(t, args))
		ch = h.Changes
		if !h.Fresh {
			out.WriteString("stale\n")
		}
		if c := h.Conflict; c != nil {
			fmt.Fprintf(out, "conflict of %s: run %d goes on, not %d (self %t, proven %t, yield %t)\n",
				name(c.Key), c.Lower.Start, c.Higher.Start, c.Self, c.Proven, c.Yield)
		}
	case "reach":
		fmt.Fprintln(out, [...]string{"all are linked", "some seem to be gone", "some are beyond"}[m.Reach()])
		return
	case "peers":
		for _, p := range m.Peers() {
			fmt.Fprintf(out, "%s %s since %s (%s) heard %s rtt %s run %d counter %d", name(p.Key), p.State,
				clock(p.Since), p.Reason, clock(p.Heard), p.RTT, p.Run.Start, p.Counter)
			if p.Rival != nil {
				fmt.Fprintf(out, " rival %d", p.Rival.Start)
			}
			out.WriteString("\n")
		}
		return
	default:
		t.Fatalf("unknown command %q", cmd)
	}
	for _, c := range ch {
		fmt.Fprintf(out, "%s: %s %s -> %s (%s)\n", clock(c.At), name(c.Key), c.From, c.To, c.Reason)
	}
}

func config() membership.Config {
	return membership.Config{Self: key("me"), Run: runOf(50)}
}

func key(s string) keys.Public {
	var k keys.Public
	copy(k[:], s)
	return k
}

func name(k keys.Public) string { return strings.TrimRight(string(k[:]), "\x00") }

func members(names []string) []membership.Member {
	var out []membership.Member
	for _, n := range names {
		out = append(out, membership.Member{Key: key(n), Zone: mesh.Zone(n)})
	}
	return out
}

// runOf names a run whose place in the order is n.
func runOf(n uint64) membership.Run {
	return membership.Run{Incarnation: 7, Start: n, ID: membership.RunID{byte(n), byte(n >> 8)}}
}

// heartbeat reads: key run counter [direct] [echo=counter of ours] [lost=counter of an earlier run of ours].
func heartbeat(t *testing.T, args []string) membership.Heartbeat {
	h := membership.Heartbeat{Key: key(args[0]), Zone: mesh.Zone(args[0]), Run: runOf(number(t, args[1])), Counter: number(t, args[2])}
	for _, a := range args[3:] {
		k, v, _ := strings.Cut(a, "=")
		switch k {
		case "direct":
			h.Direct = true
		case "echo":
			h.Echo = membership.Echo{Run: config().Run.ID, Counter: number(t, v)}
		case "lost":
			h.Echo = membership.Echo{Run: runOf(49).ID, Counter: number(t, v)}
		default:
			t.Fatalf("unknown argument %q", a)
		}
	}
	return h
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Sub(epoch).String()
}

func duration(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func number(t *testing.T, s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
