package admin

import (
	"net/http"
	"strconv"
	"time"
)

const (
	// MaxStreams is how many streams may be under way at once, beside MaxConcurrent other requests; the next is told
	// to come back.
	MaxStreams = 8
	// streamWrite is how long one message may take to be written: whoever reads slower is gone.
	streamWrite = 10 * time.Second
)

// streamed are the paths whose answers are streams: they last until their reader goes away.
var streamed = map[string]bool{eventsPath: true, doctorPath: true}

func isStream(r *http.Request) bool { return streamed[r.URL.Path] }

// within bounds how long an answer may take and holds it back until it is whole, unless it is a stream.
func within(limit time.Duration, h http.Handler) http.Handler {
	bounded := http.TimeoutHandler(h, limit, "")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isStream(r) {
			h.ServeHTTP(w, r)
			return
		}
		bounded.ServeHTTP(w, r)
	})
}

// stream is an answer of type text/event-stream. It is used by one goroutine.
type stream struct {
	w    http.ResponseWriter
	ctrl *http.ResponseController
}

// newStream begins the answer. The request must have been read.
func newStream(w http.ResponseWriter) (*stream, error) {
	s := &stream{w, http.NewResponseController(w)}
	// The server's bounds are those of a short answer. Each message has its own.
	if err := s.ctrl.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close")     // whoever reads a stream as it comes sees its end
	h.Set("X-Accel-Buffering", "no") // a proxy on the way must not gather messages
	w.WriteHeader(http.StatusOK)
	return s, s.flush()
}

// write sends messages that are wholly encoded.
func (s *stream) write(messages ...[]byte) error {
	for _, m := range messages {
		if err := s.ctrl.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
			return err
		}
		if _, err := s.w.Write(m); err != nil {
			return err
		}
	}
	return s.flush()
}

func (s *stream) flush() error {
	if err := s.ctrl.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return err
	}
	return s.ctrl.Flush()
}

// encodeMessage makes a message of a value: one line with its id and one with its JSON.
func encodeMessage(id uint64, v any) ([]byte, error) {
	b, err := marshal(v)
	if err != nil {
		return nil, err
	}
	m := make([]byte, 0, len(b)+32)
	m = strconv.AppendUint(append(m, "id: "...), id, 10)
	m = append(append(m, "\ndata: "...), b...)
	return append(m, "\n\n"...), nil
}
