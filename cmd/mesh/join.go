package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/keys"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/node"
	"dcp.hiro.io/mesh/internal/readable"
	"dcp.hiro.io/mesh/internal/replica"
	"dcp.hiro.io/mesh/internal/token"
)

// joinTimeout is how long mesh join takes at most: names that don't resolve and firewalls that swallow are waited for.
const joinTimeout = 30 * time.Second

// joinFlags are those of mesh join.
type joinFlags struct {
	tokenFile string
	zone      string
	config    string
	key       string
	folder    string
	run       bool
	dryRun    bool
	yes       bool
	timeout   time.Duration
	format    *string
}

func newJoinCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "join TOKEN|-",
		Short: "Join a mesh with an invitation",
		Example: "  mesh join meshinv1_qAEBAmdkZWZhdWx0A1gg11qY... --folder manifests --run\n" +
			"  cat west.token | mesh join - --zone west\n" +
			"  mesh join --token-file west.token --dry-run\n" +
			"  mesh join --token-file west.token -c /etc/mesh/config.yaml -y",
		Long: "Shows the token that mesh invite printed on another machine to the node that made it, and writes what that answers " +
			"into a config file: the mesh's id, the zone, the inviter and the other members. A missing key is made. A config file " +
			"that exists is edited in place, its comments kept, after the changes were shown and agreed to. The inviter is known by " +
			"the key in the token before it is told anything; a node with another key learns nothing. As long as the token is good, " +
			"the same command may be repeated with the same key. - reads the token from stdin.",
		Annotations: map[string]string{annotationExits: "0 1 2 5 6 130", annotationEnv: "MESH_CONFIG PRIVATE_KEY"},
		Args:        takesArgs(0, 1),
	}
	j := &joinFlags{timeout: joinTimeout}
	f := c.Flags()
	f.StringVar(&j.tokenFile, "token-file", "", "read the token from `FILE`")
	f.StringVar(&j.zone, "zone", "", "the `NAME` of this node's zone, where the token doesn't say it")
	f.StringVarP(&j.config, "config", "c", "", "write or edit this config `FILE`")
	f.StringVarP(&j.key, "private-key-path", "k", "", "the key `FILE` of the node; made if it is missing")
	f.StringVar(&j.folder, "folder", "", "let the manifests in `DIR` play the cluster of this node")
	f.BoolVar(&j.run, "run", false, "start the node afterwards, as mesh run does")
	f.BoolVar(&j.dryRun, "dry-run", false, "ask the inviter whether it would work; redeem and write nothing")
	f.BoolVarP(&j.yes, "yes", "y", false, "do not ask before a config file is edited")
	f.Var((*positiveDuration)(&j.timeout), "timeout", "give up after this `DURATION`")
	j.format = addOutputFlag(c, formatText, formatJSON)
	_ = c.RegisterFlagCompletionFunc("config", completeFiles("yaml", "yml"))
	groupFlags(c, "token", "token-file", "zone")
	groupFlags(c, "files", "config", "private-key-path", "folder", "yes")
	c.MarkFlagsMutuallyExclusive("run", "dry-run")
	c.RunE = func(c *cobra.Command, args []string) error {
		text, err := j.tokenText(e, c, args)
		if err != nil {
			return err
		}
		t, err := parseToken(text)
		if err != nil {
			return err
		}
		w := &joining{e: e, flags: j, token: t}
		switch err := w.prepare(); {
		case errors.Is(err, errDeclined):
			e.note("Nothing was changed.")
			return nil
		case err != nil:
			return err
		}
		if err := w.join(c.Context()); err != nil || !j.run {
			return err
		}
		return w.run(c.Context())
	}
	return c
}

// tokenText reads the token from where it is said to be, one of three places.
func (j *joinFlags) tokenText(e *env, c *cobra.Command, args []string) (string, error) {
	file := c.Flags().Changed("token-file")
	switch {
	case file && len(args) > 0:
		return "", usageError(c, "--token-file excludes TOKEN", "both give a token")
	case file && j.tokenFile == "", !file && (len(args) == 0 || args[0] == ""):
		return "", usageError(c, "no token was given", "want TOKEN, - for standard input, or --token-file FILE")
	case file && j.tokenFile != stdio:
		return e.readToken(j.tokenFile)
	case file || args[0] == stdio:
		return readLimited(e.stdin, "standard input")
	}
	return args[0], nil
}

// readToken reads the text of a token from a file.
func (e *env) readToken(name string) (string, error) {
	f, err := e.files.openFile(e.path(name), os.O_RDONLY, 0)
	if err != nil {
		return "", cannotReadToken(name, err)
	}
	defer f.Close()
	return readLimited(f, name)
}

func readLimited(r io.Reader, name string) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, token.MaxSize+1<<10)) // and some white space around it
	if err != nil {
		return "", cannotReadToken(name, err)
	}
	return string(b), nil
}

func cannotReadToken(name string, err error) error {
	return &cliError{Code: "MESH-2501", What: "cannot read the token in " + name, Cause: reason(err),
		Next: []string{"ls -l " + shellQuote(name), "mesh join TOKEN"}, Err: err}
}

// joining is one call of mesh join. prepare finds everything that can be wrong here before anybody is asked; join
// redeems, then writes.
type joining struct {
	e     *env
	flags *joinFlags
	token token.Token

	files nodeFiles
	key   keys.Private
	zone  mesh.Zone
	had   bool // there was a key
	out   node.Joined

	waiting string // what the inviter was last waited for; empty: nothing
}

// waitingFor is the inviter's own sentence.
func waitingFor(text string) string {
	if _, sentence, ok := strings.Cut(text, "): "); ok && strings.HasPrefix(text, "refused (") {
		return "the inviter says: " + sentence
	}
	return text
}

// prepare decides about zone, key and config, and asks where a config file is to be edited.
func (j *joining) prepare() error {
	if err := j.say("invite", j.inviteLine()); err != nil {
		return err
	}
	files, err := j.e.nodeFiles(j.flags.config, j.flags.key)
	if err != nil {
		return err
	}
	j.files = files
	if network, ok := j.files.network(); ok && network != j.token.Network {
		return &cliError{Code: "MESH-6505", What: "the invite " + j.token.ID + " is for another network", Cause: fmt.Sprintf("it is for %s, and network_id in %s is %s", oneLine(string(j.token.Network)), j.files.config, oneLine(string(network))),
			Next: []string{"take network_id out of " + j.files.config + ", then the same command again", "or with a key and config of its own: mesh join TOKEN -k other.key -c other.yaml"}}
	}
	if err := j.chooseZone(); err != nil {
		return err
	}
	if err := j.openKey(); err != nil {
		return err
	}
	if err := j.checkKey(); err != nil {
		return err
	}
	if err := j.files.checkStore(j.e, j.token.Network, j.zone, j.key.Public()); err != nil {
		return err
	}
	draft, _, err := j.files.edited(j.edit(nil))
	if err != nil {
		return err
	}
	if err := j.agree(draft); err != nil {
		return err
	}
	if j.flags.dryRun {
		return nil
	}
	if err := j.files.checkWritable(j.e); err != nil {
		return err
	}
	if !j.had {
		if _, err := j.e.writeKey(j.files.keyFile, j.key, false); err != nil {
			return err
		}
	}
	return nil
}

// chooseZone takes the zone of the token, the flag or the config.
func (j *joining) chooseZone() error {
	zone := mesh.Zone(j.flags.zone)
	if zone != "" {
		if _, err := mesh.ParseZone(j.flags.zone); err != nil {
			return &cliError{Code: "MESH-2002", What: fmt.Sprintf("--zone does not take %q", j.flags.zone), Cause: "want a DNS label: a-z, 0-9 and -, 1 to 63 characters", Next: []string{"mesh join --help"}}
		}
	}
	switch {
	case j.token.Zone != "" && zone != "" && zone != j.token.Zone:
		return otherZone(j.token, zone, "--zone")
	case j.token.Zone != "" && zone == "" && j.files.zone() != "" && j.files.zone() != j.token.Zone:
		return otherZone(j.token, j.files.zone(), "mesh.zone in "+j.files.config)
	case j.token.Zone != "":
		zone = j.token.Zone
	case zone == "":
		zone = j.files.zone()
	}
	if zone == "" {
		return &cliError{Code: "MESH-2002", What: "the invite " + j.token.ID + " names no zone", Cause: "whoever redeems it chooses a name for its cluster",
			Next: []string{"the same command with --zone NAME"}}
	}
	j.zone = zone
	return nil
}

// openKey reads the key, or makes one that is written when all is agreed.
func (j *joining) openKey() (err error) {
	j.key, j.had, err = j.files.readKey(j.e)
	if err != nil || j.had {
		return err
	}
	if !j.token.For.IsZero() {
		return &cliError{Code: "MESH-6507", What: "the invite " + j.token.ID + " is bound to another key",
			Cause: fmt.Sprintf("it is for the key %s, and there is no key in %s", readable.ShortID(j.token.For.String()), j.files.keyFile),
			Next:  []string{"mesh join TOKEN -k FILE, with that key", "or ask for an invite without --for"}}
	}
	if err := j.e.checkKeyDir(j.files.keyFile); err != nil {
		return err
	}
	j.key, err = keys.Generate(j.e.rand)
	return err
}

func (j *joining) checkKey() error {
	own := j.key.Public()
	switch {
	case own == j.token.Inviter:
		return &cliError{Code: "MESH-2502", What: "this node made the invite " + j.token.ID + " itself", Cause: "it is for another machine, with a key of its own",
			Next: []string{"mesh run", "or on this machine too: mesh join TOKEN -k other.key -c other.yaml"}}
	case !j.token.For.IsZero() && own != j.token.For:
		return &cliError{Code: "MESH-6507", What: "the invite " + j.token.ID + " is bound to another key",
			Cause: fmt.Sprintf("it is for the key %s, and this node has %s", readable.ShortID(j.token.For.String()), readable.ShortID(own.String())),
			Next:  []string{"mesh invite --for " + own.String() + ", on the inviter"}}
	}
	return nil
}

// edit is what the config is to say.
func (j *joining) edit(joined *node.Joined) config.Edit {
	ed := config.Edit{NetworkID: j.token.Network, KeyPath: j.files.keyPath, Zone: j.zone, Folder: j.flags.folder, Own: j.key.Public()}
	inviter := config.Node{Key: j.token.Inviter, Endpoints: endpoints(j.token.Endpoints)}
	if joined != nil && joined.InviterZone != j.zone {
		inviter.Zone = joined.InviterZone
	}
	ed.Nodes = append(ed.Nodes, inviter)
	if joined == nil {
		return ed
	}
	for _, c := range joined.Contacts {
		n := config.Node{Key: c.Key, Endpoints: endpoints(c.Endpoints), Zone: c.Zone}
		if n.Zone == j.zone {
			n.Zone = ""
		}
		ed.Nodes = append(ed.Nodes, n)
	}
	return ed
}

// endpoints keeps those that a config may name.
func endpoints(texts []string) (out []config.Endpoint) {
	for _, s := range texts {
		if at, err := config.ParseEndpoint(s, config.DefaultPort); err == nil {
			out = append(out, at)
		}
	}
	return out
}

// agree shows what becomes of a config file that exists, and asks.
func (j *joining) agree(draft []byte) error {
	if !j.files.exists || string(draft) == string(j.files.old) {
		return nil
	}
	if !j.flags.yes || j.flags.dryRun {
		j.e.note("%s", lineDiff(j.files.config, string(j.files.old), string(draft)))
	}
	if j.flags.yes || j.flags.dryRun {
		return nil
	}
	ok, err := j.e.confirm(fmt.Sprintf("Edit %s like this? Other members that the inviter names are added to nodes too.", j.files.config), "--yes")
	if err == nil && !ok {
		err = errDeclined
	}
	return err
}

// errDeclined says that whoever was asked did not agree.
var errDeclined = errors.New("declined")

// join redeems the invitation and writes the config.
func (j *joining) join(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, j.flags.timeout)
	defer cancel()
	out, err := j.e.join(limited, node.JoinConfig{Key: j.key, Token: j.token, Zone: j.zone, DryRun: j.flags.dryRun, Version: buildVersion().Version,
		Progress: func(s node.JoinStep) {
			if s.Stage == node.JoinWaiting {
				j.waiting = waitingFor(s.Text)
				j.e.note("waiting   %s", oneLine(j.waiting))
			}
		}})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if serr := j.sayWho(""); serr != nil {
			return serr
		}
		if j.waiting != "" && errors.As(err, new(*node.JoinUnreachable)) {
			err = &node.JoinRefused{Code: string(replica.DenialNotYet), Text: j.waiting} // it was reached, and time was over before it could answer
		}
		return joinError(j.token, j.zone, j.flags.timeout, err)
	}
	j.out = out
	var done config.Changed
	if !j.flags.dryRun {
		if done, err = j.files.write(j.e, j.edit(&out), j.edit(nil)); err != nil {
			return err
		}
	} else if _, done, err = j.files.edited(j.edit(&out)); err != nil {
		return err
	}
	return j.tell(done)
}

// run starts the node with what was written.
func (j *joining) run(ctx context.Context) error {
	o := config.Options{Path: j.files.config, RequireZone: true}
	if j.flags.key != "" {
		o.Overrides = append(o.Overrides, config.Override{Key: "private_key_path", Origin: "--private-key-path", Values: []string{j.flags.key}})
	}
	cfg, err := loadConfig(j.e, o)
	if err != nil {
		return err
	}
	return runNode(ctx, j.e, cfg, o, runOptions{strictPort: cfg.Kubernetes.InCluster})
}

// parseToken reads a token, and words why it is none.
func parseToken(text string) (token.Token, error) {
	t, err := token.Parse(text)
	switch {
	case err == nil:
		return t, nil
	case errors.Is(err, token.ErrVersion):
		return t, &cliError{Code: "MESH-6508", What: "the token is of a version that this mesh cannot read", Cause: err.Error(),
			Next: []string{"mesh version", "the same command with the version of mesh that the inviter runs"}, Err: err}
	}
	return t, &cliError{Code: "MESH-6504", What: "the token is not valid", Cause: strings.ReplaceAll(err.Error(), "\n", " "),
		Next: []string{"copy the whole line again", "or ask for a new one: mesh invite, on the inviter"}, Err: err}
}
