package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"dcp.hiro.io/mesh/internal/mesh"
)

// APIVersion stands in every document.
const APIVersion = "mesh.dcp.hiro.io/v1"

// MaxPage is the most entries of one page; a caller asks for the next.
const MaxPage = 1000

// TypeMeta says what a document is.
type TypeMeta struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

// List is a document of several entries.
type List[T any] struct {
	TypeMeta
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"` // with it as after=, the next page
}

// Document is a document of one thing, whose fields stand beside kind.
type Document[T any] struct {
	TypeMeta
	Value T
}

// MarshalJSON puts the fields of Value after those of TypeMeta.
func (d Document[T]) MarshalJSON() ([]byte, error) {
	meta, err := marshal(d.TypeMeta)
	if err != nil {
		return nil, err
	}
	value, err := marshal(d.Value)
	if err != nil {
		return nil, err
	}
	if len(value) < 2 || value[0] != '{' {
		return nil, errors.New("a document needs a struct")
	}
	if string(value) == "{}" {
		return meta, nil
	}
	return append(append(meta[:len(meta)-1], ','), value[1:]...), nil
}

// marshal is json.Marshal without escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// UnmarshalJSON reads both halves.
func (d *Document[T]) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &d.TypeMeta); err != nil {
		return err
	}
	return json.Unmarshal(b, &d.Value)
}

func newDocument[T any](kind string, v T) Document[T] {
	return Document[T]{TypeMeta{APIVersion, kind}, v}
}

func newList[T any](kind string, items []T) List[T] {
	if items == nil {
		items = []T{}
	}
	return List[T]{TypeMeta: TypeMeta{APIVersion, kind}, Items: items}
}

// api serves /api/v1.
type api struct {
	inspector func() *Inspector // nil pointer until the node has started
	log       *slog.Logger
	debug     Debug
	hub       *hub
	ending    <-chan struct{} // closed when the server is to stop
	doctors   chan struct{}   // one token for each run of the checks
	// open is whether everybody may ask: then hashes of the content of Secrets are kept back.
	open bool
}

// told is what is said of an object.
func (a *api) told(r mesh.Resource) mesh.Resource {
	if a.open {
		return withoutHash(r)
	}
	return r
}

// handler adds the API to the public endpoints. Only on the socket, which is this user's, may Secrets leave.
func (a *api) handler(public http.Handler, onSocket bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", public)
	handle := func(pattern string, f answerer) { a.handle(mux, pattern, f) }
	a.describe(mux)
	mux.HandleFunc("GET "+doctorPath, a.doctor)
	a.debug.register(mux)
	handle("GET /api/v1/content/{key...}", func(r *http.Request, node Inspector) (any, error) {
		return a.content(r, node, onSocket)
	})
	handle("GET /api/v1/log/rows", func(r *http.Request, node Inspector) (any, error) {
		return a.rows(r, node, onSocket)
	})
	handle("GET /api/v1/log/lost", a.lost)
	handle("GET /api/v1/log/lost/{id}", func(r *http.Request, node Inspector) (any, error) {
		return a.lostOne(r, node, onSocket)
	})
	handle("POST /api/v1/adopt", a.adopt)
	handle("POST /api/v1/peers/{action}", a.peerAction)
	handle("GET /api/v1/invites", a.invites)
	handle("POST /api/v1/invites", a.invite)
	handle("POST /api/v1/invites/{action}", a.revoke)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &Error{Code: CodeNotFound, Message: "no such endpoint", Cause: r.Method + " is not known for this path"})
	})
	return mux
}

// answerer answers a request with a document, or an error.
type answerer func(r *http.Request, node Inspector) (any, error)

// handle has f answer what a pattern matches, once the node has started.
func (a *api) handle(mux *http.ServeMux, pattern string, f answerer) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		node := a.inspector()
		if node == nil {
			writeError(w, errStarting())
			return
		}
		answer, err := f(r, *node)
		if err != nil {
			e := asError(err)
			if e.Code == CodeInternal {
				a.log.Error("request not answered", "method", r.Method, "path", pattern, "err", err)
			}
			writeError(w, e)
			return
		}
		if raw, ok := answer.(rawRows); ok {
			w.Header().Set("Content-Type", "application/cbor-seq")
			w.Write(raw)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	})
}

func errStarting() *Error {
	return &Error{Code: CodeStarting, Message: "the node is still starting", Cause: "it has not read its store yet", Next: []string{"mesh status --wait"}}
}

func (a *api) status(r *http.Request, node Inspector) (any, error) {
	s, err := node.Status(r.Context())
	return newDocument("Status", s), err
}

func (a *api) peers(r *http.Request, node Inspector) (any, error) {
	peers, err := node.Peers(r.Context())
	return newList("PeerList", peers), err
}

func (a *api) held(r *http.Request, node Inspector) (any, error) {
	held, err := node.Held(r.Context())
	return newList("HeldDeletesList", held), err
}

func (a *api) logs(r *http.Request, node Inspector) (any, error) {
	logs, err := node.Logs(r.Context())
	return newList("LogList", logs), err
}

func (a *api) resources(r *http.Request, node Inspector) (any, error) {
	after, limit, err := readPage(r.URL.Query())
	if err != nil {
		return nil, err
	}
	items, err := node.Resources(r.Context(), after, limit)
	if err != nil {
		return nil, err
	}
	list := newList("ResourceList", items)
	if len(items) == limit {
		list.Next = items[limit-1].Object
	}
	for i, r := range items {
		items[i] = a.told(r)
	}
	return list, nil
}

func (a *api) resource(r *http.Request, node Inspector) (any, error) {
	key, err := mesh.ParseObjectKey(r.PathValue("key"))
	if err != nil {
		return nil, badRequest("%v", err)
	}
	res, ok, err := node.Resource(r.Context(), key)
	if err == nil && !ok {
		err = notFound(key)
	}
	return newDocument("Resource", a.told(res)), err
}

func notFound(key mesh.ObjectKey) *Error {
	return &Error{Code: CodeNotFound, Message: "no object " + key.String(), Cause: "no zone has a claim on it; a kind is written in full, ConfigMap and not cm",
		Next: []string{"mesh log show --object " + key.String()}}
}

type adoptRequest struct {
	Object string `json:"object"`
	DryRun bool   `json:"dryRun"`
}

func (a *api) adopt(r *http.Request, node Inspector) (any, error) {
	var req adoptRequest
	if err := readBody(r, &req); err != nil {
		return nil, err
	}
	key, err := mesh.ParseObjectKey(req.Object)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	done, err := node.Adopt(r.Context(), key, req.DryRun)
	return newDocument("Adoption", done), err
}

type acceptRequest struct {
	Digest string `json:"digest"` // of the set that was shown: nothing else is confirmed
}

func (a *api) peerAction(r *http.Request, node Inspector) (any, error) {
	switch name, verb, _ := strings.Cut(r.PathValue("action"), ":"); verb {
	case "accept-deletes":
		return a.acceptDeletes(r, node, name)
	case "remove":
		return a.remove(r, node, name)
	}
	return nil, &Error{Code: CodeNotFound, Message: "no such endpoint", Cause: "want peers/ZONE:accept-deletes or peers/KEY:remove"}
}

func (a *api) acceptDeletes(r *http.Request, node Inspector, name string) (any, error) {
	zone, err := mesh.ParseZone(name)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	var req acceptRequest
	if err := readBody(r, &req); err != nil {
		return nil, err
	}
	digest, err := mesh.ParseHash(req.Digest)
	if err != nil {
		return nil, badRequest("digest: %v", err)
	}
	done, err := node.AcceptDeletes(r.Context(), zone, digest)
	return newDocument("Confirmation", done), err
}

// readBody decodes one JSON document and nothing after it.
func readBody(r *http.Request, into any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return badRequest("a body of more than %d bytes", maxBody)
		}
		return badRequest("body: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badRequest("something follows the JSON document")
	}
	return nil
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	b, err := marshal(v)
	if err != nil {
		code, b = http.StatusInternalServerError, []byte(`{"error":{"code":"`+CodeInternal+`","message":"the answer could not be encoded"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	w.Write(append(b, '\n'))
}

func writeError(w http.ResponseWriter, e *Error) {
	writeJSON(w, httpStatus(e.Code), struct {
		Error *Error `json:"error"`
	}{e})
}

func queryUint32(q url.Values, name string, or uint32) (uint32, error) {
	s := q.Get(name)
	if s == "" {
		return or, nil
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, badRequest("%s %q: want a sequence number", name, s)
	}
	return uint32(n), nil
}
