package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/admin"
)

const (
	// pollEvery is how often --watch and --follow ask: as often as a person reads.
	pollEvery = time.Second
	// waitEvery is how often --wait and adopt ask: they block a script, and a question costs a millisecond.
	waitEvery = 100 * time.Millisecond
)

// nodeFlags say which node a command is about, beside --node.
type nodeFlags struct {
	config  string
	dataDir string

	allNamespaces bool // of the Kubernetes cluster that is asked
}

// whichNode is the heading of these flags, the last one of a command's own.
const whichNode = "which node"

// addNodeFlags gives c the flags --config and --data-dir.
func addNodeFlags(c *cobra.Command) *nodeFlags {
	f := new(nodeFlags)
	c.Flags().StringVarP(&f.config, "config", "c", "", "the config `FILE` of the node to ask")
	c.Flags().StringVar(&f.dataDir, "data-dir", "", "the data `DIR` of the node to ask")
	_ = c.RegisterFlagCompletionFunc("config", completeFiles("yaml", "yml"))
	groupFlags(c, whichNode, "config", "data-dir")
	c.Annotations = withEnv(c.Annotations, "MESH_NODE MESH_CONFIG KUBECONFIG")
	return f
}

func withEnv(a map[string]string, names string) map[string]string {
	if a == nil {
		a = map[string]string{}
	}
	a[annotationEnv] = names
	return a
}

// address is where to ask: --node, or else the socket in the data directory that --data-dir, --config,
// MESH_NODE, the usual config file or the default names, in this order. dir is empty when an address was
// given; it need not exist.
func (f *nodeFlags) address(e *env) (addr, dir string, err error) {
	if e.flags.node != "" && (f.config != "" || f.dataDir != "") {
		return "", "", &cliError{Code: "MESH-2002", What: "--node and --config or --data-dir exclude each other",
			Cause: "both say which node to ask", Next: []string{"the same command with one of them"}}
	}
	given := e.flags.node
	if given == "" && f.config == "" && f.dataDir == "" {
		given = e.getenv("MESH_NODE")
	}
	if given != "" {
		if err := admin.ParseAddr(given); err != nil {
			return "", "", &cliError{Code: "MESH-2002", What: err.Error(), Next: []string{"mesh status --node unix:.mesh/api.sock"}}
		}
		return given, "", nil
	}
	if dir, err = f.dir(e); err != nil {
		return "", "", err
	}
	return "unix:" + admin.SocketPath(dir), dir, nil
}

func (f *nodeFlags) dir(e *env) (string, error) {
	if f.dataDir != "" {
		return e.path(f.dataDir), nil
	}
	return configuredDataDir(e, f.config)
}

// client returns a client of the node to ask. The caller closes it.
func (f *nodeFlags) client(e *env) (*admin.Client, error) {
	if through, err := f.throughKubernetes(e); err != nil || through {
		if err != nil {
			return nil, err
		}
		return f.clientThroughKubernetes(e)
	}
	if e.flags.archive != "" {
		return archiveClient(e)
	}
	addr, _, err := f.address(e)
	if err != nil {
		return nil, err
	}
	return admin.NewClient(addr, e.flags.timeout)
}

// nodeError words what went wrong while asking a node.
func nodeError(e *env, err error) error {
	var (
		known       *cliError
		refused     *admin.Error
		unreachable *admin.UnreachableError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case kubeError(e, err) != nil:
		return kubeError(e, err)
	case errors.As(err, &refused):
		return &cliError{Code: refused.Code, What: refused.Message, Cause: refused.Cause, Next: refused.Next, Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &cliError{Code: "MESH-5001", What: fmt.Sprintf("the node did not answer within %s", e.flags.timeout),
			Cause: "it is busy, or stopped in the middle of something", Next: []string{"the same command with --timeout 60s"}, Err: err}
	case errors.As(err, &unreachable):
		return unreachableError(unreachable)
	}
	return err
}

func unreachableError(err *admin.UnreachableError) *cliError {
	cause := rootCause(err).Error()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		cause = "no such file; no node runs with this data directory"
	case errors.Is(err, syscall.ECONNREFUSED):
		cause = "connection refused; no node listens there"
	case errors.Is(err, fs.ErrPermission):
		cause = "permission denied; the node runs as another user"
	case strings.Contains(cause, "404 Not Found"):
		// What somebody tries first from another machine: the port is a node's, and it serves no API there.
		cause += "; the port for health and metrics tells more only with api.proxy: true"
	}
	return &cliError{
		Code:  admin.CodeUnreachable,
		What:  "cannot reach a mesh node at " + err.Addr,
		Cause: cause,
		Next:  []string{"mesh run --zone NAME", "or name another node: mesh status --node unix:" + filepath.Join("DIR", "api.sock")},
		Err:   err,
	}
}

// absent reports whether err says that no node runs there at all, rather than that it does not answer.
func absent(err error) bool {
	var unreachable *admin.UnreachableError
	return errors.As(err, &unreachable) && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED))
}

// sleep waits for d or the end of ctx, whose error it returns.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func nodeCodes() []errorCode {
	return []errorCode{
		{admin.CodeInternal, "the node met an internal error", "" +
			"The running node could not answer and wrote the reason into its log. The command itself is fine."},
		{admin.CodeBadRequest, "the node did not understand the request", "" +
			"A value in the request makes no sense to the node. With the command line of the same version this " +
			"does not happen; compare mesh version with the version that mesh status prints."},
		{admin.CodeUnreachable, "no node answers", "" +
			"Commands that inspect a node talk to its socket, api.sock in its data directory. They look for it at " +
			"--node, --data-dir, --config, MESH_NODE, the data_dir of the usual config file, and .mesh in the " +
			"working directory. Either no node runs there, or it runs as another user, or its data directory is " +
			"elsewhere."},
		{admin.CodeStarting, "the node is not ready to answer", "" +
			"It is still reading its store, or answers too many others at once. Try again in a moment; " +
			"mesh status --wait does it for you."},
		{"MESH-5101", "not ready and in sync before the deadline", "" +
			"mesh status --wait, or mesh adopt, waited as long as it was told and the node was not there yet. " +
			"The error names what is missing."},
		{admin.CodeForbidden, "the request is not allowed through this door", "" +
			"What changes state, and what holds Secrets, is served to the node's own user on its socket; some of " +
			"it on the loopback address of api.listen; nothing of it elsewhere."},
		{admin.CodeNotFound, "there is no such thing", "" +
			"The node knows no object, record or peer of that name. Objects are written KIND/NAMESPACE/NAME, " +
			"with the group behind the kind: Deployment.apps/default/web."},
		{admin.CodeConflict, "what was shown is not what is there now", "" +
			"Between the question and the answer something changed, so nothing was done. Look again and repeat."},
	}
}
