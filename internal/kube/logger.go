package kube

import (
	"context"
	"log/slog"

	"k8s.io/klog/v2"
)

// SetLogger routes what client-go logs, for the whole process, into l. Its errors are warnings there: this package
// shows by itself what keeps it from working. Call it before the first connection is made.
func SetLogger(l *slog.Logger) { klog.SetSlogLogger(slog.New(lowered{l.Handler()})) }

// lowered lowers the level of what a library logs by one step: what is an error to it, such as a connection that
// ended, is the course of things here, and its news are for those who look for a fault.
type lowered struct{ slog.Handler }

const levelStep = slog.LevelWarn - slog.LevelInfo

func (h lowered) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, level-levelStep)
}

func (h lowered) Handle(ctx context.Context, r slog.Record) error {
	r.Level -= levelStep
	return h.Handler.Handle(ctx, r)
}

func (h lowered) WithAttrs(attrs []slog.Attr) slog.Handler {
	return lowered{h.Handler.WithAttrs(attrs)}
}

func (h lowered) WithGroup(name string) slog.Handler { return lowered{h.Handler.WithGroup(name)} }
