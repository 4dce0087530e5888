package kubetest_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dcp.hiro.io/mesh/internal/meshtest/kubetest"
)

// policies refuses config maps that say no, and adds an annotation to those that are created, in the namespaces with
// one label.
const policies = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: refuse}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}
  validations:
  - expression: "!has(object.data) || !('a' in object.data) || object.data.a != 'no'"
    message: no is not an answer
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: refuse}
spec:
  policyName: refuse
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {policies: "yes"}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: annotate}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: 'Object{metadata: Object.metadata{annotations: {"policy": "was here"}}}'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: annotate}
spec:
  policyName: annotate
  matchResources: {namespaceSelector: {matchLabels: {policies: "yes"}}}
`

// TestPolicies shows that admission policies work, which is how a test has its objects refused or changed on their way
// in: no webhook is needed.
func TestPolicies(t *testing.T) {
	s := kubetest.Shared(t)
	ns := s.Namespace(t)
	file := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(file, []byte(policies), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Kubectl(t, "apply", "-f", file)
	s.Kubectl(t, "label", "namespace", ns, "policies=yes")
	path := "/api/v1/namespaces/" + ns + "/configmaps"
	refused := strings.Replace(configMap("hello"), `"a":"1"`, `"a":"no"`, 1)
	// The server takes a moment to see a policy.
	eventually(t, "both are in force", func() error {
		status, answer := s.Do(t, http.MethodPost, path+"?dryRun=All", refused)
		if status != 422 || !strings.Contains(string(answer), "no is not an answer") {
			return fmt.Errorf("status %d: %s", status, answer)
		}
		status, answer = s.Do(t, http.MethodPost, path+"?dryRun=All", configMap("hello"))
		if status != 201 || !strings.Contains(string(answer), `"policy":"was here"`) {
			return fmt.Errorf("status %d: %s", status, answer)
		}
		return nil
	})
	do(t, s, http.MethodPost, "/api/v1/namespaces/"+s.Namespace(t)+"/configmaps", refused, 201)
}
