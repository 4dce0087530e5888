package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/gologshim"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/logging"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var clock = time.Date(2026, 11, 22, 14, 3, 22, 123456789, time.FixedZone("", 3600))

func filter(t testing.TB, s string) logging.Filter {
	t.Helper()
	f, err := logging.ParseFilter(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// say logs at the fixed clock.
func say(l *slog.Logger, level slog.Level, msg string, args ...any) {
	r := slog.NewRecord(clock, level, msg, 0)
	r.Add(args...)
	if l.Handler().Enabled(context.Background(), level) {
		_ = l.Handler().Handle(context.Background(), r)
	}
}

type panicky struct{ s *string }

func (p *panicky) String() string { return *p.s }

func story(l *logging.Logs) {
	key := keys.FromSeed([32]byte{31: 1})
	join := l.For("mesh.join")
	say(join, slog.LevelInfo, "invite redeemed", "zone", "west", "invite", "k7q2m9xd", "peer", key.Public())
	say(l.For(logging.Sync), slog.LevelWarn, "peer sent garbage", "err", errors.New("line one\nINFO mesh forged line\x1b[2J\u009b1m\u202e"))
	say(l.For(logging.Log), logging.LevelTrace, "all kinds",
		"bool", true, "int", -3, "uint", uint64(1)<<63, "float", 0.25, "nan", nan(), "duration", 90*time.Second,
		"time", clock, "bytes", []byte("the body of a Secret"), "secret", key, "nil", nil, "empty", "", "quoted", `a "b" \c`,
		"equals", "a=b", "strings", []string{"a", "b"}, "panics", (*panicky)(nil), "bad utf-8", "\xff\xfe")
	say(l.For(logging.Mesh).With("zone", "east").WithGroup("limits").With("queue", 8), slog.LevelError+4, "groups",
		slog.Group("peer", slog.String("name", "west"), slog.Group("deep", slog.Int("n", 1))), "full", true)
	say(l.For(logging.Mesh).With("zone", "east"), slog.LevelDebug, "fixed fields stay", "level", "mine", "message", "m", "zone", "the last one stays")
	say(l.For(logging.Mesh), slog.LevelInfo, "long "+strings.Repeat("m", 2000), "value", strings.Repeat("ü", 1000))
	say(l.For(logging.HTTP), slog.LevelInfo, "message\nof two lines")
}

func nan() float64 { var z float64; return z / z }

func TestLines(t *testing.T) {
	t.Parallel()
	for name, format := range map[string]logging.Format{"text": logging.Text, "json": logging.JSON} {
		var out bytes.Buffer
		story(logging.New(&out, format, filter(t, "=TRACE")))
		path := filepath.Join("testdata", "lines."+name+".golden")
		if *update {
			if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if out.String() != string(want) {
			t.Errorf("%s lines differ from %s (-update rewrites it):\n%s", name, path, out.String())
		}
		if got := strings.Count(out.String(), "\n"); got != 7 {
			t.Errorf("%s: %d lines for 7 records", name, got)
		}
		if strings.Contains(out.String(), "body of") || strings.ContainsAny(out.String(), "\x1b\u009b\u202e") {
			t.Errorf("%s: a byte slice or a control character came through", name)
		}
	}
}

func TestJSONLinesAreJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	story(logging.New(&out, logging.JSON, filter(t, "=TRACE")))
	for line := range strings.Lines(out.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Errorf("%v in %s", err, line)
		}
		for _, k := range []string{"time", "level", "target", "message"} {
			if _, ok := m[k].(string); !ok {
				t.Errorf("no text %q in %s", k, line)
			}
		}
	}
}

func TestSetFilterReachesLoggersInUse(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logs := logging.New(&out, logging.Text, filter(t, "INFO"))
	l := logs.For(logging.Sync).With("zone", "west")
	l.Debug("before")
	logs.SetFilter(filter(t, "mesh.sync=DEBUG"))
	l.Debug("after")
	if got := out.String(); strings.Contains(got, "before") || !strings.Contains(got, "after") {
		t.Errorf("lines %q, want only the one after the change", got)
	}
	if got := logs.Filter().String(); got != "mesh.sync=DEBUG" {
		t.Errorf("Filter() = %s", got)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logs := logging.New(&out, logging.Text, filter(t, "INFO"))
	shared := logs.For(logging.Net).With("b", 1, "a", 2)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				shared.Info("tick")
				logs.SetFilter(filter(t, "INFO"))
			}
		})
	}
	wg.Wait()
	for line := range strings.Lines(out.String()) {
		if !strings.HasSuffix(line, " INFO mesh.net tick a=2 b=1\n") {
			t.Fatalf("torn line %q", line)
		}
	}
}

func TestParseFormat(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in       string
		terminal bool
		want     logging.Format
	}{{"auto", true, logging.Text}, {"auto", false, logging.JSON}, {"", false, logging.JSON}, {"TEXT", false, logging.Text}, {"json", true, logging.JSON}} {
		if got, err := logging.ParseFormat(tt.in, tt.terminal); err != nil || got != tt.want {
			t.Errorf("ParseFormat(%q, %v) = %v, %v, want %v", tt.in, tt.terminal, got, err, tt.want)
		}
	}
	if _, err := logging.ParseFormat("xml", true); err == nil {
		t.Error(`ParseFormat("xml") = nil error`)
	}
}

// Not parallel: it takes over the loggers of the process.
func TestCapture(t *testing.T) {
	var out bytes.Buffer
	logs := logging.New(&out, logging.Text, filter(t, "INFO"))
	logs.Capture()
	t.Cleanup(func() { log.SetOutput(io.Discard) })

	gologshim.Logger("swarm2").Warn("dial failed", "peer", "x")
	gologshim.Logger("net/identify").Warn("failed to identify peer")
	pubsub := gologshim.Logger("pubsub")
	pubsub.Debug("hidden")
	logs.SetFilter(filter(t, "libp2p.pubsub=DEBUG"))
	pubsub.Debug("shown")
	log.Printf("failed to sufficiently increase receive buffer size. See https://github.com/quic-go/quic-go/wiki")
	log.Printf("[INFO] mdns: closing")
	log.Printf("[ERR] zeroconf: two\nlines")
	slog.Error("from slog")

	var got []string
	for line := range strings.Lines(out.String()) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		got = append(got, rest)
	}
	want := []string{
		"WARN libp2p.swarm2 dial failed peer=x",
		"DEBUG libp2p.pubsub shown",
		"WARN quic failed to sufficiently increase receive buffer size. See https://github.com/quic-go/quic-go/wiki",
		`ERROR libp2p.mdns zeroconf: two\nlines`,
		"ERROR go from slog",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("captured\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func BenchmarkDisabled(b *testing.B) {
	l := logging.New(io.Discard, logging.Text, filter(b, "INFO")).For(logging.Sync)
	b.ReportAllocs()
	for b.Loop() {
		l.Debug("off", "n", 1)
	}
}

func BenchmarkLine(b *testing.B) {
	l := logging.New(io.Discard, logging.Text, filter(b, "INFO")).For(logging.Sync)
	b.ReportAllocs()
	for b.Loop() {
		l.Info("on", "zone", "west", "seq", 1)
	}
}
