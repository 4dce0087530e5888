package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// proxy asks a pod through pods/proxy: the API server makes the request. It takes what identifies the caller out of it,
// so nothing may depend on that.
type proxy struct {
	c       *Cluster
	pod     pod
	instead error // why there is no port-forward; nil: none was wanted
}

func (*proxy) broken() bool { return false }
func (*proxy) close()       {}

// maxRefusal bounds an answer that says why there is none, in bytes.
const maxRefusal = 64 << 10

// RoundTrip sends a GET; others are ErrReadOnly.
func (p *proxy) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := p.ask(req)
	if err != nil && p.instead != nil && req.Context().Err() == nil {
		return nil, &notLive{p.instead, err}
	}
	return resp, err
}

func (p *proxy) ask(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet {
		return nil, ErrReadOnly
	}
	to := p.pod
	to.name += ":" + strconv.Itoa(p.pod.http)
	where, err := p.c.podURL(to, "proxy"+req.URL.Path)
	if err != nil {
		return nil, err
	}
	where.RawQuery = req.URL.RawQuery
	ask, err := http.NewRequestWithContext(req.Context(), http.MethodGet, where.String(), nil)
	if err != nil {
		return nil, err
	}
	ask.Header = req.Header.Clone()
	resp, err := p.c.http.Do(ask)
	switch {
	case err != nil && req.Context().Err() != nil:
		return nil, req.Context().Err()
	case err != nil:
		return nil, &UnreachableError{p.c.host(), plainError{err}}
	case resp.StatusCode == http.StatusOK:
		return resp, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	if err != nil {
		return nil, &PodError{p.pod.namespace, p.pod.name, Proxy, plainError{err}}
	}
	var ours struct {
		Error *struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	var theirs metav1.Status
	switch {
	case json.Unmarshal(body, &ours) == nil && ours.Error != nil && strings.HasPrefix(ours.Error.Code, "MESH-"):
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return resp, nil
	case json.Unmarshal(body, &theirs) == nil && theirs.Kind == "Status" && theirs.APIVersion == "v1":
		err := explain(&apierrors.StatusError{ErrStatus: theirs}, p.c.host(), "get", "pods/proxy", p.pod.namespace)
		var refused *ForbiddenError
		var unknown *UnauthenticatedError
		if !errors.As(err, &refused) && !errors.As(err, &unknown) {
			err = &PodError{p.pod.namespace, p.pod.name, Proxy, err}
		}
		return nil, err
	case resp.StatusCode == http.StatusNotFound:
		return nil, &PodError{p.pod.namespace, p.pod.name, Proxy, ErrNoProxy}
	}
	return nil, &PodError{p.pod.namespace, p.pod.name, Proxy, errors.New("it answers " + line(resp.Status))}
}
