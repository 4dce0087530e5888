package config

import (
	"fmt"
	"log/slog"
	"strings"
)

// keyVariable holds the private key itself, for places where a file is hard to provide.
const keyVariable = "PRIVATE_KEY"

// KeySource says where the private key is. It prints without the key.
type KeySource struct {
	// Path is the key file; empty if the key is in the environment.
	Path   string
	Origin Origin

	// A function, because fmt prints unexported fields without asking their methods.
	secret func() string
}

// Secret returns the text of the variable PRIVATE_KEY (hex or PEM) if the key comes from there.
func (k KeySource) Secret() (string, bool) {
	if k.secret == nil {
		return "", false
	}
	return k.secret(), true
}

func (k KeySource) String() string {
	if k.secret != nil {
		return keyVariable + " [secret]"
	}
	return k.Path
}

// LogValue keeps slog from looking inside.
func (k KeySource) LogValue() slog.Value { return slog.StringValue(k.String()) }

// keySource decides between flag, PRIVATE_KEY, the other places of private_key_path, and the default.
func (l *loader) keySource(variable string, given bool) {
	at := l.cfg.origins["private_key_path"]
	path := l.cfg.PrivateKeyPath
	if path == "" {
		path = DefaultKeyFile
	}
	l.cfg.Key = KeySource{Path: path, Origin: at}
	from := Origin{FromEnvironment, keyVariable}
	switch {
	case !given:
	case at.Layer == FromFlag:
		l.warn(fmt.Sprintf("%s is ignored: %s names the key file", keyVariable, at.Name))
	case strings.TrimSpace(variable) == "":
		// A key that is missing by mistake must not become a new identity.
		l.report(mark{origin: from}, "", "the variable is set but empty; unset it or put the key there", "")
	default:
		if at.Layer == FromEnvironment {
			l.warn(fmt.Sprintf("%s is ignored: %s holds the key itself", at.Name, keyVariable))
		}
		l.cfg.Key = KeySource{Origin: from, secret: func() string { return variable }}
	}
}

// looksSecret recognises a private key in the forms people paste: hex or PEM.
func looksSecret(s string) bool {
	t := strings.TrimSpace(s)
	return strings.Contains(t, "PRIVATE KEY") ||
		len(t) == 64 && strings.Trim(t, "0123456789abcdefABCDEF") == ""
}
