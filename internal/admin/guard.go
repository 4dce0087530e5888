package admin

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// busy holds one token for each API request, and for each stream, that is under way. Nobody waits for one.
type busy struct{ requests, streams chan struct{} }

func newBusy() busy {
	return busy{make(chan struct{}, MaxConcurrent), make(chan struct{}, MaxStreams)}
}

// guard bounds the number of requests under way and the size of their bodies, and takes JSON only: a POST
// of another type is what a form on some web page could send without asking.
func guard(under busy, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		room := under.requests
		if isStream(r) {
			room = under.streams
		}
		select {
		case room <- struct{}{}:
			defer func() { <-room }()
		default:
			w.Header().Set("Retry-After", "1")
			writeError(w, &Error{Code: CodeStarting, Message: "the node is busy", Cause: "too many requests at once"})
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
				writeError(w, badRequest("content type %q: want application/json", r.Header.Get("Content-Type")))
				return
			}
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// checkHost refuses requests whose Host header is no loopback name: a web page whose DNS name was rebound to
// 127.0.0.1 still sends its own name.
func checkHost(listen string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.Host) {
			writeError(w, &Error{Code: CodeForbidden, Message: "the request was refused",
				Cause: "its Host header names no loopback address", Next: []string{"mesh status --node http://" + listen}})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback reports whether HOST or HOST:PORT is localhost or a loopback address.
func isLoopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
