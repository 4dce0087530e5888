package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/oplog"
)

// maxAnswer is the most bytes of one answer that a client reads: a page of rows or of peers, and then some.
const maxAnswer = 4*MaxRowBytes + 1<<20

// Client asks a running node. It is safe for concurrent use. Every call ends with ctx, or after the client's
// own deadline.
//
// Errors: *UnreachableError when nothing answers, *Error when the node refuses.
type Client struct {
	addr    string
	base    string
	onUnix  bool
	http    http.Client
	Secrets bool // ask Rows for bodies with Secrets too; refused over TCP
}

// ParseAddr checks an address: unix:PATH or http://HOST:PORT.
func ParseAddr(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok && path != "" {
		return nil
	}
	u, err := url.Parse(addr)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" ||
		strings.ContainsAny(addr, "?#") {
		return fmt.Errorf("node address %q: want unix:PATH or http://HOST:PORT", addr)
	}
	return nil
}

// NewClient makes a client for a node at addr (see ParseAddr). timeout bounds each call; 0: only ctx does.
func NewClient(addr string, timeout time.Duration) (*Client, error) {
	if err := ParseAddr(addr); err != nil {
		return nil, err
	}
	c := &Client{addr: addr}
	transport := &http.Transport{
		DisableCompression: true,
		MaxIdleConns:       2,
		IdleConnTimeout:    idle,
		// A proxy from the environment must never see these requests: Proxy stays nil.
	}
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		c.onUnix, c.base = true, "http://mesh"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
	} else {
		c.base = strings.TrimRight(addr, "/")
	}
	c.http = http.Client{Transport: transport, Timeout: timeout, CheckRedirect: neverRedirect}
	return c, nil
}

// NewClientOver makes a client whose requests go through rt, such as a port-forward into a pod or an archive.
// name is what errors call the node. Requests are made to http://mesh/... and are never redirected. Secrets are not
// to be had this way. timeout bounds each call; 0: only ctx does.
func NewClientOver(rt http.RoundTripper, name string, timeout time.Duration) *Client {
	return &Client{addr: name, base: "http://mesh", http: http.Client{Transport: rt, Timeout: timeout, CheckRedirect: neverRedirect}}
}

// neverRedirect: the API never does, and whoever else answers is not to be followed.
func neverRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Addr is the address the client was made with.
func (c *Client) Addr() string { return c.addr }

// OnSocket reports whether the client talks over the API socket, where Secrets may be asked for.
func (c *Client) OnSocket() bool { return c.onUnix }

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks for the node's state in one page.
func (c *Client) Status(ctx context.Context) (mesh.Status, error) {
	return getDocument[mesh.Status](ctx, c, "/api/v1/status", nil)
}

// Peers lists the other nodes known.
func (c *Client) Peers(ctx context.Context) ([]mesh.Peer, error) {
	return getList[mesh.Peer](ctx, c, "/api/v1/peers")
}

// Held lists the deletions that are held back.
func (c *Client) Held(ctx context.Context) ([]mesh.HeldDeletes, error) {
	return getList[mesh.HeldDeletes](ctx, c, "/api/v1/held")
}

// Resources returns one page of objects after a key (empty: from the start) and the key to go on with, empty
// at the end.
func (c *Client) Resources(ctx context.Context, after string, limit int) ([]mesh.Resource, string, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if after != "" {
		q.Set("after", after)
	}
	var list List[mesh.Resource]
	err := c.getJSON(ctx, "/api/v1/resources", q, &list)
	return list.Items, list.Next, err
}

// Resource asks about one object. A CodeNotFound Error says that no zone has a claim on it.
func (c *Client) Resource(ctx context.Context, key mesh.ObjectKey) (mesh.Resource, error) {
	return getDocument[mesh.Resource](ctx, c, "/api/v1/resources/"+keyPath(key), nil)
}

// Logs lists the logs held.
func (c *Client) Logs(ctx context.Context) ([]mesh.LogStatus, error) {
	return getList[mesh.LogStatus](ctx, c, "/api/v1/log")
}

// Rows returns a page of operations; see LogReader. The node decides about the size of the page.
func (c *Client) Rows(ctx context.Context, log mesh.LogKey, from, to uint32, _ int) ([]oplog.Row, error) {
	q := url.Values{
		"author": {log.Author.String()}, "log": {log.Log.String()},
		"from": {strconv.FormatUint(uint64(from), 10)}, "to": {strconv.FormatUint(uint64(to), 10)},
	}
	if c.Secrets {
		q.Set("secrets", "true")
	}
	var rows []oplog.Row
	err := c.do(ctx, http.MethodGet, "/api/v1/log/rows", q, nil, func(r io.Reader) (err error) {
		rows, err = readRows(r)
		return err
	})
	return rows, err
}

// Lost lists content that lost to another zone's, without payloads.
func (c *Client) Lost(ctx context.Context) ([]mesh.LostContent, error) {
	return getList[mesh.LostContent](ctx, c, "/api/v1/log/lost")
}

// LostOne returns one record of lost content with its payload; that of a Secret only with secrets, which is
// refused over TCP.
func (c *Client) LostOne(ctx context.Context, id uint64, secrets bool) (mesh.LostContent, error) {
	q := url.Values{}
	if secrets {
		q.Set("secrets", "true")
	}
	return getDocument[mesh.LostContent](ctx, c, "/api/v1/log/lost/"+strconv.FormatUint(id, 10), q)
}

// Adopt takes ownership of an object at the node; see Inspector.
func (c *Client) Adopt(ctx context.Context, key mesh.ObjectKey, dryRun bool) (mesh.Adoption, error) {
	return post[mesh.Adoption](ctx, c, "/api/v1/adopt", adoptRequest{key.String(), dryRun})
}

// AcceptDeletes confirms the deletions held for a zone, for exactly the set that digest names.
func (c *Client) AcceptDeletes(ctx context.Context, zone mesh.Zone, digest string) (mesh.Confirmation, error) {
	return post[mesh.Confirmation](ctx, c, "/api/v1/peers/"+string(zone)+":accept-deletes", acceptRequest{digest})
}

func getDocument[T any](ctx context.Context, c *Client, path string, q url.Values) (T, error) {
	var d Document[T]
	err := c.getJSON(ctx, path, q, &d)
	return d.Value, err
}

func getList[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	var l List[T]
	err := c.getJSON(ctx, path, nil, &l)
	return l.Items, err
}

func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	var d Document[T]
	b, err := json.Marshal(body)
	if err != nil {
		return d.Value, err
	}
	err = c.do(ctx, http.MethodPost, path, nil, b, func(r io.Reader) error { return json.NewDecoder(r).Decode(&d) })
	return d.Value, err
}

func (c *Client) getJSON(ctx context.Context, path string, q url.Values, into any) error {
	return c.do(ctx, http.MethodGet, path, q, nil, func(r io.Reader) error { return json.NewDecoder(r).Decode(into) })
}

// do sends one request and reads its answer; read sees the body of a 200 only.
func (c *Client) do(ctx context.Context, method, path string, q url.Values, body []byte, read func(io.Reader) error) error {
	return c.open(ctx, method, path, q, body, func(r io.Reader) error {
		if err := read(io.LimitReader(r, maxAnswer)); err != nil {
			return fmt.Errorf("its answer cannot be read: %w", err)
		}
		return nil
	})
}

// open is do for answers of any length. An error of read says what is wrong with the node.
func (c *Client) open(ctx context.Context, method, path string, q url.Values, body []byte, read func(io.Reader) error) error {
	target := c.base + path
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var wrapped *url.Error // its text repeats the address
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &UnreachableError{c.addr, err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var refusal struct {
			Error *Error `json:"error"`
		}
		if json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&refusal) == nil && refusal.Error != nil && refusal.Error.Message != "" {
			return refusal.Error
		}
		return &UnreachableError{c.addr, fmt.Errorf("it answered %s, not as a mesh node does", resp.Status)}
	}
	if err := read(resp.Body); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &UnreachableError{c.addr, err}
	}
	return nil
}
