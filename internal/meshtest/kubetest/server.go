package kubetest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// patience is far beyond what a server takes on a machine that does much else.
	patience = 2 * time.Minute
	pollTick = 20 * time.Millisecond

	// lastLines is how much of each log a failed test shows.
	lastLines = 40
)

// Server is an API server of its own with its store. Methods that take a testing.TB end that test where they
// can't do what they say. Safe for concurrent use, but for what ends and begins servers.
type Server struct {
	// Name is the cluster's, and that of the context in kubeconfig files.
	Name string

	// URL is https://127.0.0.1:PORT, from start to end.
	URL string

	// CAData is the certificate, as PEM, of the authority that vouches for the server.
	CAData []byte

	// Token is of a user in the group system:masters, who may do everything.
	Token string

	// AuditLog is the file that [Audit] asks for, else empty.
	AuditLog string

	config   config
	dir      string
	http     *http.Client
	apiPort  *port
	etcdPort *port
	peerPort *port // of etcd, where nobody calls
	programs map[string]string
	network  *network // nil: it reaches no pods

	mu   sync.Mutex // held while servers begin and end
	etcd *process   // nil while it is dead
	api  *process   // nil while it is dead
}

// Start starts a server that is ready when it returns and is gone when the test ends. If the test fails it shows
// the end of the server's logs.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s, err := start(t.TempDir(), tools(t), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.tellOnFailure(t)
	return s
}

// tools returns the programs that a server consists of.
func tools(t testing.TB) map[string]string {
	t.Helper()
	return map[string]string{"etcd": Tool(t, "etcd"), "kube-apiserver": Tool(t, "kube-apiserver")}
}

func start(dir string, programs map[string]string, options []Option) (*Server, error) {
	s := &Server{dir: dir, programs: programs, Token: rand.Text(), config: config{name: "kubetest"}}
	for _, option := range options {
		option(&s.config)
	}
	s.Name = s.config.name
	if err := s.prepare(); err != nil {
		s.Close()
		return nil, fmt.Errorf("prepare %s: %w", s.Name, err)
	}
	if err := s.begin(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// prepare makes what stays the same however often the servers are started.
func (s *Server) prepare() (err error) {
	for _, p := range []**port{&s.apiPort, &s.etcdPort, &s.peerPort} {
		if *p, err = takePort(); err != nil {
			return err
		}
	}
	s.URL = s.apiPort.url("https")
	if s.CAData, err = writeIdentity(s.dir); err != nil {
		return err
	}
	admin := user{name: "admin", groups: []string{"system:masters"}, token: s.Token}
	if err := writeTokens(s.dir, append([]user{admin}, s.config.users...)); err != nil {
		return err
	}
	if s.config.audit {
		s.AuditLog = s.path("audit.log")
		policy := s.path("audit.yaml")
		if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
			return err
		}
		s.config.flags = append([]string{"--audit-log-path", s.AuditLog, "--audit-policy-file", policy}, s.config.flags...)
	}
	if s.config.pods {
		flag, err := s.startNetwork()
		if err != nil {
			return err
		}
		s.config.flags = append([]string{flag}, s.config.flags...)
	}
	authority := x509.NewCertPool()
	authority.AppendCertsFromPEM(s.CAData)
	s.http = &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: authority, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
	}}
	return nil
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// begin starts both, together: kube-apiserver waits for its store.
func (s *Server) begin() error {
	if err := s.beginEtcd(); err != nil {
		return err
	}
	return s.beginAPI()
}

func (s *Server) beginEtcd() error {
	if s.etcd != nil {
		return errors.New("etcd runs already")
	}
	p, err := startProcess(s.path("etcd.log"), s.programs["etcd"],
		"--name", "default",
		"--data-dir", s.path("etcd"),
		"--listen-client-urls", s.etcdPort.url("http"),
		"--advertise-client-urls", s.etcdPort.url("http"),
		"--listen-peer-urls", s.peerPort.url("http"),
		"--initial-advertise-peer-urls", s.peerPort.url("http"),
		"--initial-cluster", "default="+s.peerPort.url("http"),
		"--socket-reuse-port",
		"--unsafe-no-fsync", // kill -9 loses nothing that the kernel has: only a machine that falls would
		"--log-level", "error",
	)
	if err != nil {
		return err
	}
	s.etcd = p
	return nil
}

func (s *Server) beginAPI() error {
	if s.api != nil {
		return errors.New("kube-apiserver runs already")
	}
	p, err := startProcess(s.path("kube-apiserver.log"), s.programs["kube-apiserver"], append([]string{
		"--etcd-servers", s.etcdPort.url("http"),
		"--bind-address", "127.0.0.1",
		"--secure-port", fmt.Sprint(s.apiPort.number),
		"--permit-port-sharing",
		"--cert-dir", s.dir,
		"--tls-cert-file", s.path(certFile),
		"--tls-private-key-file", s.path(keyFile),
		"--service-account-key-file", s.path(saKeyFile),
		"--service-account-signing-key-file", s.path(saKeyFile),
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--token-auth-file", s.path(tokensFile),
		"--authorization-mode", "RBAC",
		"--service-cluster-ip-range", "10.0.0.0/24",
		"--disable-admission-plugins", "ServiceAccount", // no controller makes the accounts that it asks for
		"--endpoint-reconciler-type", "none", // an address of loopback is no endpoint
		"--profiling=false",
	}, s.config.flags...)...)
	if err != nil {
		return err
	}
	s.api = p
	return s.awaitAPI()
}

// awaitAPI waits until the API server is ready and has made the namespaces that every cluster has.
func (s *Server) awaitAPI() error {
	const what = "kube-apiserver"
	if err := s.await(what, s.api, s.URL+"/readyz"); err != nil {
		return err
	}
	return s.await(what, s.api, s.URL+"/api/v1/namespaces/default")
}

// await waits until a server answers 200 there.
func (s *Server) await(what string, p *process, url string) error {
	deadline := time.Now().Add(patience)
	log := s.path(what + ".log")
	for {
		err := s.ok(url)
		switch {
		case err == nil:
			return nil
		case !p.running():
			return fmt.Errorf("start %s of %s: it ended: %w\n%s", what, s.Name, p.err, tail(log, 0, lastLines))
		case time.Now().After(deadline):
			return fmt.Errorf("start %s of %s: not ready after %s: %w\n%s", what, s.Name, patience, err, tail(log, 0, lastLines))
		}
		time.Sleep(pollTick)
	}
}

func (s *Server) ok(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	status, _, err := s.As(s.Token).send(ctx, http.MethodGet, url, nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return err
}

// KillAPIServer ends kube-apiserver as kill -9 does. Connections to it are refused until [Server.StartAPIServer].
func (s *Server) KillAPIServer(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.api == nil {
		t.Fatal("kube-apiserver is dead already")
	}
	s.killAPI()
}

// StartAPIServer starts kube-apiserver where it was and waits until it is ready. etcd has to be there.
func (s *Server) StartAPIServer(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.etcd == nil {
		t.Fatal("kube-apiserver can't start: etcd is dead")
	}
	if err := s.beginAPI(); err != nil {
		t.Fatal(err)
	}
}

// PauseAPIServer makes kube-apiserver hang: connections to it are accepted, nothing is answered. It lasts until
// [Server.ResumeAPIServer]; a killed one is not paused any more.
func (s *Server) PauseAPIServer(t testing.TB) {
	t.Helper()
	s.signalAPI(t, syscall.SIGSTOP)
}

// ResumeAPIServer lets kube-apiserver go on after [Server.PauseAPIServer].
func (s *Server) ResumeAPIServer(t testing.TB) {
	t.Helper()
	s.signalAPI(t, syscall.SIGCONT)
}

func (s *Server) signalAPI(t testing.TB, sig syscall.Signal) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.api == nil {
		t.Fatal("kube-apiserver is dead")
	}
	if err := s.api.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// KillEtcd ends etcd as kill -9 does. kube-apiserver, if it runs, stays and has no store until [Server.StartEtcd].
func (s *Server) KillEtcd(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.etcd == nil {
		t.Fatal("etcd is dead already")
	}
	s.killEtcd()
}

// StartEtcd starts etcd where it was and waits until it answers, and until kube-apiserver, if it runs, is ready.
func (s *Server) StartEtcd(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.beginEtcd()
	if err == nil {
		err = s.await("etcd", s.etcd, s.etcdPort.url("http")+"/health")
	}
	if err == nil && s.api != nil {
		err = s.awaitAPI()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *Server) killAPI() {
	if s.api != nil {
		s.api.kill()
		s.api = nil
		s.http.CloseIdleConnections()
	}
}

func (s *Server) killEtcd() {
	if s.etcd != nil {
		s.etcd.kill()
		s.etcd = nil
		s.http.CloseIdleConnections()
	}
}

// Close ends both and gives the ports back. Only the first call does so.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.killAPI()
	s.killEtcd()
	if s.network != nil {
		s.network.close()
		s.network = nil
	}
	for _, p := range []**port{&s.apiPort, &s.etcdPort, &s.peerPort} {
		if *p != nil {
			(*p).close()
			*p = nil
		}
	}
}

// tellOnFailure shows, if the test fails, the end of what the servers wrote from now on.
func (s *Server) tellOnFailure(t testing.TB) {
	for _, name := range []string{"etcd.log", "kube-apiserver.log"} {
		since := mark(s.path(name))
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s of %s:\n%s", name, s.Name, tail(s.path(name), since, lastLines))
			}
		})
	}
}
