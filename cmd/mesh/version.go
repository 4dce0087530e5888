package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is the release, set at link time: -ldflags "-X main.version=1.2.3".
var version = "dev"

// versionInfo says what is running.
type versionInfo struct {
	Version   string
	Revision  string // the commit, "-dirty" behind it when the tree had changes; empty when unknown
	GoVersion string
}

// buildVersion reads what the linker and the go command left in the binary.
func buildVersion() versionInfo {
	v := versionInfo{Version: version, GoVersion: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	v.Revision = settings["vcs.revision"]
	if v.Revision != "" && settings["vcs.modified"] == "true" {
		v.Revision += "-dirty"
	}
	return v
}

func newVersionCmd(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:         "version",
		Short:       "Print the version of mesh",
		Example:     "  mesh version\n  mesh version --short\n  mesh version -o json",
		Annotations: map[string]string{annotationExits: "0 2"},
	}
	short := c.Flags().Bool("short", false, "print the bare version number")
	format := addOutputFlag(c, formatText, formatJSON, formatYAML)
	c.RunE = func(*cobra.Command, []string) error {
		v := buildVersion()
		switch {
		case *short && *format != formatText:
			return usageError(c, "--short and -o "+*format+" exclude each other", "a bare number is no document")
		case *short:
			return e.printf("%s\n", v.Version)
		case *format == formatText:
			return e.printf("mesh      %s\nrevision  %s\ngo        %s\n", v.Version, orNone(v.Revision), v.GoVersion)
		}
		return e.printValue(*format, "Version", struct {
			Version   string  `json:"version"`
			Revision  *string `json:"revision"`
			GoVersion string  `json:"goversion"`
		}{v.Version, orNull(v.Revision), v.GoVersion})
	}
	return c
}

// orNull is the JSON form of a text that may be missing.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
