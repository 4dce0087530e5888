package store

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/storetest"
	"dcp.hiro.io/mesh/internal/operation"
	"dcp.hiro.io/mesh/internal/oplog"
)

// The test binary runs itself as a child that commits until it is killed or hits a file size limit.
const (
	envStore = "MESH_STORE_TEST_PATH"
	envLimit = "MESH_STORE_TEST_LIMIT" // bytes; empty: no limit
)

func TestMain(m *testing.M) {
	if path := os.Getenv(envStore); path != "" {
		os.Exit(child(path, os.Getenv(envLimit)))
	}
	os.Exit(m.Run())
}

// child goes on from what the store holds and prints every number whose commit was acknowledged.
func child(path, limit string) int {
	if limit != "" {
		signal.Ignore(syscall.SIGXFSZ)
		n, err := strconv.ParseUint(limit, 10, 64)
		if err == nil {
			err = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	s, err := Open(path, Options{Ballast: 64 << 10})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	x, err := s.Load()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c := newChain(1)
	if len(x.Logs) > 0 {
		c.log = x.Logs[0]
	}
	for {
		b := c.next()
		if err := s.Commit(b); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
		fmt.Println(c.log.Height())
	}
}

// chainWriter makes batches as a node does: one signed operation, its claim, the log's record; a prune now and
// then, so that pages are freed and used again.
type chainWriter struct {
	key keys.Private
	log oplog.Log
}

func newChain(n byte) *chainWriter {
	return &chainWriter{key: storetest.Key(n), log: oplog.Log{Key: storetest.Log(n, 1), Instance: mesh.Instance{Zone: "eu", Incarnation: 1}}}
}

const (
	keepRows   = 300
	pruneEvery = 50
)

func (c *chainWriter) next() *oplog.Batch {
	l := &c.log
	h := operation.Header{Log: l.Key.Log, Seq: l.Next, Backlink: l.Head, Timestamp: uint64(l.Next)}
	// Sizes from a few bytes to several pages.
	body := []byte(strings.Repeat(fmt.Sprintf("%d ", l.Next), 1+int(l.Next)*37%3000))
	op, err := operation.Sign(c.key, h, body)
	if err != nil {
		panic(err)
	}
	l.Next++
	l.Head = op.ID
	l.Ops++
	row := oplog.Row{Log: l.Key, Seq: op.Seq, ID: op.ID, Header: op.Raw, Body: op.Body}
	l.Bytes += uint64(row.Size())
	claim := storetest.ClaimOf(object(int(op.Seq)%100), "eu", mesh.Version(op.Seq+1), string(body))
	claim.At = mesh.Position{Log: l.Key, Incarnation: 1, Seq: op.Seq}
	b := &oplog.Batch{Rows: []oplog.Row{row}, Claims: []oplog.ClaimWrite{claim}}
	if l.Next%pruneEvery == 0 && l.Next > keepRows {
		// The new start and the removal of rows are one commit here, so that Check knows what must be left.
		b.Prune = []oplog.Span{{Log: l.Key, From: l.Start, To: l.Next - keepRows}}
		for seq := l.Start; seq < l.Next-keepRows; seq++ {
			l.Bytes -= c.size(seq)
			l.Ops--
		}
		l.Start = l.Next - keepRows
		l.Pruned = l.Start
	}
	b.Logs = []oplog.Log{*l}
	return b
}

// size is that of the row made for seq: header lengths depend on the numbers only.
func (c *chainWriter) size(seq uint32) uint64 {
	h := operation.Header{Log: c.log.Key.Log, Seq: seq, Timestamp: uint64(seq)}
	if seq > 0 {
		h.Backlink = mesh.Hash{1}
	}
	body := []byte(strings.Repeat(fmt.Sprintf("%d ", seq), 1+int(seq)*37%3000))
	op, err := operation.Sign(c.key, h, body)
	if err != nil {
		panic(err)
	}
	return uint64(len(op.Raw) + len(body))
}

// acknowledged reads the numbers a child printed until it ended, and calls seen after each.
func acknowledged(t *testing.T, cmd *exec.Cmd, seen func(n int)) (last int) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last = -1
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if last, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatalf("child says %q", lines.Text())
		}
		seen(n)
	}
	_ = cmd.Wait()
	return last
}

func childCommand(path, limit string) (*exec.Cmd, *strings.Builder) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envStore+"="+path, envLimit+"="+limit)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	return cmd, &stderr
}

// sound checks the whole store and that it holds the log up to at least last.
func sound(t *testing.T, path string, last int) {
	t.Helper()
	s := openTest(t, path, small)
	defer s.Close()
	r, err := s.Check(t.Context())
	if err != nil || len(r.Problems) > 0 {
		t.Fatalf("Check = %+v, %v", r, err)
	}
	x, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	if last >= 0 && (len(x.Logs) != 1 || int(x.Logs[0].Height()) < last) {
		t.Fatalf("acknowledged up to %d, held: %+v", last, x.Logs)
	}
}

// TestKill kills a writer at random moments. What it acknowledged is there, and the file is sound.
func TestKill(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 1))
	path := filepath.Join(t.TempDir(), "mesh.db")
	last := -1
	for round := range 25 {
		cmd, stderr := childCommand(path, "")
		victim, delay := rng.IntN(40), time.Duration(rng.IntN(3000))*time.Microsecond
		if round%5 == 0 {
			victim = 0 // during the first commits of a run, the very first included
		}
		got := acknowledged(t, cmd, func(n int) {
			if n == victim {
				time.AfterFunc(delay, func() { _ = cmd.Process.Kill() })
			}
		})
		if stderr.Len() > 0 {
			t.Fatalf("seed %d, round %d: child failed: %s", seed, round, stderr)
		}
		if got < last {
			t.Fatalf("seed %d, round %d: the writer went back from %d to %d", seed, round, last, got)
		}
		last = got
		sound(t, path, last)
	}
}

// TestKillWhileCreating kills a writer before it could acknowledge anything: what is left opens.
func TestKillWhileCreating(t *testing.T) {
	t.Parallel()
	for delay := range 20 {
		path := filepath.Join(t.TempDir(), "mesh.db")
		cmd, _ := childCommand(path, "")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(delay)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		sound(t, path, -1)
	}
}

// TestFileLimit lets writes fail for real, at many places: the process's file size limit is a disk that is
// full. The error has its type, nothing acknowledged is lost, and with room the writer goes on.
func TestFileLimit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mesh.db")
	last := -1
	limit := 128 << 10
	for range 8 {
		limit += 150 << 10
		cmd, stderr := childCommand(path, strconv.Itoa(limit))
		got := acknowledged(t, cmd, func(int) {})
		if !strings.Contains(stderr.String(), ErrDiskFull.Error()) {
			t.Fatalf("limit %d: child ended with %q, want disk full", limit, stderr)
		}
		last = max(last, got)
		sound(t, path, last)
	}
	if last < 10 {
		t.Errorf("only %d operations were acknowledged in all", last)
	}
}

// numbered is a batch of one plain row.
func numbered(log mesh.LogKey, seq uint32) *oplog.Batch {
	return &oplog.Batch{Rows: []oplog.Row{{Log: log, Seq: seq, ID: mesh.Hash{byte(seq)}, Header: []byte{1}}}}
}

func expectNumbered(t *testing.T, s *Store, log mesh.LogKey, n int) {
	t.Helper()
	rows, err := s.Rows(log, 0, 1<<32-1, 1<<30)
	if err != nil || len(rows) != n {
		t.Errorf("%d rows, %v, want %d", len(rows), err, n)
	}
}
