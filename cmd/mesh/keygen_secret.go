package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/kube"
)

const (
	// secretKeyName is under which name a Secret holds the private key, as in the original's chart.
	secretKeyName = "secretKey"
	// secretTries bounds the race with others who make or delete the same Secret: every round of it is somebody
	// else's doing, so a third one is no coincidence.
	secretTries = 3
	// maxServerText is how many bytes of an API server's sentence are shown.
	maxServerText = 400
)

// secretName is what --to-secret names; an empty namespace is the one of the connection.
type secretName struct{ namespace, name string }

func (s secretName) String() string { return s.namespace + "/" + s.name }

// The names that Kubernetes gives to namespaces and Secrets.
var (
	dnsLabel     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	dnsSubdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
)

// parseSecretName reads [NS/]NAME.
func parseSecretName(c *cobra.Command, s string) (secretName, error) {
	namespace, name, found := strings.Cut(s, "/")
	if !found {
		namespace, name = "", s
	}
	if found && !dnsLabel.MatchString(namespace) || !dnsSubdomain.MatchString(name) || len(name) > 253 {
		return secretName{}, usageError(c, fmt.Sprintf("--to-secret does not take %q", s),
			"want NAME or NAMESPACE/NAME in the lower case of Kubernetes")
	}
	return secretName{namespace, name}, nil
}

// keygenToSecret makes sure that a Secret with a key exists. One that is there is never changed: whoever uses it
// would become somebody else.
func keygenToSecret(ctx context.Context, e *env, o keygenOptions, want secretName) error {
	ctx, cancel := context.WithTimeout(ctx, e.flags.timeout)
	defer cancel()
	cluster, err := kube.Connect(e.clusterAccess(o.context))
	if err != nil {
		err = accessError(err)
		var refused *cliError
		if errors.As(err, &refused) { // the same causes as those of mesh run, another command
			refused.Next = []string{"kubectl config get-contexts", "mesh keygen --to-secret " + o.toSecret + " --context NAME"}
		}
		return err
	}
	if want.namespace == "" {
		want.namespace = cluster.Namespace
	}
	secrets := cluster.Dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"}).Namespace(want.namespace)
	k, created, err := ensureSecret(ctx, e, secrets, want, o.importSrc)
	if err != nil {
		return secretError(want, cluster.Location, err)
	}
	doc := describeKey(k.Public())
	doc.Secret, doc.Created = want.String(), created
	if *o.format == formatText {
		if created {
			e.note("created Secret %s with a private key. Keep a copy in a safe place: it is this node's identity.", want)
		} else {
			e.note("Secret %s exists and was left alone", want)
		}
	}
	return printKey(e, *o.format, doc)
}

// clusterAccess is the cluster of the pod that mesh runs in, unless a kubeconfig or a context in one is named.
func (e *env) clusterAccess(kubeContext string) kube.Access {
	_, inPod := e.lookupEnv("KUBERNETES_SERVICE_HOST")
	return kube.Access{
		InCluster: inPod && kubeContext == "" && e.getenv("KUBECONFIG") == "",
		Context:   kubeContext,
		UserAgent: "mesh/" + buildVersion().Version,
	}
}

// secretsClient is what is asked of the Secrets of a namespace.
type secretsClient interface {
	Get(ctx context.Context, name string, o metav1.GetOptions, sub ...string) (*unstructured.Unstructured, error)
	Create(ctx context.Context, s *unstructured.Unstructured, o metav1.CreateOptions, sub ...string) (*unstructured.Unstructured, error)
}

// ensureSecret returns the key in the Secret, and whether it put it there.
func ensureSecret(ctx context.Context, e *env, secrets secretsClient, want secretName, importSrc string) (keys.Private, bool, error) {
	var imported keys.Private
	if importSrc != "" {
		k, err := e.readKey(importSrc)
		if err != nil {
			return keys.Private{}, false, err
		}
		imported = k
	}
	var err error
	for range secretTries {
		var found *unstructured.Unstructured
		found, err = secrets.Get(ctx, want.name, metav1.GetOptions{})
		if err == nil {
			k, err := keyInSecret(found, want)
			if err == nil && !imported.IsZero() && k.Public() != imported.Public() {
				err = secretHolds(want, "it holds another key than "+importSrc)
			}
			return k, false, err
		}
		if !apierrors.IsNotFound(err) {
			return keys.Private{}, false, err
		}
		k := imported
		if k.IsZero() {
			if k, err = newOrImported(e, ""); err != nil {
				return keys.Private{}, false, err
			}
		}
		_, err = secrets.Create(ctx, newSecret(want, k), metav1.CreateOptions{FieldManager: "mesh"})
		if err == nil {
			return k, true, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return keys.Private{}, false, err
		}
	}
	return keys.Private{}, false, err
}

func newSecret(want secretName, k keys.Private) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Secret",
		"metadata": map[string]any{
			"name": want.name, "namespace": want.namespace,
			"labels": map[string]any{"app.kubernetes.io/part-of": "mesh"},
		},
		"type": "Opaque",
		"data": map[string]any{secretKeyName: base64.StdEncoding.EncodeToString([]byte(k.Hex()))},
	}}
}

// keyInSecret reads the key of a Secret that exists.
func keyInSecret(s *unstructured.Unstructured, want secretName) (keys.Private, error) {
	text, found, err := unstructured.NestedString(s.Object, "data", secretKeyName)
	if err != nil || !found {
		return keys.Private{}, secretHolds(want, "it has no "+secretKeyName)
	}
	// 4 bytes of text stand for 3 of the key.
	if len(text) > 2*keys.MaxFileSize {
		return keys.Private{}, secretHolds(want, "its "+secretKeyName+" is too long for a key")
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return keys.Private{}, secretHolds(want, "its "+secretKeyName+" is no base64")
	}
	k, err := keys.Parse(b)
	clear(b)
	if err != nil {
		cause := "its " + secretKeyName + " is no key"
		var format *keys.FormatError
		if errors.As(err, &format) {
			cause = "its " + secretKeyName + " is " + format.Found + ", want an Ed25519 private key"
		}
		return keys.Private{}, secretHolds(want, cause)
	}
	return k, nil
}

// secretHolds refuses a Secret that exists.
func secretHolds(want secretName, cause string) error {
	return &cliError{Code: "MESH-6602", What: "Secret " + want.String() + " exists and was left alone", Cause: cause,
		Next: []string{"mesh keygen --to-secret " + want.String() + "-2", "or when nobody needs it: kubectl -n " + want.namespace + " delete secret " + want.name}}
}

// secretError words what the cluster answered. Of an API server's own text only what it says about permission is
// shown: others may quote the Secret.
func secretError(want secretName, where string, err error) error {
	var known *cliError
	if errors.As(err, &known) {
		return err
	}
	if status := apierrors.APIStatus(nil); !errors.As(err, &status) {
		cause := rootCause(err).Error()
		if errors.Is(err, context.DeadlineExceeded) {
			cause = "no answer before the time given by --timeout was over"
		}
		return &cliError{Code: "MESH-3601", What: "cannot reach the Kubernetes cluster " + where, Cause: clipText(cause, maxServerText),
			Next: []string{"kubectl version", "the same command with --context NAME"}, Err: err}
	}
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return &cliError{Code: "MESH-6601", What: "not allowed to make the Secret " + want.String(), Cause: clipText(err.Error(), maxServerText),
			Next: []string{"kubectl auth can-i create secrets -n " + want.namespace, "kubectl auth can-i get secret/" + want.name + " -n " + want.namespace}}
	case apierrors.IsNotFound(err):
		return &cliError{Code: "MESH-1601", What: "the Secret " + want.String() + " was not made", Cause: "there is no namespace " + want.namespace,
			Next: []string{"kubectl create namespace " + want.namespace}}
	case apierrors.IsServiceUnavailable(err), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err), apierrors.IsTooManyRequests(err):
		return &cliError{Code: "MESH-3601", What: "cannot reach the Kubernetes cluster " + where,
			Cause: fmt.Sprintf("its API server answers %s", apierrors.ReasonForError(err)), Next: []string{"the same command, later"}}
	}
	return &cliError{Code: "MESH-1601", What: "the Secret " + want.String() + " was not made",
		Cause: fmt.Sprintf("the API server of %s answers %s", where, orUnknown(string(apierrors.ReasonForError(err)))),
		Next:  []string{"kubectl -n " + want.namespace + " get secret " + want.name}}
}

func orUnknown(reason string) string {
	if reason == "" {
		return "with an error"
	}
	return reason
}

// clipText shortens text that came from elsewhere.
func clipText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}

func secretCodes() []errorCode {
	return []errorCode{
		{"MESH-1601", "the Secret was not made", "" +
			"The cluster refused the Secret of mesh keygen --to-secret for another reason than permission, which the " +
			"cause names: its namespace does not exist, or an admission policy is against it. Nothing was changed."},
		{"MESH-3601", "the Kubernetes cluster cannot be reached", "" +
			"The API server that the kubeconfig names does not answer mesh keygen --to-secret. In a pod it is the pod's own " +
			"cluster, unless KUBECONFIG or --context say otherwise."},
		{"MESH-6601", "not allowed to make the Secret", "" +
			"mesh keygen --to-secret looks whether the Secret exists and creates it: it needs the verbs get and create " +
			"on secrets in that namespace. The cause is the API server's own sentence."},
		{"MESH-6602", "the Secret holds no key, or another one", "" +
			"mesh never changes a Secret that exists: whoever uses its key would become somebody else. If it holds " +
			"no key of mesh under secretKey, or with --import another one, name another Secret, or delete it if nobody " +
			"needs it."},
	}
}
