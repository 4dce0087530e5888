package kubetest

import "crypto/rand"

// Option changes how a server is started.
type Option func(*config)

type config struct {
	name  string
	flags []string
	users []user
	audit bool
	pods  bool
}

// Name gives the cluster a name, which is also the context's in kubeconfig files. Default: kubetest.
func Name(name string) Option { return func(c *config) { c.name = name } }

// Flags adds flags to kube-apiserver's; the last of those that take one value wins.
func Flags(flags ...string) Option {
	return func(c *config) { c.flags = append(c.flags, flags...) }
}

// User adds a user, who has no right but those that RBAC gives to the name and the groups. [Server.UserToken] is what
// the user shows.
func User(name string, groups ...string) Option {
	return func(c *config) { c.users = append(c.users, user{name: name, groups: groups, token: rand.Text()}) }
}

// Audit writes one line of JSON (audit.k8s.io/v1 Event, at level Metadata) per request that ended to
// [Server.AuditLog].
func Audit() Option { return func(c *config) { c.audit = true } }

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
`
