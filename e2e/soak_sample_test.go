package e2e_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"dcp.hiro.io/mesh/internal/mesh"
)

// A quiet window lasts quietFor and is looked at once in quietTick.
const (
	quietTick  = time.Second
	quietLooks = 5
)

// quiet looks at all nodes while nobody does anything, and keeps one value of each figure: the least that was seen,
// since what disturbs a figure makes it larger; of the traffic of all together the median second.
func (s *soak) quiet() error {
	looks := make([]map[string][]float64, len(s.all))
	for i := range looks {
		looks[i] = map[string][]float64{}
	}
	var traffic []float64
	before := s.carried()
	for range quietLooks {
		time.Sleep(quietTick) // quiet is what is looked at
		now := s.carried()
		traffic = append(traffic, (now-before)/quietTick.Seconds())
		before = now
		for i, z := range s.all {
			seen, err := z.sample()
			if err != nil {
				return fmt.Errorf("look at %s: %w", z.name, err)
			}
			for name, v := range seen {
				looks[i][name] = append(looks[i][name], v)
			}
		}
	}
	for i, z := range s.all {
		for name, values := range looks[i] {
			s.record.add(z.name, name, slices.Min(values))
		}
	}
	slices.Sort(traffic)
	s.record.add("all", "traffic per second", traffic[len(traffic)/2])
	return nil
}

// carried is how much went over the network so far, in bytes.
func (s *soak) carried() (sum float64) {
	for _, w := range s.wires {
		sum += float64(w.Carried())
	}
	return sum
}

// sample takes what a running node and its process tell now.
func (z *zone) sample() (map[string]float64, error) {
	proc := fmt.Sprintf("/proc/%d", z.process.cmd.Process.Pid)
	out := map[string]float64{}
	for figure, dir := range map[string]string{"file descriptors": "fd", "threads": "task"} {
		entries, err := os.ReadDir(filepath.Join(proc, dir))
		if err != nil {
			return nil, err
		}
		out[figure] = float64(len(entries))
	}
	own, err := statusField(proc, "RssAnon")
	if err != nil {
		return nil, err
	}
	out["own memory"] = own
	info, err := os.Stat(filepath.Join(z.data, "mesh.db"))
	if err != nil {
		return nil, err
	}
	out["store file"] = float64(info.Size())

	metrics, err := z.scrape()
	if err != nil {
		return nil, err
	}
	out["goroutines"] = metrics["go_goroutines"]
	out["heap after a collection"] = metrics["go_memstats_next_gc_bytes"] / 2
	status, err := z.status()
	if err != nil {
		return nil, err
	}
	out["live objects"] = float64(status.Resources.Live)
	var logs struct{ Items []mesh.LogStatus }
	if err := z.ask("log", &logs); err != nil {
		return nil, err
	}
	for _, l := range logs.Items {
		out["operations"] += float64(l.Operations)
		out["bytes of logs"] += float64(l.Bytes)
	}
	var peers struct{ Items []mesh.Peer }
	if err := z.ask("peers", &peers); err != nil {
		return nil, err
	}
	for _, p := range peers.Items {
		out["addresses"] += float64(len(p.Endpoints) + len(p.Learnt))
	}
	return out, nil
}

// statusField reads a size from the status file of a process, in bytes.
func statusField(proc, field string) (float64, error) {
	b, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == field+":" && words[2] == "kB" {
			n, err := strconv.ParseFloat(words[1], 64)
			return n * 1024, err
		}
	}
	return 0, fmt.Errorf("%s knows no %s", proc, field)
}

// scrape reads all series of a node's metrics, by name and labels as they are written there.
func (z *zone) scrape() (map[string]float64, error) {
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", z.http))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out := map[string]float64{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		series, value, ok := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			out[series] = v
		}
	}
	return out, lines.Err()
}

// census counts the rows of every bucket in the store of a node that is stopped, and the bytes of the pages they are in.
// What is kept on purpose for a long time counts there without the part that each cycle adds.
func (s *soak) census(z *zone) error {
	db, err := bbolt.Open(filepath.Join(z.data, "mesh.db"), 0o600, &bbolt.Options{ReadOnly: true, Timeout: patience})
	if err != nil {
		return err
	}
	defer db.Close()
	inUse := 0
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			stats := b.Stats()
			rows := stats.KeyN
			switch string(name) {
			case "lost", // what an adoption replaced, for a month
				"invites": // for a week after their end
				rows -= s.cycles
			default:
				inUse += stats.LeafAlloc + stats.BranchAlloc
			}
			s.record.add(z.name, "rows: "+string(name), float64(rows))
			return nil
		})
	})
	s.record.add(z.name, "store in use", float64(inUse))
	return err
}
