package main

import (
	"errors"
	"strings"

	"dcp.hiro.io/mesh/internal/config"
	"dcp.hiro.io/mesh/internal/logging"
)

// loadConfig reads the configuration and tells its warnings.
func loadConfig(e *env, o config.Options) (*config.Config, error) {
	if o.Path != "" {
		o.Path = e.path(o.Path)
	}
	o.Environ = e.environ()
	o.CheckLogLevel = func(filter string) error {
		_, err := logging.ParseFilter(filter)
		return err
	}
	cfg, warnings, err := config.Load(o)
	for _, w := range warnings {
		e.warn("%s", w)
	}
	if err != nil {
		return nil, configError(err)
	}
	return cfg, nil
}

// configError words a configuration that was refused.
func configError(err error) error {
	var (
		problems *config.Error
		unread   *config.FileError
	)
	switch {
	case errors.As(err, &problems):
		next := "mend that, then: mesh run --check-config"
		switch {
		case zoneAloneMissing(problems):
			next = "mesh run --zone NAME" // what a first mesh run lacks, mostly without a file that could be mended
		case problems.File != "":
			next = "fix the lines above, then: mesh run --check-config -c " + shellQuote(problems.File)
		}
		return &cliError{Code: "MESH-2001", What: problems.Title(), Details: detailLines(problems), Next: []string{next}}
	case errors.As(err, &unread):
		return &cliError{Code: "MESH-2005", What: "cannot read the config " + unread.Path, Cause: reason(unread.Err),
			Next: []string{"ls -l " + shellQuote(unread.Path), "mesh help config"}, Err: err}
	}
	return err
}

// zoneAloneMissing reports whether nothing but the name of the zone is lacking.
func zoneAloneMissing(e *config.Error) bool {
	return len(e.Problems) == 1 && e.More == 0 && e.Problems[0].Path == "mesh.zone" && e.Problems[0].Origin.Layer == config.FromDefault
}

// detailLines are the problems without the indent that failText adds itself.
func detailLines(e *config.Error) []string {
	lines := strings.Split(strings.TrimRight(e.Details(), "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, "  ")
	}
	return lines
}

// configuredDataDir is the data directory that a config file, the environment or the default names.
func configuredDataDir(e *env, file string) (string, error) {
	cfg, err := loadConfig(e, config.Options{Path: file})
	if err != nil {
		return "", err
	}
	return e.path(cfg.DataDir), nil
}

func configCodes() []errorCode {
	return []errorCode{
		{"MESH-2001", "the configuration is invalid", "" +
			"Every problem is listed with file, line and column, or with the variable or flag it stands in. " +
			"Nothing was started. mesh run --check-config looks again; config.example.yaml in the repository and " +
			"mesh help config describe the keys."},
		{"MESH-2005", "the config file cannot be read", "" +
			"The file that --config or MESH_CONFIG names is missing, not readable for this user, not a regular " +
			"file, or larger than a configuration can be."},
	}
}
