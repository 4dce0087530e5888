package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
)

// The caps of the server. It talks to probers, Prometheus and people: none needs more.
const (
	MaxConcurrent  = 32       // API requests at once; the next is told to come back
	maxConnections = 128      // per listener: every prober and Prometheus, several times over; see seats
	maxScrapes     = 4        // metrics scrapes at once
	maxHeader      = 16 << 10 // bytes; a browser with many cookies stays below
	maxBody        = 64 << 10 // bytes; the largest request is an object key
	readHeader     = 5 * time.Second
	readAll        = 10 * time.Second
	writeAll       = 30 * time.Second // a page of MaxRowBytes over a slow loopback
	idle           = 60 * time.Second // longer than the usual scrape interval, so that Prometheus keeps its connection
	answerWithin   = 20 * time.Second // what a handler may take
	drainWithin    = 3 * time.Second  // of the 10 s that a node has to stop
)

// Config says where the server listens and what it shows.
type Config struct {
	HTTPAddress string // IP to bind for health and metrics; empty: all
	HTTPPort    int    // 0 to 65535; 0: any free port
	StrictPort  bool   // fail when HTTPPort is taken, rather than take a free one
	DataDir     string // where api.sock is made, or the file that says where it is; it must exist
	Socket      string // path of the API socket; empty: api.sock in DataDir
	APIListen   string // loopback HOST:PORT that serves the API too; empty: none
	Proxy       bool   // serve what of the API tells about the state where health is served, to everybody

	Checks   []Check
	Debug    Debug
	Registry *prometheus.Registry // what /metrics shows
	Notices  *Notices             // what the stream tells beside the state; nil: nothing
	Log      *slog.Logger
}

func (c Config) validate() error {
	var errs []error
	if c.HTTPAddress != "" {
		if _, err := netip.ParseAddr(c.HTTPAddress); err != nil {
			errs = append(errs, fmt.Errorf("http address %q: want an IP address", c.HTTPAddress))
		}
	}
	if c.HTTPPort < 0 || c.HTTPPort > 65535 {
		errs = append(errs, fmt.Errorf("http port %d: want 0 to 65535", c.HTTPPort))
	}
	if c.APIListen != "" && !isLoopback(c.APIListen) {
		errs = append(errs, fmt.Errorf("api.listen %q: want HOST:PORT with a loopback host, such as 127.0.0.1:3001", c.APIListen))
	}
	if c.Registry == nil || c.Log == nil || c.DataDir == "" {
		errs = append(errs, errors.New("data directory, registry and log are required"))
	}
	return errors.Join(errs...)
}

// Server is the door. Build it with New, bind with Listen, serve with Run. Until Start it answers probes and
// tells API callers that the node is starting.
type Server struct {
	cfg       Config
	health    *health
	inspector atomic.Pointer[Inspector]
	http, tcp net.Listener
	socket    *socket
	moved     bool
}

// New checks the configuration. It starts and binds nothing.
func New(cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("admin server: %w", err)
	}
	s := &Server{cfg: cfg}
	s.health = &health{
		checks:  append([]Check{{Name: "started", Run: s.checkStarted}}, cfg.Checks...),
		started: s.started,
	}
	return s, nil
}

func (s *Server) started() bool { return s.inspector.Load() != nil }

func (s *Server) checkStarted(context.Context) error {
	if s.started() {
		return nil
	}
	return errors.New("the node is starting")
}

// Start hands in the node: from now on the API answers. Safe for concurrent use with Run.
func (s *Server) Start(node Inspector) { s.inspector.Store(&node) }

// Listen binds all addresses. After an error nothing stays bound. ErrSocketInUse is reported as such.
func (s *Server) Listen() (err error) {
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.socket, err = listenSocket(s.cfg.DataDir, s.cfg.Socket); err != nil {
		return err
	}
	if s.cfg.APIListen != "" {
		if s.tcp, err = net.Listen("tcp", s.cfg.APIListen); err != nil {
			return fmt.Errorf("api.listen: %w", err)
		}
	}
	s.http, err = s.listenHTTP(s.cfg.HTTPPort)
	if errors.Is(err, syscall.EADDRINUSE) && !s.cfg.StrictPort {
		s.moved = true
		s.http, err = s.listenHTTP(0)
	}
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	return nil
}

// listenHTTP binds the family that the address is of: 0.0.0.0 alone would mean IPv6 too.
func (s *Server) listenHTTP(port int) (net.Listener, error) {
	family := "tcp"
	if a, err := netip.ParseAddr(s.cfg.HTTPAddress); err == nil && a.Is4() {
		family = "tcp4"
	}
	return net.Listen(family, net.JoinHostPort(s.cfg.HTTPAddress, strconv.Itoa(port)))
}

// HTTPAddr is where health and metrics are served, and whether that is another port than the one asked for.
// Valid after Listen.
func (s *Server) HTTPAddr() (addr *net.TCPAddr, moved bool) {
	return s.http.Addr().(*net.TCPAddr), s.moved
}

// Socket is the path of the API socket. Valid after Listen.
func (s *Server) Socket() string { return s.socket.path }

// Close releases what Listen bound, for a server whose Run is never called.
func (s *Server) Close() {
	for _, l := range []net.Listener{s.http, s.tcp} {
		if l != nil {
			l.Close()
		}
	}
	if s.socket != nil {
		s.socket.Close()
		s.socket.remove()
	}
}

// Run serves until ctx ends, finishes the requests that are under way within a few seconds, and removes the
// socket. It returns nil when it was told to stop.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	public := http.NewServeMux()
	s.health.register(public)
	public.Handle("GET /metrics", promhttp.HandlerFor(s.cfg.Registry, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: maxScrapes,
		ErrorHandling:       promhttp.ContinueOnError,
		Timeout:             answerWithin,
	}))
	group, ctx := errgroup.WithContext(ctx)
	hub := newHub(s.inspector.Load, s.cfg.Notices, s.cfg.Log)
	group.Go(func() error { return hub.run(ctx) })
	api := &api{inspector: s.inspector.Load, log: s.cfg.Log, debug: s.cfg.Debug, hub: hub, ending: ctx.Done(), doctors: make(chan struct{}, maxDoctors)}
	busy := newBusy()
	onSocket := guard(busy, api.handler(public, true))
	onTCP := guard(busy, checkHost(s.cfg.APIListen, api.handler(public, false)))

	open := http.Handler(public)
	if s.cfg.Proxy {
		open = api.readOnly(public)
	}
	s.serve(ctx, group, s.http, open)
	s.serve(ctx, group, s.socket, onSocket)
	if s.tcp != nil {
		s.serve(ctx, group, s.tcp, onTCP)
	}
	return group.Wait()
}

func (s *Server) serve(ctx context.Context, group *errgroup.Group, l net.Listener, h http.Handler) {
	server := &http.Server{
		Handler:           within(answerWithin, h),
		MaxHeaderBytes:    maxHeader,
		ReadHeaderTimeout: readHeader,
		ReadTimeout:       readAll,
		WriteTimeout:      writeAll,
		IdleTimeout:       idle,
		ConnState:         newSeats(maxConnections).follow(ctx),
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
		Protocols:         new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	group.Go(func() error {
		err := server.Serve(l)
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	})
	group.Go(func() error {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWithin)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
		return nil
	})
}
