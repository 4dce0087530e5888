package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/admin"
	"dcp.hiro.io/mesh/internal/mesh"
)

func newAdoptCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "adopt KIND/NAMESPACE/NAME",
		Short: "Take ownership of an object here",
		Example: "  mesh adopt ConfigMap/default/app\n" +
			"  mesh adopt Deployment.apps/default/web --dry-run\n" +
			"  mesh adopt Namespace/team -y",
		Long: "The zone of the asked node becomes the owner, at the next epoch. It goes on with its own copy if it " +
			"has one, else with that of the present owner. What loses is kept for 30 days: mesh log show --lost.",
		Annotations: map[string]string{annotationExits: "0 2 3 5 6"},
		Args:        takesArgs(1, 1),
	}
	node := addNodeFlags(c)
	c.ValidArgsFunction = only(1, node.completeObjects(e))
	yes := c.Flags().BoolP("yes", "y", false, "do not ask")
	dryRun := c.Flags().Bool("dry-run", false, "only show what is there")
	c.RunE = func(c *cobra.Command, args []string) error {
		key, err := mesh.ParseObjectKey(args[0])
		if err != nil {
			return usageError(c, err.Error(), "")
		}
		client, err := node.client(e)
		if err != nil {
			return err
		}
		defer client.Close()
		return nodeError(e, adopt(c.Context(), e, client, key, *yes, *dryRun))
	}
	return c
}

func adopt(ctx context.Context, e *env, client *admin.Client, key mesh.ObjectKey, yes, dryRun bool) error {
	before, err := client.Adopt(ctx, key, true)
	if err != nil {
		return err
	}
	if err := e.printf("%s", adoptionText(before)); err != nil {
		return err
	}
	if before.Done {
		e.note("%s is already owned by %s; nothing to do", before.Object, before.Zone)
		return nil
	}
	if dryRun {
		return nil
	}
	if !yes {
		ok, err := e.confirm(fmt.Sprintf("Make %s the owner of %s at epoch %d?", before.Zone, before.Object, before.Epoch+1), "--yes")
		if err != nil {
			return err
		}
		if !ok {
			e.note("Nothing was changed.")
			return nil
		}
	}
	if _, err := client.Adopt(ctx, key, false); err != nil {
		return err
	}
	return awaitAdoption(ctx, e, client, key)
}

// awaitAdoption asks until the object is owned there, at most for --timeout.
func awaitAdoption(ctx context.Context, e *env, client *admin.Client, key mesh.ObjectKey) error {
	ctx, cancel := context.WithTimeoutCause(ctx, e.flags.timeout, errWaited)
	defer cancel()
	state := "the node has not answered yet"
	for {
		now, err := client.Adopt(ctx, key, true)
		switch {
		case context.Cause(ctx) == errWaited:
			return &cliError{Code: "MESH-5101", What: fmt.Sprintf("%s was not adopted within %s", key, e.flags.timeout),
				Cause: state, Next: []string{"mesh adopt --dry-run " + key.String(), "mesh status"}}
		case err != nil:
			return err
		case now.Done:
			e.note("adopted %s: owner %s, epoch %d", now.Object, now.Owner, now.Epoch)
			return nil
		}
		state = fmt.Sprintf("owner %s, state %s %s", orNone(string(now.Owner)), now.State, now.Detail)
		_ = sleep(ctx, waitEvery) // the end of ctx is told apart above
	}
}

// adoptionText shows owner, state and how far the copies are apart.
func adoptionText(a mesh.Adoption) string {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "%-11s %s\n", name, oneLine(value)) }
	line("object", a.Object)
	owner := "nobody"
	if a.Owner != "" {
		owner = fmt.Sprintf("%s, epoch %d, version %d", a.Owner, a.Epoch, a.Version)
	}
	line("owner", owner)
	state := a.State
	if a.Detail != "" {
		state += ": " + a.Detail
	}
	line("state", state)
	claims := make([]string, len(a.Claims))
	for i, z := range a.Claims {
		claims[i] = string(z)
	}
	line("claims", orNone(strings.Join(claims, ", ")))
	line("divergence", divergence(a))
	return b.String()
}

func divergence(a mesh.Adoption) string {
	switch {
	case a.Against == "":
		return "none, nobody else has a copy"
	case !a.HasCopy:
		return fmt.Sprintf("none, %s has no copy of its own", a.Zone)
	case len(a.Differs) == 0:
		return fmt.Sprintf("none, the copies of %s and %s are the same", a.Zone, a.Against)
	}
	return fmt.Sprintf("the copy of %s differs from that of %s in %s", a.Zone, a.Against, strings.Join(a.Differs, ", "))
}
