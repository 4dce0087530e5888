package doctor

import (
	"context"
	"errors"
	"net"
	"testing"

	"dcp.hiro.io/mesh/internal/mesh"
)

func TestEndpointChecks(t *testing.T) {
	t.Parallel()
	both := Endpoint{Peer: "west", At: "203.0.113.20:9102", Configured: true, Linked: true, QUIC: Answered, TCP: Answered}
	named := Endpoint{Peer: "south", At: "south.example:9102", Configured: true, Linked: true, QUIC: Silent, TCP: Answered}
	dead := Endpoint{Peer: "lab", At: "192.0.2.44:9102", Configured: true, QUIC: Silent, TCP: Silent, Cause: "no answer"}
	told := Endpoint{Peer: "west", At: "10.0.0.7:9102", Linked: true, QUIC: Silent, TCP: Silent, Cause: "no answer"}
	for _, tt := range []struct {
		id, name string
		tried    []Endpoint
		want     string
	}{
		{"network.dial", "well", []Endpoint{both, named}, "ok 2 endpoints answer"},
		{"network.dial", "nothing known", nil, "skip no endpoint of another node is known"},
		{"network.dial", "dead", []Endpoint{both, dead}, "fail lab does not answer at 192.0.2.44:9102 {lab} < no answer > on lab run: mesh status | allow UDP and TCP 9102 to lab"},
		{"network.dial", "what a peer told of itself counts only by itself", []Endpoint{both, told}, "ok 1 endpoint answers"},
		{"network.dial", "connected, and not to be dialled", []Endpoint{told}, "warn west does not answer at 10.0.0.7:9102 {west} < no answer; it is connected another way > on west run: mesh status | allow UDP and TCP 9102 to west"},
		{"network.dial", "one of two configured", []Endpoint{{Peer: "lab", At: "lab.example:9102", QUIC: Answered}, dead}, "warn lab does not answer at 192.0.2.44:9102 {lab} < no answer > on lab run: mesh status | allow UDP and TCP 9102 to lab"},
		{"network.dial", "a name without address is told elsewhere", []Endpoint{both, {Peer: "lab", At: "lab.example:9102", Resolve: "the name lab.example has no address"}}, "ok 1 endpoint answers"},
		{"network.dial", "no time", []Endpoint{both, {Peer: "late", At: "192.0.2.45:9102"}}, "ok 1 endpoint answers; there was no time for 1 more"},
		{"network.dial", "no time for any", []Endpoint{{Peer: "late", At: "192.0.2.45:9102"}}, "warn the endpoints were not looked at < there was no time for 1 endpoint > mesh doctor --group network"},
		{"network.dial", "names without address alone", []Endpoint{{Peer: "lab", At: "lab.example:9102", Resolve: "the name lab.example has no address"}}, "skip no endpoint has an address"},
		{"network.dns", "no time", []Endpoint{{Peer: "late", At: "late.example:9102"}}, "warn the endpoints were not looked at < there was no time for 1 endpoint > mesh doctor --group network"},
		{"network.dns", "no time for one", []Endpoint{named, {Peer: "late", At: "late.example:9102"}}, "ok 1 name resolves; there was no time for 1 more"},
		{"network.dns", "well", []Endpoint{both, named}, "ok 1 name resolves"},
		{"network.dns", "addresses only", []Endpoint{both, {Peer: "six", At: "[fe80::1%eth0]:9102"}}, "skip no endpoint is a name"},
		{"network.dns", "no address", []Endpoint{{Peer: "lab", At: "lab.example:9102", Resolve: "the name lab.example has no address"}},
			"fail lab.example:9102: the name lab.example has no address {lab} < it is an endpoint of lab > getent hosts lab.example | correct the endpoint under nodes in the config"},
		{"network.dns", "of one that is connected", []Endpoint{{Peer: "lab", At: "lab.example:9102", Linked: true, Resolve: "the name lab.example has no address"}},
			"warn lab.example:9102: the name lab.example has no address {lab} < it is an endpoint of lab > getent hosts lab.example | correct the endpoint under nodes in the config"},
		{"network.quic", "well", []Endpoint{both}, "ok 1 endpoint answers by quic"},
		{"network.quic", "tcp only", []Endpoint{both, named},
			"warn south.example:9102 answers by tcp only {south} < no QUIC reply; UDP 9102 is probably blocked on the way > allow UDP 9102 to south, then: mesh doctor --group network"},
		{"network.quic", "dead ones are told elsewhere", []Endpoint{both, dead}, "ok 1 endpoint answers by quic"},
		{"network.quic", "all dead", []Endpoint{dead}, "skip no endpoint answers"},
		{"network.tcp", "quic only", []Endpoint{{Peer: "west", At: "203.0.113.20:9102", QUIC: Answered, TCP: Refused}},
			"warn 203.0.113.20:9102 answers by quic only {west} < TCP 9102 is refused: it is not forwarded to the node > allow TCP 9102 to west, then: mesh doctor --group network"},
		{"network.tcp", "well", []Endpoint{both, named}, "ok 2 endpoints answer by tcp"},
	} {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			s := OfNetwork(func(context.Context) (Endpoints, error) { return Endpoints{Tried: tt.tried}, nil })
			if got := lines(s[tt.id](context.Background())); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
	dials := 0
	s := OfNetwork(func(context.Context) (Endpoints, error) { dials++; return Endpoints{}, errors.New("broken") })
	for id, look := range s {
		if got := lines(look(context.Background())); got != "warn the endpoints could not be dialled < broken > mesh doctor --group network" {
			t.Errorf("%s: %s", id, got)
		}
	}
	if dials != 1 {
		t.Errorf("dialled %d times", dials)
	}
	if got := lines(Endpoints{Tried: []Endpoint{both}, Left: 3}.answers()); got != "ok 1 endpoint answers; 3 more peers were left out" {
		t.Error(got)
	}
}

func TestOutside(t *testing.T) {
	t.Parallel()
	next := " > forward UDP and TCP of the port to this machine | set advertise to the address that others see"
	for _, tt := range []struct {
		name    string
		said    []DialBack
		inbound []string
		want    string
	}{
		{"nobody there", nil, nil, "skip no peer is connected that could be asked"},
		{"reached", []DialBack{{Peer: "west", Tried: []BackTry{{"198.51.100.7:9102", Answered, Answered}, {"10.0.0.1:9102", Silent, Silent}}}, {Peer: "old", Err: "its version cannot dial back"}}, nil,
			"ok west reaches it at 198.51.100.7:9102"},
		{"by one transport", []DialBack{{Peer: "west", Tried: []BackTry{{"198.51.100.7:9102", Silent, Answered}}}, {Peer: "south", Tried: []BackTry{{"198.51.100.7:9102", Answered, Refused}}}}, nil,
			"ok west reaches it at 198.51.100.7:9102 by tcp only; south reaches it at 198.51.100.7:9102 by quic only"},
		{"out of reach", []DialBack{{Peer: "west", Tried: []BackTry{{"198.51.100.7:9102", Silent, Refused}, {"10.0.0.1:9102", Silent, Silent}}}}, nil,
			"warn west cannot dial this node {west} < 198.51.100.7:9102: refused: the port is not forwarded to this node; 10.0.0.1:9102: no answer: a firewall or a NAT without forwarding" + next},
		{"nothing known", []DialBack{{Peer: "west"}}, nil, "warn west cannot dial this node {west} < it knows no endpoint of this node" + next},
		{"shown by those who came", []DialBack{{Peer: "old", Err: "its version cannot dial back"}}, []string{"old", "south"}, "ok old, south dialled this node"},
		{"not told", []DialBack{{Peer: "old", Err: "its version cannot dial back"}}, nil,
			"warn no peer could tell whether it reaches this node < old: its version cannot dial back > mesh peers -o wide"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := OfOutside(func(context.Context) ([]DialBack, []string, error) { return tt.said, tt.inbound, nil })
			if got := lines(s["network.outside"](context.Background())); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
	s := OfOutside(func(context.Context) ([]DialBack, []string, error) { return nil, nil, errors.New("broken") })
	if got := lines(s["network.outside"](context.Background())); got != "warn no peer could be asked to dial this node < broken > mesh doctor --group network" {
		t.Error(got)
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		p    Ports
		want string
	}{
		{Ports{9102, 9102, 3000, 3000}, "ok udp/9102 and tcp/9102 are bound as configured"},
		{Ports{0, 41234, 0, 3000}, "ok udp/41234 and tcp/41234 are bound"},
		{Ports{9102, 0, 3000, 3000}, "skip this process doesn't listen for peers"},
		{Ports{9102, 41234, 3000, 5000}, "fail udp/41234 and tcp/41234 are bound instead of 9102 < port 9102 was taken when the node started; peers look for it there > ss -lntup sport = :9102 | when it is free, start the node again\n" +
			"fail http is served at port 5000 instead of 3000 < port 3000 was taken when the node started; probes and Prometheus look for it there > ss -lntp sport = :3000 | when it is free, start the node again"},
	} {
		if got := lines(tt.p.Check()); got != tt.want {
			t.Errorf("%+v\ngot\n%s\nwant\n%s", tt.p, got, tt.want)
		}
	}
}

func TestMachine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		got  []mesh.CheckResult
		want string
	}{
		{Files{Limit: 65536, Open: 40}.Check(), "ok 40 of at most 65536 files are open"},
		{Files{Limit: 65536, Open: -1}.Check(), "ok at most 65536 files may be open"},
		{Files{Limit: 256, Open: 40}.Check(), "warn at most 256 files may be open < each connection takes one; 1024 are usual > ulimit -n 65536 | LimitNOFILE=65536 in the systemd unit"},
		{Files{Limit: 1024, Open: 1000}.Check(), "fail 1000 of at most 1024 files are open < connections and files are about to be refused > ulimit -n 65536 | LimitNOFILE=65536 in the systemd unit"},
		{UDPBuffer(7 << 20), "ok the UDP receive buffer is 7168 KiB"},
		{UDPBuffer(208 << 10), "warn the UDP receive buffer is 208 KiB < QUIC asks for 7168 KiB; with less a fast link drops packets in bursts > sysctl -w net.core.rmem_max=7500000 net.core.wmem_max=7500000"},
		{Disk("/var/lib/mesh", 40<<30, 100<<30), "ok 40 GiB of 100 GiB are free for /var/lib/mesh"},
		{Disk("/var/lib/mesh", 1500<<20, 100<<30), "warn 1500 MiB of 100 GiB are free for /var/lib/mesh < below 1024 MiB operations of other zones will be refused > df -h /var/lib/mesh | make room, or put data_dir on another disk"},
		{Disk("/var/lib/mesh", 100<<20, 2<<30), "fail 100 MiB of 2048 MiB are free for /var/lib/mesh < below 204 MiB operations of other zones are refused > df -h /var/lib/mesh | make room, or put data_dir on another disk"},
	} {
		if got := lines(tt.got); got != tt.want {
			t.Errorf("got\n%s\nwant\n%s", got, tt.want)
		}
	}
	// What this machine says is one of them.
	s := OfMachine(func() (string, uint64, uint64, error) { return "/data", 0, 0, errors.New("gone") })
	for _, id := range []string{"system.files", "system.udp_buffer"} {
		if got := s[id](context.Background()); len(got) != 1 || got[0].Status == mesh.CheckSkip {
			t.Errorf("%s: %s", id, lines(got))
		}
	}
	if got := lines(s["system.disk"](context.Background())); got != "warn the free space for /data is not known < gone > df -h /data" {
		t.Error(got)
	}
}

// Without a node endpoints are dialled by TCP.
func TestDialTCP(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open := l.Addr().String()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut := closed.Addr().String()
	closed.Close()
	defer l.Close()
	got := DialTCP(context.Background(), []Endpoint{{Peer: "a", At: open}, {Peer: "b", At: shut}})
	if a, b := got.Tried[0], got.Tried[1]; a.TCP != Answered || a.QUIC != Untried || b.TCP != Refused || b.Cause == "" {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got := DialTCP(ctx, make([]Endpoint, maxDialled+2)); len(got.Tried) != maxDialled || got.Left != 2 {
		t.Errorf("%d tried, %d left out", len(got.Tried), got.Left)
	}
}
