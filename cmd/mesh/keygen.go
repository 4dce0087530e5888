package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"dcp.hiro.io/mesh/internal/keys"
)

// keygenOptions are the flags and the argument of keygen.
type keygenOptions struct {
	file      string // where to write; "-" is stdout
	public    string // print the public half of this key
	importSrc string // convert this key
	force     bool
	rotate    string // give the node of this key file a new key
	toSecret  string // [NS/]NAME of the Secret to write to
	context   string // of the kubeconfig, for toSecret
	format    *string
}

// keyDocument is what keygen tells about a key. It never holds the private half.
type keyDocument struct {
	PublicKey string  `json:"publicKey"`
	PeerID    string  `json:"peerId"`
	File      *string `json:"file"`             // null when the key came from standard input
	Secret    string  `json:"secret,omitempty"` // NS/NAME
	Created   bool    `json:"created"`          // whether this run wrote the file or Secret
	Backup    string  `json:"backup,omitempty"`

	// Of a rotation: the file with the hand-over, and the public key that signed it.
	HandOver     string `json:"handOver,omitempty"`
	FormerPublic string `json:"formerPublicKey,omitempty"`
}

func newKeygenCmd(e *env) *cobra.Command {
	var o keygenOptions
	c := &cobra.Command{
		Use:   "keygen [FILE|-]",
		Short: "Make, read or convert the key of a node",
		Long: "Writes a new private key to FILE (" + keyFileName + " unless named) with mode 0600 and never " +
			"overwrites one. - prints it to stdout instead. Keys are read as 64 hex digits, PKCS#8 in PEM or DER, " +
			"or libp2p's protobuf, recognised by their content. --to-secret puts the key into a Secret of a Kubernetes " +
			"cluster instead, that of the pod or of the kubeconfig, under the name " + secretKeyName + "; a Secret that " +
			"exists is left alone. --rotate gives the node of a key file a new key and keeps the old one beside it; started " +
			"again, the node takes its store over and shows the hand-over, which the old key signed, to the others.",
		Example: "  mesh keygen\n" +
			"  mesh keygen --public private.key\n" +
			"  openssl genpkey -algorithm ed25519 | mesh keygen --import - east.key\n" +
			"  mesh keygen --rotate private.key",
		Annotations: map[string]string{annotationExits: "0 1 2 3 6", annotationEnv: "KUBECONFIG"},
		Args:        takesArgs(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			o.file = keyFileName
			if len(args) == 1 {
				o.file = args[0]
			}
			if err := o.check(c, len(args) == 1); err != nil {
				return err
			}
			if o.toSecret != "" {
				want, err := parseSecretName(c, o.toSecret)
				if err != nil {
					return err
				}
				return keygenToSecret(c.Context(), e, o, want)
			}
			if o.rotate != "" {
				return rotate(e, o)
			}
			return keygen(e, o)
		},
	}
	c.ValidArgsFunction = only(1, completeFiles())
	c.Flags().StringVar(&o.public, "public", "", "print the public key and peer id of the key in `SRC` (- is stdin)")
	c.Flags().StringVar(&o.importSrc, "import", "", "take the key from `SRC` (- is stdin) instead of making one")
	c.Flags().BoolVar(&o.force, "force", false, "replace FILE, renaming it to FILE.bak-TIME first")
	c.Flags().StringVar(&o.rotate, "rotate", "", "replace the key in `FILE` and sign the hand-over to the new one")
	c.Flags().StringVar(&o.toSecret, "to-secret", "", "put the key into the Secret `[NS/]NAME` unless it exists")
	c.Flags().StringVar(&o.context, "context", "", "the `NAME` of the kubeconfig's context for --to-secret")
	o.format = addOutputFlag(c, formatText, formatJSON)
	return c
}

// check refuses combinations that contradict each other.
func (o keygenOptions) check(c *cobra.Command, named bool) error {
	given := func(flag string) bool { return c.Flags().Changed(flag) }
	switch {
	case given("to-secret") && (named || given("public") || o.force):
		return usageError(c, "--to-secret excludes FILE, --public and --force", "it writes no file and replaces nothing")
	case given("context") && !given("to-secret"):
		return usageError(c, "--context has a meaning with --to-secret only", "nothing else here asks a cluster")
	case given("rotate") && (named || given("public") || given("to-secret")):
		return usageError(c, "--rotate excludes FILE, --public and --to-secret", "it replaces the key in the file that it names")
	case given("rotate") && (o.rotate == "" || o.rotate == stdio):
		return usageError(c, "--rotate needs the name of a key file", "the hand-over is written beside it")
	case given("to-secret") && o.toSecret == "":
		return usageError(c, "--to-secret is empty", "it names a Secret, as NAME or NAMESPACE/NAME")
	case named && o.file == "", given("public") && o.public == "", given("import") && o.importSrc == "":
		return usageError(c, "the file name is empty", "FILE and SRC name a file, or - for the standard streams")
	case given("public") && (given("import") || o.force):
		return usageError(c, "--public writes nothing, so --import and --force have no place beside it",
			"it prints the public key and peer id of SRC")
	case given("public") && named:
		return usageError(c, "--public writes no file, got FILE "+o.file, "it prints the public key and peer id of SRC")
	case o.file == stdio && o.force:
		return usageError(c, "--force has no meaning for stdout", "there is no file to replace")
	case o.file == stdio && *o.format != formatText:
		return usageError(c, "- and -o "+*o.format+" exclude each other",
			"a private key is never printed together with anything else")
	}
	return nil
}

func keygen(e *env, o keygenOptions) error {
	if o.public != "" {
		k, err := e.readKey(o.public)
		if err != nil {
			return err
		}
		doc := describeKey(k.Public())
		if o.public != stdio {
			doc.File = &o.public
		}
		return printKey(e, *o.format, doc)
	}
	k, err := newOrImported(e, o.importSrc)
	if err != nil {
		return err
	}
	if o.file == stdio {
		e.warnIfReadable()
		return e.printf("%s\n", k.Hex())
	}
	backup, err := e.writeKey(o.file, k, o.force)
	if err != nil {
		return err
	}
	doc := describeKey(k.Public())
	doc.File, doc.Created, doc.Backup = &o.file, true, backup
	if *o.format != formatText {
		return printKey(e, *o.format, doc)
	}
	if backup != "" {
		e.note("kept the old key as %s", backup)
	}
	e.note("wrote %s (%04o). Keep it secret and backed up: it is this node's identity.", o.file, keyFileMode)
	if err := printKey(e, *o.format, doc); err != nil {
		return err
	}
	next := "mesh run --zone NAME"
	if o.file != keyFileName {
		next += " -k " + shellQuote(o.file)
	}
	e.note("next        %s", next)
	return nil
}

func newOrImported(e *env, src string) (keys.Private, error) {
	if src != "" {
		return e.readKey(src)
	}
	k, err := keys.Generate(e.rand)
	if err != nil {
		return keys.Private{}, fmt.Errorf("read the system's random source: %w", err)
	}
	return k, nil
}

func describeKey(p keys.Public) keyDocument {
	return keyDocument{PublicKey: p.String(), PeerID: p.PeerID()}
}

func printKey(e *env, format string, doc keyDocument) error {
	if format == formatText {
		return e.printf("public key  %s\npeer id     %s\n", doc.PublicKey, doc.PeerID)
	}
	return e.printValue(format, "Key", doc)
}
