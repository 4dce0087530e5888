package folder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/leaktest"
	"dcp.hiro.io/mesh/internal/object"
	"dcp.hiro.io/mesh/internal/replica"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// claims are the payloads that a fake store holds.
type claims struct {
	mu sync.Mutex
	m  map[mesh.ClaimRef][]byte
}

func (c *claims) put(key mesh.ObjectKey, zone mesh.Zone, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m[mesh.ClaimRef{Object: key, Zone: zone}] = payload
}

func (c *claims) Payload(ref mesh.ClaimRef) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.m[ref], nil
}

// bench runs one folder and collects what it reports.
type bench struct {
	t      testing.TB
	dir    string
	f      *Folder
	claims *claims
	stop   func()

	mu     sync.Mutex
	inputs []replica.Input
	news   chan struct{}       // closed and replaced at every report
	react  func(replica.Input) // called for every report
}

func folderAt(t testing.TB, dir string) *bench {
	t.Helper()
	b := &bench{t: t, dir: dir, claims: &claims{m: map[mesh.ClaimRef][]byte{}}, news: make(chan struct{})}
	f, err := New(Config{Dir: dir, Zone: "eu", Reader: b.claims, Rescan: 300 * time.Millisecond, Grace: 50 * time.Millisecond, Settle: 30 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	b.f = f
	return b
}

// newFolder makes a folder with local/ and a witness.
func newFolder(t testing.TB) *bench {
	t.Helper()
	dir := t.TempDir()
	b := folderAt(t, dir)
	b.write(witnessFile, fmt.Sprintf("{\"cluster\":%q,\"counter\":1}\n", mesh.Sum([]byte("c"))))
	b.mkdir("local")
	return b
}

func (b *bench) run() *bench {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.f.Run(ctx, b.sink) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("Run = %v", err)
		}
	})
	b.t.Cleanup(b.stop)
	return b
}

// started runs the folder and waits for the first pass.
func (b *bench) started() *bench {
	b.t.Helper()
	b.run()
	waitFor[replica.Listed](b, "the first pass", func(replica.Listed) bool { return true })
	return b
}

func (b *bench) sink(_ context.Context, in ...replica.Input) error {
	b.mu.Lock()
	b.inputs = append(b.inputs, in...)
	close(b.news)
	b.news = make(chan struct{})
	react := b.react
	b.mu.Unlock()
	if react != nil {
		for _, i := range in {
			react(i)
		}
	}
	return nil
}

// patience is how long anything may take on a busy machine under the race detector; ten thousand files take longest.
const patience = 3 * time.Minute

// until waits for a condition, checked after every report and every few milliseconds.
func (b *bench) until(what string, ok func([]replica.Input) bool) {
	b.t.Helper()
	limit := time.After(patience)
	for {
		b.mu.Lock()
		got, news := b.inputs, b.news
		b.mu.Unlock()
		if ok(got) {
			return
		}
		select {
		case <-news:
		case <-time.After(5 * time.Millisecond):
		case <-limit:
			b.t.Fatalf("waited in vain for %s; reports: %s\nproblems: %+v", what, show(got), b.f.Status().Problems)
		}
	}
}

func show(in []replica.Input) string {
	var s strings.Builder
	for _, i := range in {
		if l, ok := i.(replica.Local); ok {
			fmt.Fprintf(&s, "\n  Local %v %.200s", l.Object, l.Payload)
			continue
		}
		fmt.Fprintf(&s, "\n  %T %.300s", i, fmt.Sprint(i))
	}
	return s.String()
}

// waitFor waits for a report of one type.
func waitFor[T replica.Input](b *bench, what string, ok func(T) bool) T {
	b.t.Helper()
	var found T
	b.until(what, func(in []replica.Input) bool {
		for _, i := range in {
			if v, is := i.(T); is && ok(v) {
				found = v
				return true
			}
		}
		return false
	})
	return found
}

// clear forgets the reports so far.
func (b *bench) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inputs = nil
}

func (b *bench) count(ok func(replica.Input) bool) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, i := range b.inputs {
		if ok(i) {
			n++
		}
	}
	return n
}

func isGone(i replica.Input) bool { _, ok := i.(replica.LocalGone); return ok }

func (b *bench) local(key mesh.ObjectKey, holding string) replica.Local {
	b.t.Helper()
	return waitFor(b, fmt.Sprintf("Local %v with %s", key, holding), func(l replica.Local) bool {
		return l.Object == key && strings.Contains(string(l.Payload), holding)
	})
}

func (b *bench) gone(key mesh.ObjectKey) {
	b.t.Helper()
	waitFor(b, fmt.Sprintf("LocalGone %v", key), func(g replica.LocalGone) bool { return g.Object == key })
}

func (b *bench) written(w replica.Write) replica.Written {
	b.t.Helper()
	return waitFor(b, fmt.Sprintf("Written %v %v", w.Kind, w.Object), func(o replica.Written) bool { return o.Write == w })
}

func (b *bench) problem(reason, file string) mesh.Problem {
	b.t.Helper()
	var found mesh.Problem
	b.until("problem "+reason+" of "+file, func([]replica.Input) bool {
		for _, p := range b.f.Status().Problems {
			if p.Reason == reason && p.File == file {
				found = p
				return true
			}
		}
		return false
	})
	return found
}

func (b *bench) noProblems() {
	b.t.Helper()
	b.until("no problems", func([]replica.Input) bool { return len(b.f.Status().Problems) == 0 })
}

// barrier waits until everything that happened before was seen: a file that is saved now is reported, and a
// scan that began afterwards too.
func (b *bench) barrier() {
	b.t.Helper()
	name := fmt.Sprintf("barrier-%d", time.Now().UnixNano())
	b.write("local/"+name+".yaml", cm(name, "x"))
	b.local(cmKey(name), name)
	b.remove("local/" + name + ".yaml")
	b.gone(cmKey(name))
}

func (b *bench) path(p string) string { return filepath.Join(b.dir, filepath.FromSlash(p)) }

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) mkdir(p string)         { b.t.Helper(); b.must(os.MkdirAll(b.path(p), 0o755)) }
func (b *bench) remove(p string)        { b.t.Helper(); b.must(os.RemoveAll(b.path(p))) }
func (b *bench) rename(from, to string) { b.t.Helper(); b.must(os.Rename(b.path(from), b.path(to))) }
func (b *bench) write(p, content string) {
	b.t.Helper()
	b.must(os.WriteFile(b.path(p), []byte(content), 0o644))
}

func (b *bench) read(p string) string {
	b.t.Helper()
	data, err := os.ReadFile(b.path(p))
	b.must(err)
	return string(data)
}

func (b *bench) exists(p string) bool {
	_, err := os.Lstat(b.path(p))
	return err == nil
}

// cm is the manifest of a ConfigMap in namespace shop.
func cm(name, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n  namespace: shop\ndata:\n  v: \"" + value + "\"\n"
}

func cmKey(name string) mesh.ObjectKey {
	return mesh.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: name}
}

func payload(t testing.TB, manifest string) []byte {
	t.Helper()
	tree, err := object.DecodeYAML([]byte(manifest), 1)
	if err != nil {
		t.Fatal(err)
	}
	o, err := object.Parse(tree, object.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return o.Payload
}

// claim makes a payload available and returns the write that puts it in place.
func (b *bench) claim(kind replica.WriteKind, name string, zone mesh.Zone, value string, version mesh.Version) replica.Write {
	p := payload(b.t, cm(name, value))
	b.claims.put(cmKey(name), zone, p)
	return replica.Write{Kind: kind, Object: cmKey(name), Zone: zone, Version: version, Epoch: 1, Birth: 1, Content: mesh.Sum(p)}
}

func witness(n uint64) event.Witness {
	return event.Witness{Cluster: mesh.Sum([]byte("c")), Counter: n}
}
