package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// publish is a line of input: one message of Size bytes, and the next line is read when the answer is printed.
type publish struct {
	Size int `json:"size"`
}

// published is the answer, times in nanoseconds from before the message was published at A.
type published struct {
	Event  string `json:"event"`
	Acked  int64  `json:"acked"`  // until A said that it stored the message
	Stored int64  `json:"stored"` // until a consumer of the mirror at B had it, which comes after it is stored there
}

// patience is far beyond what a message takes.
const patience = time.Minute

// runNATS runs two servers, A and B, joined by a leaf node connection, each with a JetStream on disk that syncs every
// write. B mirrors a stream of A. Clients are in the same process as their server, without a socket between.
func runNATS(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("nats", flag.ContinueOnError)
	dir := flags.String("dir", "", "where the stores go")
	lazy := flags.Bool("lazy", false, "sync every two minutes, as is its default, instead of every write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p, err := newPair(*dir, !*lazy)
	if err != nil {
		return err
	}
	defer p.close()
	if err := line(out, ready{"ready"}); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var q publish
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return fmt.Errorf("read a line: %w", err)
		}
		done, err := p.publish(q.Size)
		if err != nil {
			return err
		}
		if err := line(out, done); err != nil {
			return err
		}
	}
	return lines.Err()
}

// pair is A with its stream and B with the mirror of it.
type pair struct {
	servers []*server.Server
	clients []*nats.Conn
	stream  nats.JetStreamContext // at A
	mirror  *nats.Subscription    // at B
	sent    uint64
}

func newPair(dir string, syncAlways bool) (p *pair, err error) {
	p = &pair{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	options := func(name string) *server.Options {
		return &server.Options{ServerName: name, Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
			JetStream: true, JetStreamDomain: name, StoreDir: filepath.Join(dir, name), SyncAlways: syncAlways}
	}
	a := options("a")
	a.LeafNode = server.LeafNodeOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT}
	jsA, err := p.start(a)
	if err != nil {
		return p, err
	}
	hub, err := url.Parse(fmt.Sprintf("nats-leaf://127.0.0.1:%d", a.LeafNode.Port))
	if err != nil {
		return p, err
	}
	b := options("b")
	b.LeafNode = server.LeafNodeOpts{Remotes: []*server.RemoteLeafOpts{{URLs: []*url.URL{hub}}}}
	jsB, err := p.start(b)
	if err != nil {
		return p, err
	}
	for end := time.Now().Add(patience); p.servers[0].NumLeafNodes() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return p, errors.New("the leaf node does not connect")
		}
	}
	if _, err := jsA.AddStream(&nats.StreamConfig{Name: "operations", Subjects: []string{"operations"}, Storage: nats.FileStorage}); err != nil {
		return p, fmt.Errorf("make the stream: %w", err)
	}
	if _, err := jsB.AddStream(&nats.StreamConfig{Name: "mirror", Storage: nats.FileStorage, Mirror: &nats.StreamSource{
		Name: "operations", External: &nats.ExternalStream{APIPrefix: "$JS.a.API"}}}); err != nil {
		return p, fmt.Errorf("make the mirror: %w", err)
	}
	p.stream = jsA
	p.mirror, err = jsB.SubscribeSync("", nats.BindStream("mirror"), nats.OrderedConsumer())
	if err != nil {
		return p, fmt.Errorf("read the mirror: %w", err)
	}
	_, err = p.publish(1) // only then both sides are known to work
	return p, err
}

// start starts a server and connects to it.
func (p *pair) start(o *server.Options) (nats.JetStreamContext, error) {
	s, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("make server %s: %w", o.ServerName, err)
	}
	s.Start()
	p.servers = append(p.servers, s)
	if !s.ReadyForConnections(patience) {
		return nil, fmt.Errorf("server %s does not start", o.ServerName)
	}
	c, err := nats.Connect("", nats.InProcessServer(s), nats.MaxReconnects(0))
	if err != nil {
		return nil, fmt.Errorf("connect to server %s: %w", o.ServerName, err)
	}
	p.clients = append(p.clients, c)
	return c.JetStream(nats.MaxWait(patience))
}

func (p *pair) publish(size int) (published, error) {
	content := make([]byte, size)
	began := time.Now()
	ack, err := p.stream.Publish("operations", content)
	if err != nil {
		return published{}, fmt.Errorf("publish: %w", err)
	}
	acked := time.Since(began)
	m, err := p.mirror.NextMsg(patience)
	if err != nil {
		return published{}, fmt.Errorf("wait for the mirror: %w", err)
	}
	stored := time.Since(began)
	p.sent++
	meta, err := m.Metadata()
	if err != nil {
		return published{}, fmt.Errorf("read what the mirror has: %w", err)
	}
	if ack.Sequence != p.sent || meta.Sequence.Stream != p.sent {
		return published{}, fmt.Errorf("message %d is %d at A and %d in the mirror", p.sent, ack.Sequence, meta.Sequence.Stream)
	}
	return published{"published", acked.Nanoseconds(), stored.Nanoseconds()}, nil
}

func (p *pair) close() {
	for _, c := range p.clients {
		c.Close()
	}
	for _, s := range p.servers {
		s.Shutdown()
	}
}
