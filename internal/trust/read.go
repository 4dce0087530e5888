package trust

import (
	"errors"

	"dcp.hiro.io/mesh/internal/event"
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/operation"
)

// errNoTrust says that an operation is about something else.
var errNoTrust = errors.New("an operation that says nothing about trust in this network")

// Read reads a trust operation that was verified before.
func Read(header, body []byte) (Statement, error) {
	op, err := operation.Decode(header)
	if err != nil {
		return Statement{}, err
	}
	return statement(op, body)
}

// Verify reads a trust operation from elsewhere: canonical form, signature and body are checked, and that its log follows
// from what it says in this network. Whether its author has a say is for a Set to judge.
func Verify(network mesh.NetworkID, header, body []byte) (Statement, error) {
	op, err := operation.Decode(header)
	if err == nil {
		err = op.SetBody(body)
	}
	if err == nil {
		err = op.Verify()
	}
	if err != nil {
		return Statement{}, err
	}
	st, err := statement(op, body)
	if err == nil && mesh.LogIDOf(network, st.Event.Instance) != op.Log {
		err = errNoTrust
	}
	return st, err
}

func statement(op *operation.Operation, body []byte) (Statement, error) {
	ev, err := event.Decode(body)
	if err != nil {
		return Statement{}, err
	}
	if !ev.AboutTrust() {
		return Statement{}, errNoTrust
	}
	return Statement{ID: op.ID, Author: op.Author, Log: op.Log, Seq: op.Seq, Time: op.Timestamp, Event: ev}, nil
}
