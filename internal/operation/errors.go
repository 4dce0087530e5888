package operation

// Reason says why an operation is invalid. The set is closed: it labels metrics.
type Reason string

// Reasons that p2panda has under the same names.
const (
	// UnsupportedVersion: the header version is not 1.
	UnsupportedVersion Reason = "UnsupportedVersion"
	// SignatureMismatch: the signature is not strictly valid for author and header.
	SignatureMismatch Reason = "SignatureMismatch"
	// SeqNumMismatch: a backlink at sequence number 0.
	SeqNumMismatch Reason = "SeqNumMismatch"
	// InconsistentPayloadInfo: a payload size without hash, or the other way round.
	InconsistentPayloadInfo Reason = "InconsistentPayloadInfo"
	// PayloadMismatch: the body is not the one that was signed.
	PayloadMismatch Reason = "PayloadMismatch"
	// TooManyAuthors: an operation follows one of another author.
	TooManyAuthors Reason = "TooManyAuthors"
	// SeqNumNonIncremental: the sequence number is not the one after.
	SeqNumNonIncremental Reason = "SeqNumNonIncremental"
	// BacklinkMissing: no backlink although the sequence number is above 0.
	BacklinkMissing Reason = "BacklinkMissing"
	// BacklinkMismatch: the backlink does not name the operation before.
	BacklinkMismatch Reason = "BacklinkMismatch"
)

// Reasons of our own, where p2panda has a decode error without a name or no limit.
const (
	// Malformed: the bytes are not the canonical encoding of a header.
	Malformed Reason = "Malformed"
	// InvalidKey: the author is no point of the curve, or one of small order.
	InvalidKey Reason = "InvalidKey"
	// UnsupportedExtensions: extensions other than version 1, variant 0 with their five fields.
	UnsupportedExtensions Reason = "UnsupportedExtensions"
	// TooLarge: a body above MaxBody.
	TooLarge Reason = "TooLarge"
)

// Reasons lists the whole set.
func Reasons() []Reason {
	return []Reason{
		UnsupportedVersion, SignatureMismatch, SeqNumMismatch, InconsistentPayloadInfo, PayloadMismatch,
		TooManyAuthors, SeqNumNonIncremental, BacklinkMissing, BacklinkMismatch,
		Malformed, InvalidKey, UnsupportedExtensions, TooLarge,
	}
}

// InvalidError reports an operation that must not be accepted: the fault of whoever sent it.
type InvalidError struct {
	Reason Reason
	Err    error // what is behind a Malformed or InvalidKey; nil otherwise
}

func (e *InvalidError) Error() string {
	s := "invalid operation: " + string(e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *InvalidError) Unwrap() error { return e.Err }

func malformed(err error) error { return &InvalidError{Reason: Malformed, Err: err} }
