package kubetest

import (
	"os"
	"testing"
)

// Snapshot is what etcd held at one moment. It lasts as long as the test that took it.
type Snapshot struct{ dir string }

// Snapshot keeps what the cluster holds. Both servers are killed for it and run again, ready, when it returns.
func (s *Server) Snapshot(t testing.TB) Snapshot {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := Snapshot{dir: t.TempDir()}
	s.killAPI()
	s.killEtcd()
	if err := os.CopyFS(kept.dir, os.DirFS(s.path("etcd"))); err != nil {
		t.Fatalf("keep the data of etcd: %v", err)
	}
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	return kept
}

// Restore goes back to a snapshot of this server, as an administrator does who restores a backup: what came after is
// gone, and resource versions that were given before are given again. Both servers are killed for it, if they run, and
// run, ready, when it returns.
func (s *Server) Restore(t testing.TB, kept Snapshot) {
	t.Helper()
	s.replace(t, func(data string) error { return os.CopyFS(data, os.DirFS(kept.dir)) })
}

// Rebuild empties the cluster: the same address and tokens, nothing of what it held, not even its identity. Both
// servers are killed for it, if they run, and run, ready, when it returns.
func (s *Server) Rebuild(t testing.TB) {
	t.Helper()
	s.replace(t, func(string) error { return nil })
}

// replace runs fill on the folder of etcd's data, which is gone before.
func (s *Server) replace(t testing.TB, fill func(data string) error) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.killAPI()
	s.killEtcd()
	data := s.path("etcd")
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	if err := fill(data); err != nil {
		t.Fatalf("put the data of etcd: %v", err)
	}
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
}
