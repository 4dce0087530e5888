package kube_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/kube"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
	"dcp.hiro.io/mesh/internal/replica"
)

// apply has kubectl apply a text.
func (r *rig) apply(text string) {
	r.t.Helper()
	file := filepath.Join(r.t.TempDir(), "objects.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "%s", r.ns)), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.server.Kubectl(r.t, "apply", "-f", file)
}

// An object that the API server refuses is a problem that shows nothing of its content, and doesn't hold up others.
func TestRejected(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both(), secretEntry()).start()
	r.listed()
	const secret = "c2VjcmV0IHRleHQ" // of which the padding is missing
	bad := []map[string]any{
		r.manifest(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"base64","namespace":"%s"},"data":{"k":"` + secret + `"}}`),
		r.manifest(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"docker","namespace":"%s"},"type":"kubernetes.io/dockerconfigjson","stringData":{".dockerconfigjson":"` + secret + `"}}`),
		r.manifest(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"type","namespace":"%s"},"data":"` + secret + `"}`),
		r.manifest(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"field","namespace":"%s"},"data":{"` + secret + ` ":""}}`),
		r.manifest(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"label","namespace":"%s","labels":{"l":"` + secret + ` "}},"data":{}}`),
	}
	for _, m := range bad {
		w := r.claim(replica.PutReplica, "west", 1, m)
		in := r.do(w)
		if !in.Retry || in.Err == "" || strings.Contains(in.Err, secret) && w.Object.Name != "field" {
			t.Errorf("%s: %+v", w.Object, in)
		}
	}
	r.eventually("all are shown", func() bool { return len(r.cluster.Status().Problems) == len(bad) })
	for _, p := range r.cluster.Status().Problems {
		if p.Reason != kube.ReasonApplyRejected || strings.Contains(p.Text, secret) && !strings.HasSuffix(p.Object, "/field") {
			t.Errorf("problem = %+v", p)
		}
	}
	r.put("good", 1, nil)
	fixed := r.claim(replica.PutReplica, "west", 2, r.configMap("label", nil))
	r.done(fixed)
	for _, p := range r.cluster.Status().Problems {
		if p.Object == fixed.Object.String() {
			t.Errorf("a problem that is over: %+v", p)
		}
	}
}

const refusingPolicy = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: "refuse-%s"}
spec:
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "%s"}}
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps, secrets]}
  validations:
  - expression: "object.metadata.name != 'no'"
    messageExpression: "'told you: ' + string(object.data.k)"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: "refuse-%s"}
spec: {policyName: "refuse-%s", validationActions: [Deny]}
`

// What a policy refuses is applied when the policy is gone; what it quotes of a Secret goes no further.
func TestRefusedByPolicy(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both(), secretEntry()).start()
	r.listed()
	r.apply(refusingPolicy)
	t.Cleanup(func() {
		r.server.Kubectl(t, "delete", "--ignore-not-found", "validatingadmissionpolicybinding", "refuse-"+r.ns)
		r.server.Kubectl(t, "delete", "--ignore-not-found", "validatingadmissionpolicy", "refuse-"+r.ns)
	})
	r.eventually("the policy is in force", func() bool {
		_, stderr, err := r.server.TryKubectl(t, "-n", r.ns, "create", "configmap", "no", "--from-literal=k=v", "--dry-run=server")
		return err != nil && strings.Contains(stderr, "told you")
	})
	w := r.claim(replica.PutReplica, "west", 1, r.configMap("no", map[string]any{"k": "v"}))
	if in := r.do(w); !in.Retry {
		t.Errorf("answer = %+v", in)
	}
	s := r.claim(replica.PutReplica, "west", 1, r.manifest(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"no","namespace":"%s"},"data":{"k":"aGlkZGVu"}}`))
	if in := r.do(s); !in.Retry || strings.Contains(in.Err, "told you") {
		t.Errorf("answer = %+v", in)
	}
	r.put("yes", 1, nil)
	r.server.Kubectl(t, "delete", "validatingadmissionpolicybinding", "refuse-"+r.ns)
	if in := r.answer(w); in.Err != "" {
		t.Errorf("answer = %+v", in)
	}
	r.eventually("the Secret too", func() bool { return r.get(secrets, "no") != nil })
	r.eventually("no problem is left", func() bool { return len(r.cluster.Status().Problems) == 0 })
}

const mutatingPolicy = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: "mutate-%s"}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "%s"}}
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: 'Object{data: {"policy": "was here", "k": "of the policy"}}'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: "mutate-%s"}
spec: {policyName: "mutate-%s"}
`

// What the API server makes of a write is how the replica is to look: it isn't put back without end.
func TestMutatedByPolicy(t *testing.T) {
	r := newRig(t, kubetest.Shared(t), both()).start()
	r.listed()
	r.apply(mutatingPolicy)
	t.Cleanup(func() {
		r.server.Kubectl(t, "delete", "--ignore-not-found", "mutatingadmissionpolicybinding", "mutate-"+r.ns)
		r.server.Kubectl(t, "delete", "--ignore-not-found", "mutatingadmissionpolicy", "mutate-"+r.ns)
	})
	r.eventually("the policy is in force", func() bool {
		stdout, _, err := r.server.TryKubectl(t, "-n", r.ns, "create", "configmap", "try", "--dry-run=server", "-o", "yaml")
		return err == nil && strings.Contains(stdout, "was here")
	})
	r.put("warm-up", 1, nil)
	r.traffic.reset()
	for v := range 3 {
		r.put("x", mesh.Version(v+1), map[string]any{"k": fmt.Sprint(v), "l": fmt.Sprint(v)})
	}
	if got := dataOf(r.get(configMaps, "x")); got != "k=of the policy l=2 policy=was here" {
		t.Errorf("data = %s", got)
	}
	r.put("last", 1, nil) // by its events those of x have come
	none(r, "the policy was taken for drift", seen(r.key("x")))
	if n := r.traffic.writes(); n != 4 {
		t.Errorf("%d writes, want 4", n)
	}
}

// An object that may not be changed in place is deleted and made anew where the entry allows that, else a problem.
func TestImmutable(t *testing.T) {
	e := both()
	r := newRig(t, kubetest.Shared(t), e).start()
	r.listed()
	m := r.configMap("x", map[string]any{"k": "1"})
	m["immutable"] = true
	first := r.done(r.claim(replica.PutReplica, "west", 1, m))
	m["data"] = map[string]any{"k": "2"}
	w := r.claim(replica.PutReplica, "west", 2, m)
	if in := r.do(w); !in.Retry || !strings.Contains(in.Err, "immutable") {
		t.Errorf("answer = %+v", in)
	}
	if p := r.problem(kube.ReasonApplyRejected); !strings.Contains(p.Text, "immutable") {
		t.Errorf("problem = %+v", p)
	}
	if got := dataOf(r.get(configMaps, "x")); got != "k=1" {
		t.Errorf("data = %s", got)
	}
	r.fresh(func(c *kube.Config) { c.Entries[0].Recreate = true }).start().listed()
	second := r.done(w)
	if got := dataOf(r.get(configMaps, "x")); got != "k=2" || second.Base.UID == first.Base.UID {
		t.Errorf("data = %s, UIDs %s and %s", got, first.Base.UID, second.Base.UID)
	}
	r.put("last", 1, nil)
	none(r, "the deletion on the way was reported", absent(r.key("x")))
}

// Each verb that is missing is a visible problem of what needs it; everything else flows, and all of it once it is
// granted.
func TestRBAC(t *testing.T) {
	role := func(verbs []string) string {
		return `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: mesh, namespace: "%s"}
rules:
- {apiGroups: [""], resources: [configmaps], verbs: [` + strings.Join(verbs, ", ") + `]}
- {apiGroups: [""], resources: [secrets], verbs: [get, list, watch, create, patch, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: mesh, namespace: "%s"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: mesh}
subjects: [{kind: User, name: "mesh-%s"}]
`
	}
	all := []string{"get", "list", "watch", "create", "patch", "delete"}
	secret := func(r *rig, v mesh.Version) replica.Write {
		return r.claim(replica.PutReplica, "west", v, r.manifest(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"other","namespace":"%s"},"data":{"k":"`+strings.Repeat("AAAA", int(v))+`"}}`))
	}
	for _, missing := range all {
		t.Run(missing, func(t *testing.T) {
			r := newRig(t, kubetest.Shared(t), both(), secretEntry())
			r.traffic.as("mesh-" + r.ns)
			r.apply(role(slices.DeleteFunc(slices.Clone(all), func(v string) bool { return v == missing })))
			r.eventually("the role counts", func() bool { // the API server learns of it in its own time
				_, _, err := r.server.TryKubectl(t, "auth", "can-i", "list", "secrets", "-n", r.ns, "--as", "mesh-"+r.ns)
				return err == nil
			})
			r.start().listed()
			var pending replica.Write
			var ends func()
			switch missing {
			case "list", "watch":
				r.make(configMaps, r.configMap("a", nil))
				ends = func() { heard(r, "an object of ours", local(r.key("a"))) } // maybe by a list before
			case "get":
				r.make(configMaps, r.configMap("a", nil))
				next(r, "an object of ours", local(r.key("a")))
				r.delete(configMaps, "a")
				ends = func() { next(r, "its end", gone(r.key("a"))) }
			case "create":
				pending = r.claim(replica.PutReplica, "west", 1, r.configMap("x", nil))
			case "patch":
				r.put("x", 1, nil)
				pending = r.claim(replica.PutReplica, "west", 2, r.configMap("x", map[string]any{"k": "2"}))
			case "delete":
				pending = r.put("x", 1, nil).Write
				pending.Kind, pending.Content = replica.RemoveReplica, mesh.Hash{}
			}
			if ends == nil {
				if in := r.do(pending); !in.Retry {
					t.Errorf("answer = %+v", in)
				}
				ends = func() {
					if in := r.answer(pending); in.Err != "" {
						t.Errorf("answer = %+v", in)
					}
				}
			}
			if p := r.problem(kube.ReasonForbidden); !strings.Contains(p.Text, "cannot "+missing+" resource") {
				t.Errorf("problem = %+v", p)
			}
			r.done(secret(r, 1))
			none(r, "an object that can't be read was reported gone", gone(r.key("a")))
			r.apply(role(all))
			ends()
			r.done(secret(r, 2))
			r.eventually("no problem is left", func() bool { return len(r.cluster.Status().Problems) == 0 })
		})
	}
}
