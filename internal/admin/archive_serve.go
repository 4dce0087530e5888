package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
)

// Codes of what a bundle refuses.
const (
	CodeArchived  = "MESH-2802" // what is in a bundle cannot be changed
	CodeNotInside = "MESH-6801" // the bundle doesn't hold what was asked for
)

// RoundTrip answers a request as the node would have when the bundle was made; a bundle is a RoundTripper for
// [NewClientOver]. A stream of events shows the node as it was and then stays silent until its reader goes away.
func (a *Archive) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return refusal(req, &Error{Code: CodeArchived, Message: "a bundle cannot be changed", Cause: "it shows a node as it was; only a running one does anything",
			Next: []string{"the same command without --archive"}}), nil
	}
	path := strings.TrimPrefix(req.URL.Path, "/")
	switch path {
	case "api/v1/resources":
		return a.page(req), nil
	case "api/v1/events":
		return a.file(req, bundleFrames, "text/event-stream"), nil
	case "api/v1/doctor":
		return a.file(req, bundleDoctor, "text/event-stream"), nil
	case "metrics":
		return a.file(req, bundleMetrics, "text/plain; charset=utf-8"), nil
	case "api/v1/logs":
		return a.file(req, bundleLogs, "text/plain; charset=utf-8"), nil
	case "api/v1/goroutines":
		return a.file(req, bundleGoroutines, "text/plain; charset=utf-8"), nil
	}
	if key, ok := strings.CutPrefix(path, "api/v1/resources/"); ok {
		return a.one(req, key), nil
	}
	if key, ok := strings.CutPrefix(path, "api/v1/trace/"); ok {
		return a.trace(req, key), nil
	}
	if strings.HasPrefix(path, "api/v1/log/") || strings.HasPrefix(path, "api/v1/content/") {
		return refusal(req, &Error{Code: CodeNotInside, Message: "a bundle holds no operations", Cause: "they carry the content of objects, which never leaves a node in a bundle",
			Next: []string{"on the node: the same command without --archive"}}), nil
	}
	return a.file(req, path+".json", "application/json"), nil
}

// file answers with an entry as it is.
func (a *Archive) file(req *http.Request, name, contentType string) *http.Response {
	b, held := a.files[name]
	if !held {
		return a.lacks(req, name)
	}
	if name == bundleFrames {
		return answer(req, http.StatusOK, contentType, newStandstill(req.Context(), b))
	}
	return answer(req, http.StatusOK, contentType, io.NopCloser(bytes.NewReader(b)))
}

// Frames is the text of the stream of events as it was when the bundle was made; empty where it could not be had.
func (a *Archive) Frames() []byte { return a.files[bundleFrames] }

// lacks says that the bundle doesn't hold an entry, and why.
func (a *Archive) lacks(req *http.Request, name string) *http.Response {
	e := &Error{Code: CodeNotInside, Message: "the bundle doesn't hold this", Cause: "it has no " + name, Next: []string{"on the node: the same command without --archive"}}
	if i := slices.IndexFunc(a.Info.Missing, func(g BundleGap) bool { return g.Name == name }); i >= 0 {
		e.Cause = name + " could not be had: " + a.Info.Missing[i].Reason
	} else if a.Info.Node == nil {
		e.Cause = "no node answered when it was made"
	}
	return refusal(req, e)
}

// page answers with a page of objects.
func (a *Archive) page(req *http.Request) *http.Response {
	if a.files[bundleResources] == nil {
		return a.lacks(req, bundleResources)
	}
	after, limit, err := readPage(req.URL.Query())
	if err != nil {
		return refusal(req, asError(err))
	}
	from, _ := slices.BinarySearchFunc(a.keys, after, func(k, want mesh.ObjectKey) int {
		if k.Compare(want) <= 0 {
			return -1
		}
		return 1
	})
	items := a.resources[from:min(from+limit, len(a.resources))]
	list := newList("ResourceList", items)
	if len(items) == limit {
		list.Next = items[limit-1].Object
	}
	return document(req, list)
}

// readPage reads which page of objects is wanted: those after a key (zero: from the start), at most limit.
func readPage(q url.Values) (after mesh.ObjectKey, limit int, err error) {
	limit = MaxPage
	if s := q.Get("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > MaxPage {
			return after, 0, badRequest("limit %q: want 1 to %d", s, MaxPage)
		}
	}
	if s := q.Get("after"); s != "" {
		if after, err = mesh.ParseObjectKey(s); err != nil {
			return after, 0, badRequest("after: %v", err)
		}
	}
	return after, limit, nil
}

// one answers about one object, named as a node takes it.
func (a *Archive) one(req *http.Request, name string) *http.Response {
	key, err := mesh.ParseObjectKey(name)
	if err != nil {
		return refusal(req, badRequest("%v", err))
	}
	if a.files[bundleResources] == nil {
		return a.lacks(req, bundleResources)
	}
	i := a.find(key)
	if i < 0 {
		return refusal(req, notFound(key))
	}
	return document(req, newDocument("Resource", a.resources[i]))
}

// find returns the index of the object that a key means, or -1.
func (a *Archive) find(key mesh.ObjectKey) int {
	if i := slices.Index(a.keys, key); i >= 0 {
		return i
	}
	found := -1
	for i, k := range a.keys {
		if key.Means(k) {
			if found >= 0 {
				return -1
			}
			found = i
		}
	}
	return found
}

// trace answers with the way of an object that was recorded.
func (a *Archive) trace(req *http.Request, name string) *http.Response {
	key, err := mesh.ParseObjectKey(name)
	if err != nil {
		return refusal(req, badRequest("%v", err))
	}
	if a.files[bundleTraces] == nil {
		return a.lacks(req, bundleTraces)
	}
	object := key.String()
	state := ""
	if i := a.find(key); i >= 0 {
		object, state = a.resources[i].Object, a.resources[i].State
	}
	if i := slices.IndexFunc(a.traces, func(t mesh.Trace) bool { return t.Object == object }); i >= 0 {
		return document(req, newDocument("Trace", a.traces[i]))
	}
	e := &Error{Code: CodeNotInside, Message: "the bundle doesn't hold the way of " + object, Cause: "no zone stated it when the bundle was made",
		Next: []string{"on the node: mesh doctor " + object + " --bundle FILE"}}
	if state != "" {
		e.Cause = "its state was " + state + "; a bundle has the ways of those objects that are not simply live, and of the one that it was made for"
	}
	return refusal(req, e)
}

func document(req *http.Request, v any) *http.Response {
	b, err := marshal(v)
	if err != nil {
		return refusal(req, asError(err))
	}
	return answer(req, http.StatusOK, "application/json", io.NopCloser(bytes.NewReader(b)))
}

func refusal(req *http.Request, e *Error) *http.Response {
	b, err := marshal(struct {
		Error *Error `json:"error"`
	}{e})
	if err != nil {
		b = nil // texts do marshal
	}
	return answer(req, httpStatus(e.Code), "application/json", io.NopCloser(bytes.NewReader(b)))
}

func answer(req *http.Request, code int, contentType string, body io.ReadCloser) *http.Response {
	return &http.Response{
		Status: strconv.Itoa(code) + " " + http.StatusText(code), StatusCode: code,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {contentType}}, Body: body, ContentLength: -1, Request: req,
	}
}

// standstill is a stream that has told all that it has to tell: it is kept open, as by a node that is well and quiet.
type standstill struct {
	io.Reader
	ctx  context.Context
	once sync.Once
	gone chan struct{} // closed by Close
}

// signEvery is how often the stream gives a sign of life.
const signEvery = 2 * time.Second

func newStandstill(ctx context.Context, told []byte) *standstill {
	return &standstill{Reader: bytes.NewReader(told), ctx: ctx, gone: make(chan struct{})}
}

func (s *standstill) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if !errors.Is(err, io.EOF) || len(p) == 0 {
		return n, err
	}
	t := time.NewTimer(signEvery)
	defer t.Stop()
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-s.gone:
		return 0, io.EOF
	case <-t.C:
		s.Reader = strings.NewReader(":\n\n") // a comment, which says nothing
		return s.Reader.Read(p)
	}
}

func (s *standstill) Close() error {
	s.once.Do(func() { close(s.gone) })
	return nil
}
