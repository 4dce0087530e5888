package logging

import (
	"context"
	"log"
	"log/slog"
	"strings"

	"github.com/libp2p/go-libp2p/gologshim"
)

// Capture takes over the loggers of the libraries in this process: go-libp2p's, slog's default and the
// standard log package, which quic-go and mDNS use. Call it once, before the first host is made: a libp2p
// logger keeps the handler it logged with first. The filter may still change later.
func (l *Logs) Capture() {
	gologshim.SetDefaultHandler(&handler{logs: l, target: Libp2p, shim: true})
	slog.SetDefault(l.For(Go)) // points the log package at slog, which the next lines correct
	log.SetFlags(0)
	log.SetPrefix("")
	log.SetOutput(stdWriter{l})
}

// stdWriter receives the lines of the standard log package.
type stdWriter struct{ logs *Logs }

// Write implements io.Writer: the log package calls it once per line.
func (w stdWriter) Write(p []byte) (int, error) {
	text := strings.TrimSpace(string(p))
	level := slog.LevelWarn
	for prefix, l := range map[string]slog.Level{
		"[ERR] ": slog.LevelError, "[ERROR] ": slog.LevelError, "[WARN] ": slog.LevelWarn,
		"[INFO] ": slog.LevelInfo, "[DEBUG] ": slog.LevelDebug,
	} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			text, level = rest, l
			break
		}
	}
	w.logs.For(speaker(text)).Log(context.Background(), level, text)
	return len(p), nil
}

// speaker guesses from the text of a line who wrote it.
func speaker(text string) Target {
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(lower, "quic"):
		return Quic
	case strings.Contains(lower, "mdns") || strings.Contains(lower, "zeroconf"):
		return Libp2p + ".mdns"
	}
	return Go
}
