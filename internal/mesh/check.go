package mesh

// This file holds what `mesh doctor` finds out. Field names are the JSON contract; fields are only added.

// CheckStatus is the outcome of a check.
type CheckStatus string

// The outcomes, from the best to the worst. A check is skipped where something it needs is not there.
const (
	CheckOK   CheckStatus = "ok"
	CheckSkip CheckStatus = "skip"
	CheckWarn CheckStatus = "warn"
	CheckFail CheckStatus = "fail"
)

// CheckResult is what one check found out about one subject.
type CheckResult struct {
	Group   string      `json:"group"`             // config, key, system, network, peers, replication, kubernetes or observability
	ID      string      `json:"id"`                // stable, such as peers.reachable: its page is `mesh help peers.reachable`
	Subject string      `json:"subject,omitempty"` // a peer, an endpoint, a resource
	Status  CheckStatus `json:"status"`
	Message string      `json:"message"`         // one line, what is so
	Cause   string      `json:"cause,omitempty"` // one line, why
	Next    []string    `json:"next,omitempty"`  // commands to run
	Seconds float64     `json:"seconds"`         // how long it took
}

// Trace is the way of one object through the mesh, as one node sees it.
type Trace struct {
	Resource
	Steps []TraceStep `json:"steps"` // in the order of the way; the first that is not ok is what is missing
}

// TraceStep is one station on an object's way, such as owner, log, announced, held, merged or applied.
type TraceStep struct {
	Name    string      `json:"name"`
	Zone    Zone        `json:"zone,omitempty"` // where, if it is not here
	Status  CheckStatus `json:"status"`
	Message string      `json:"message"`
	Reason  string      `json:"reason,omitempty"` // of the decision, one word
	Next    []string    `json:"next,omitempty"`   // what unblocks it
}
