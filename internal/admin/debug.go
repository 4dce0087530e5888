package admin

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"runtime/pprof"
)

// Debug is what a process tells about itself to whoever looks for a fault. It is there from the start, before the node
// and without it. Nil functions are answered as not found. They are called concurrently.
type Debug struct {
	// Config lists every key of the configuration with its value and where that comes from. Secrets are masked.
	Config func() []ConfigValue
	// Logs is the text of the newest log lines, one per line, oldest first.
	Logs func() []byte
}

// ConfigValue is one key of a configuration.
type ConfigValue struct {
	Key    string   `json:"key"`    // such as mesh.zone
	Values []string `json:"values"` // as YAML writes them; several for a list, none for an empty one
	Origin string   `json:"origin"` // default, file FILE:LINE, environment NAME or flag --NAME
}

// register adds what a process tells about itself. It is for the socket and loopback alone: it says more of a machine
// than others need to know.
func (d Debug) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/config", func(w http.ResponseWriter, _ *http.Request) {
		if d.Config == nil {
			writeError(w, &Error{Code: CodeNotFound, Message: "no configuration is known"})
			return
		}
		writeJSON(w, http.StatusOK, newList("ConfigValueList", d.Config()))
	})
	mux.HandleFunc("GET /api/v1/logs", func(w http.ResponseWriter, _ *http.Request) {
		if d.Logs == nil {
			writeError(w, &Error{Code: CodeNotFound, Message: "no log lines are kept"})
			return
		}
		plainText(w)
		w.Write(d.Logs())
	})
	mux.HandleFunc("GET /api/v1/goroutines", func(w http.ResponseWriter, _ *http.Request) {
		plainText(w)
		// The form that counts equal stacks: the other one prints the words that functions were called with, and
		// one of them may be a key.
		if err := pprof.Lookup("goroutine").WriteTo(w, 1); err != nil {
			return // the caller is gone
		}
	})
}

func plainText(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
}

// Raw returns the bytes of one answer as the node sent them.
func (c *Client) Raw(ctx context.Context, path string, q url.Values) (b []byte, err error) {
	err = c.do(ctx, http.MethodGet, path, q, nil, func(r io.Reader) error {
		b, err = io.ReadAll(r)
		return err
	})
	return b, err
}
