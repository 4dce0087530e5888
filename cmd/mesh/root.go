package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"dcp.hiro.io/mesh/internal/readable"
	"dcp.hiro.io/mesh/internal/typo"
)

// newRootCmd builds the whole tree for one call of run.
func newRootCmd(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:               "mesh",
		Short:             "Keep clusters in sync peer to peer",
		Args:              cobra.ArbitraryArgs, // unknown names are answered by runGroup
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	if e.plugin {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: pluginName}
	}
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	addGlobalFlags(e, root.PersistentFlags())
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { _ = e.printf("%s", e.helpText(c)) })

	root.Flags().Bool("version", false, "print the version, as mesh version --client does")

	root.AddCommand(commands(e)...)
	root.SetHelpCommand(find(root, "help"))
	refuseArchived(e, root)
	refuseKube(e, root)
	completeKube(e, root)
	_ = root.RegisterFlagCompletionFunc("node", cobra.FixedCompletions([]string{"unix:", "http://"}, cobra.ShellCompDirectiveNoSpace|cobra.ShellCompDirectiveNoFileComp))
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	walk(root, func(c *cobra.Command) {
		completeFlags(c)
		switch {
		case c.HasSubCommands() && !c.Runnable():
			c.Args = cobra.ArbitraryArgs
			c.RunE = runGroup(e)
			c.SetFlagErrorFunc(groupFlagError(c))
		case c.Args == nil:
			c.Args = takesArgs(0, 0)
		}
	})
	return root
}

// addGlobalFlags defines the flags that every command has.
func addGlobalFlags(e *env, fs *pflag.FlagSet) {
	e.flags.timeout = defaultTimeout
	e.flags.color = "auto"
	fs.StringVar(&e.flags.node, "node", "", "ask the node at `ADDR` (unix:PATH or http://HOST:PORT)")
	fs.StringVar(&e.flags.archive, "archive", "", "answer from a bundle, a `FILE` of mesh doctor --bundle")
	fs.Var((*positiveDuration)(&e.flags.timeout), "timeout", "give up after this `DURATION`")
	fs.Var(newChoice(&e.flags.color, "auto", "always", "never"), "color", "colour the output: auto, always or never")
	fs.BoolVar(&e.flags.noInput, "no-input", false, "never ask; fail where an answer is needed")
	fs.BoolVarP(&e.flags.quiet, "quiet", "q", false, "print no notes, only data, warnings and errors")
	fs.BoolVarP(&e.flags.verbose, "verbose", "v", false, "add the chain of causes to errors")
	fs.BoolP("help", "h", false, "show this help")
	addKubeFlags(e, fs)
}

// runGroup answers a command that only holds others: the overview or its help without arguments, an error
// with a suggestion otherwise.
func runGroup(e *env) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			return unknownCommand(c, args[0])
		case c.HasParent():
			return c.Help()
		case isSet(c, "version"):
			return printVersion(e, describeVersion(), formatText, false)
		}
		return e.printf("%s", e.helpText(c))
	}
}

// isSet reports whether a flag for yes or no says yes.
func isSet(c *cobra.Command, flag string) bool {
	on, err := c.Flags().GetBool(flag)
	return err == nil && on
}

// unknownCommand refuses a name that c has no command for.
func unknownCommand(c *cobra.Command, name string) error {
	var names []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			names = append(names, sub.Name())
		}
	}
	what := fmt.Sprintf("unknown command %q", name)
	next := c.CommandPath() + " --help"
	if near := typo.Closest(name, names); near != "" {
		what += fmt.Sprintf("; did you mean %q?", near)
		next = c.CommandPath() + " " + near + " --help"
	}
	return &cliError{
		Code:  "MESH-2002",
		What:  what,
		Cause: c.CommandPath() + " has: " + strings.Join(names, ", "),
		Next:  []string{next},
	}
}

// usageError says that a command line is not understood.
func usageError(c *cobra.Command, what, cause string) error {
	return &cliError{Code: "MESH-2002", What: what, Cause: cause, Next: []string{c.CommandPath() + " --help"}}
}

// flagError words what pflag complains about.
func flagError(c *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &unknown):
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			return usageError(c, "unknown flag -"+unknown.GetSpecifiedName()[:1], c.CommandPath()+" has no such flag")
		}
		return usageError(c, "unknown flag --"+unknown.GetSpecifiedName()+suggestFlag(c, unknown.GetSpecifiedName()),
			c.CommandPath()+" has no such flag")
	case errors.As(err, &missing):
		return usageError(c, flagName(missing.GetFlag())+" needs a value", "none was given")
	case errors.As(err, &invalid):
		what := fmt.Sprintf("%s does not take %q", flagName(invalid.GetFlag()), invalid.GetValue())
		if list, ok := invalid.GetFlag().Value.(interface{ allowed() []string }); ok {
			word, _, _ := strings.Cut(invalid.GetValue(), "=") // of a template only its kind may be mistyped
			what += didYouMean(word, list.allowed())
		}
		return usageError(c, what, rootCause(invalid).Error())
	}
	return usageError(c, err.Error(), "")
}

// exclusion is what cobra says where of several flags one may be set.
var exclusion = regexp.MustCompile(`^if any flags in the group \[.*\] are set none of the others can be; \[(\S+) (\S+)\] were all set$`)

// flagGroupError words what cobra complains about before a command runs.
func flagGroupError(c *cobra.Command, err error) error {
	if m := exclusion.FindStringSubmatch(err.Error()); m != nil {
		return usageError(c, "--"+m[1]+" excludes --"+m[2], "one of them at a time")
	}
	return usageError(c, err.Error(), "")
}

// groupFlagError is flagError for a command that only holds others. In `mesh stauts -o json` the flag is unknown
// because the command is, so that is what is said.
func groupFlagError(group *cobra.Command) func(*cobra.Command, error) error {
	return func(c *cobra.Command, err error) error {
		if c == group && c.Flags().NArg() > 0 {
			return unknownCommand(c, c.Flags().Arg(0))
		}
		return flagError(c, err)
	}
}

// suggestFlag completes "unknown flag --x" by the nearest flag there is.
func suggestFlag(c *cobra.Command, name string) string {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near := typo.Closest(name, names); near != "" {
		return "; did you mean --" + near + "?"
	}
	return ""
}

func flagName(f *pflag.Flag) string {
	if f.Shorthand != "" {
		return "-" + f.Shorthand + ", --" + f.Name
	}
	return "--" + f.Name
}

// rootCause is the innermost error of a chain.
func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// takesArgs accepts from least to most arguments; most < 0 means any number.
func takesArgs(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		n := len(args)
		if n >= least && (most < 0 || n <= most) {
			return nil
		}
		var want string
		switch {
		case most == 0:
			want = "no arguments"
		case least == most:
			want = readable.Count(least, "argument")
		case n < least:
			want = "at least " + readable.Count(least, "argument")
		default:
			want = "at most " + readable.Count(most, "argument")
		}
		return usageError(c, fmt.Sprintf("%s takes %s, got %d", c.CommandPath(), want, n), "usage: "+c.UseLine())
	}
}

// find returns the direct subcommand of that name, nil when there is none.
func find(c *cobra.Command, name string) *cobra.Command {
	for _, sub := range c.Commands() {
		if sub.Name() == name {
			return sub
		}
	}
	return nil
}

// completeValues completes a flag or argument from a fixed list.
func completeValues(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}

// choice is a flag value from a closed list.
type choice struct {
	value  *string
	values []string
}

// newChoice makes a flag of one of values, kept in p, whose present value is the default.
func newChoice(p *string, values ...string) *choice { return &choice{p, values} }

func (c *choice) String() string { return *c.value }
func (c *choice) Type() string   { return strings.Join(c.values, "|") }

// allowed lists what Set takes, for suggestions.
func (c *choice) allowed() []string { return c.values }

// Set accepts nothing but the listed values.
func (c *choice) Set(s string) error {
	for _, v := range c.values {
		if s == v {
			*c.value = s
			return nil
		}
	}
	return errors.New("want " + orList(c.values))
}

// positiveDuration is a flag such as 10s, always above zero.
type positiveDuration time.Duration

func (d *positiveDuration) String() string { return time.Duration(*d).String() }
func (d *positiveDuration) Type() string   { return "DURATION" }

// Set accepts what time.ParseDuration does, above zero.
func (d *positiveDuration) Set(s string) error {
	v, err := time.ParseDuration(s)
	if err != nil {
		return errors.New("want a number with a unit, such as 10s or 2m")
	}
	if v <= 0 {
		return errors.New("want more than 0s")
	}
	*d = positiveDuration(v)
	return nil
}
