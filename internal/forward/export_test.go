package forward

const (
	MaxFlows = maxFlows
	MaxConns = maxConns
)

func (f *Forwarder) Flows() int { return f.flows.count() }
