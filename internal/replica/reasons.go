package replica

// Reason names a decision. The set is closed: it labels metrics.
type Reason string
