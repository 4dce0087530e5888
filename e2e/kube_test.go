package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// kubeZone is a zone whose cluster is a real API server, or a namespace of one that tests share. Its methods that
// return errors may be called from several goroutines.
type kubeZone struct {
	*zone
	server *kubetest.Server
	ns     string // of what is replicated, and of mesh's own objects
	client *http.Client
}

// entry is one of mesh.resources.
type entry = map[string]any

// configMaps is the entry of most tests.
func configMaps(ns string) entry {
	return entry{"version": "v1", "kind": "ConfigMap", "namespaces": []string{ns}}
}

// sharedZones makes nodes in clusters that the tests share, named as the zones are, which know each other, and starts
// none. Of each cluster they use one namespace of the same name. Without entries they replicate ConfigMaps.
func sharedZones(t *testing.T, names string, entries ...entry) []*kubeZone {
	t.Helper()
	var servers []*kubetest.Server
	for name := range strings.FieldsSeq(names) {
		servers = append(servers, kubetest.SharedAs(t, name))
	}
	return zonesOf(t, servers, entries...)
}

// ownServers starts clusters for one test, which may kill them.
func ownServers(t *testing.T, names string) []*kubetest.Server {
	t.Helper()
	list := strings.Fields(names)
	servers := make([]*kubetest.Server, len(list))
	var starting sync.WaitGroup
	for i, name := range list {
		starting.Go(func() { servers[i] = kubetest.Start(t, kubetest.Name(name)) })
	}
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return servers
}

// zonesOf makes a node in each of some clusters.
func zonesOf(t *testing.T, servers []*kubetest.Server, entries ...entry) []*kubeZone {
	t.Helper()
	ns := servers[0].Namespace(t)
	var all []*kubeZone
	for i, s := range servers {
		z := &kubeZone{zone: newZone(t, s.Name), ns: ns}
		z.in(s)
		if i > 0 {
			z.must(http.MethodPost, "/api/v1/namespaces", namespace(ns))
		}
		z.replicates(entries...)
		all = append(all, z)
	}
	for _, z := range all {
		z.knows(plain(all)...)
		z.save()
	}
	return all
}

// in puts the node, which doesn't run, into a cluster.
func (z *kubeZone) in(s *kubetest.Server) {
	z.server = s
	z.config["kubernetes"] = map[string]any{"external": map[string]any{"kube_context": s.Name}, "namespace": z.ns}
	z.env = []string{"KUBECONFIG=" + s.Kubeconfig(z.t)}
	z.save()
	authority := x509.NewCertPool()
	authority.AppendCertsFromPEM(s.CAData)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	z.t.Cleanup(transport.CloseIdleConnections)
	z.client = &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

func (z *kubeZone) replicates(entries ...entry) {
	if len(entries) == 0 {
		entries = []entry{configMaps(z.ns)}
	}
	z.config["mesh"].(map[string]any)["resources"] = entries
	z.save()
}

func plain(all []*kubeZone) []*zone {
	var out []*zone
	for _, z := range all {
		out = append(out, z.zone)
	}
	return out
}

func namespace(name string) any {
	return map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}
}

// object is one as the API server knows it.
type object struct {
	APIVersion string            `json:"apiVersion,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	Metadata   metadata          `json:"metadata"`
	Data       map[string]string `json:"data,omitempty"`
	Spec       map[string]any    `json:"spec,omitempty"`
	Status     map[string]any    `json:"status,omitempty"`
}

type metadata struct {
	Name       string            `json:"name"`
	Namespace  string            `json:"namespace,omitempty"`
	UID        string            `json:"uid,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Finalizers []string          `json:"finalizers,omitempty"`
	Deleted    string            `json:"deletionTimestamp,omitempty"`
}

// owner is the zone that a replica names, empty for an object of the cluster's own.
func (o object) owner() string { return o.Metadata.Labels["dcp.hiro.io/owner-zone"] }

// send asks the API server as its administrator. That it can't be reached is an error, whatever it answers is none.
func (z *kubeZone) send(method, path string, body any) (status int, answer []byte, err error) {
	payload, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	if body == nil {
		payload = nil
	}
	req, err := http.NewRequestWithContext(context.Background(), method, z.server.URL+path, bytes.NewReader(payload))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+z.server.Token)
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	resp, err := z.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// ok is send where every answer but a good one is an error.
func (z *kubeZone) ok(method, path string, body, into any) error {
	status, answer, err := z.send(method, path, body)
	switch {
	case err != nil:
		return err
	case status >= 300:
		return fmt.Errorf("%s: %s %s: status %d: %s", z.name, method, path, status, answer)
	case into == nil:
		return nil
	}
	return json.Unmarshal(answer, into)
}

// must is ok in a test that can't go on otherwise.
func (z *kubeZone) must(method, path string, body any) {
	z.t.Helper()
	must(z.t, z.ok(method, path, body, nil))
}

// at is the path of ConfigMaps, or of one.
func (z *kubeZone) at(name ...string) string {
	return strings.Join(append([]string{"/api/v1/namespaces", z.ns, "configmaps"}, name...), "/")
}

// create makes a ConfigMap that does not exist, most likely.
func (z *kubeZone) create(name, value string) error {
	status, answer, err := z.send(http.MethodPost, z.at(), object{Metadata: metadata{Name: name}, Data: map[string]string{"value": value}})
	switch {
	case err == nil && status == http.StatusConflict:
		return z.put(name, value)
	case err == nil && status >= 300:
		err = fmt.Errorf("%s: create %s: status %d: %s", z.name, name, status, answer)
	}
	return err
}

// put makes a ConfigMap have a value, whether it exists or not.
func (z *kubeZone) put(name, value string) error {
	for {
		patch := map[string]any{"data": map[string]string{"value": value}}
		status, answer, err := z.send(http.MethodPatch, z.at(name), patch)
		if err == nil && status == http.StatusNotFound {
			status, answer, err = z.send(http.MethodPost, z.at(), object{Metadata: metadata{Name: name}, Data: map[string]string{"value": value}})
			if err == nil && status == http.StatusConflict {
				continue // an answer got lost: it was made
			}
		}
		if err == nil && status >= 300 {
			err = fmt.Errorf("%s: put %s: status %d: %s", z.name, name, status, answer)
		}
		return err
	}
}

// remove deletes a ConfigMap, whether it exists or not.
func (z *kubeZone) remove(name string) error {
	status, answer, err := z.send(http.MethodDelete, z.at(name), nil)
	if err == nil && status >= 300 && status != http.StatusNotFound {
		err = fmt.Errorf("%s: delete %s: status %d: %s", z.name, name, status, answer)
	}
	return err
}

// get reads an object. One that does not exist is an errGone.
func (z *kubeZone) get(path string) (object, error) {
	var o object
	status, answer, err := z.send(http.MethodGet, path, nil)
	switch {
	case err != nil:
		return o, err
	case status == http.StatusNotFound:
		return o, fmt.Errorf("%s: %s: %w", z.name, path, errGone)
	case status != http.StatusOK:
		return o, fmt.Errorf("%s: %s: status %d: %s", z.name, path, status, answer)
	}
	return o, json.Unmarshal(answer, &o)
}

var errGone = errors.New("it does not exist")

// list reads what is at a path.
func (z *kubeZone) list(path string) ([]object, error) {
	var list struct{ Items []object }
	return list.Items, z.ok(http.MethodGet, path, nil, &list)
}

// differsIn compares the ConfigMaps of the namespace with what should exist; nil if nothing differs.
func (z *kubeZone) differsIn(want model) error {
	items, err := z.list(z.at())
	if err != nil {
		return err
	}
	got := model{}
	for _, o := range items {
		got.set(cmp.Or(o.owner(), z.name), o.Metadata.Name, o.Data["value"])
	}
	var bad []string
	for owner, objects := range got {
		for name, value := range objects {
			if w, should := want[owner][name]; !should {
				bad = append(bad, fmt.Sprintf("%s/%s exists", owner, name))
			} else if w != value {
				bad = append(bad, fmt.Sprintf("%s/%s = %.20q, want %.20q", owner, name, value, w))
			}
		}
	}
	for owner, objects := range want {
		for name := range objects {
			if _, there := got[owner][name]; !there {
				bad = append(bad, fmt.Sprintf("%s/%s is missing", owner, name))
			}
		}
	}
	if len(bad) == 0 {
		return nil
	}
	slices.Sort(bad)
	return fmt.Errorf("in the cluster of %s %d objects differ: %s", z.name, len(bad), strings.Join(bad[:min(len(bad), 10)], ", "))
}

// alike waits until the clusters hold what they should.
func alike(t testing.TB, want model, all ...*kubeZone) {
	t.Helper()
	for _, z := range all {
		eventually(t, "clusters are alike", func() error { return z.differsIn(want) })
	}
}

// claims returns what a node holds to be true of each live object.
func (z *kubeZone) claims() (map[string]string, error) {
	got := map[string]string{}
	for after := ""; ; {
		var page struct {
			Items []mesh.Resource
			Next  string
		}
		if err := z.ask("resources?after="+after, &page); err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			if len(r.Claims) > 0 { // how long deletions are remembered differs from node to node
				got[r.Object] = fmt.Sprint(r.Owner, r.Epoch, r.Version, r.Content, r.Claims)
			}
		}
		if after = page.Next; after == "" {
			return got, nil
		}
	}
}

// sameClaims waits until nodes agree about every object.
func sameClaims(t testing.TB, all ...*kubeZone) {
	t.Helper()
	for _, z := range all[1:] {
		eventually(t, z.name+" and "+all[0].name+" hold the same claims", func() error {
			a, err := all[0].claims()
			if err != nil {
				return err
			}
			b, err := z.claims()
			if err != nil {
				return err
			}
			if len(a) != len(b) {
				return fmt.Errorf("%d and %d", len(a), len(b))
			}
			for k := range a {
				if a[k] != b[k] {
					return fmt.Errorf("%s: %q and %q", k, a[k], b[k])
				}
			}
			return nil
		})
	}
}

// fill gives every zone objects of its own and waits until they are everywhere. The nodes run.
func fill(t testing.TB, each int, all ...*kubeZone) model {
	t.Helper()
	want := model{}
	for _, z := range all {
		for n := range each {
			name := fmt.Sprintf("%s-%d", z.name, n)
			want.set(z.name, name, "1")
			must(t, z.create(name, "1"))
		}
	}
	alike(t, want, all...)
	return want
}

// flows shows that changes still go all ways.
func flows(t testing.TB, want model, all ...*kubeZone) {
	t.Helper()
	for _, z := range all {
		name := z.name + "-again"
		want.set(z.name, name, "again")
		must(t, z.put(name, "again"))
	}
	alike(t, want, all...)
	sameClaims(t, all...)
	for _, z := range all {
		z.verify()
	}
}

// shows waits until status has a problem or finding that holds all the words.
func (z *kubeZone) shows(words ...string) {
	z.t.Helper()
	eventually(z.t, fmt.Sprintf("status of %s tells of %q", z.name, words), func() error {
		s, err := z.status()
		if err != nil {
			return err
		}
		var all []string
		for _, p := range s.Cluster.Problems {
			all = append(all, strings.Join([]string{p.Object, p.Reason, p.Text}, " "))
		}
		for _, f := range s.Findings {
			all = append(all, strings.Join([]string{f.ID, f.Status, f.Subject, f.Text, f.Next}, " "))
		}
		for _, text := range all {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
				return nil
			}
		}
		return fmt.Errorf("it tells of %q", all)
	})
}

// quiet waits until status has no problem with a word any more.
func (z *kubeZone) quiet(word string) {
	z.t.Helper()
	eventually(z.t, fmt.Sprintf("status of %s tells nothing of %q", z.name, word), func() error {
		s, err := z.status()
		if err != nil {
			return err
		}
		for _, p := range s.Cluster.Problems {
			if strings.Contains(p.Object+" "+p.Reason+" "+p.Text, word) {
				return fmt.Errorf("it tells of %+v", p)
			}
		}
		return nil
	})
}

// decode reads a value of a Secret.
func decode(t testing.TB, value string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(value)
	must(t, err)
	return string(b)
}

// well waits until status has nothing to complain about.
func (z *kubeZone) well() {
	z.t.Helper()
	eventually(z.t, z.name+" is well", func() error {
		s, err := z.status()
		if err == nil && (!s.Cluster.Connected || len(s.Cluster.Problems)+len(s.Findings) > 0) {
			err = fmt.Errorf("it is %+v, %+v", s.Cluster, s.Findings)
		}
		return err
	})
}
