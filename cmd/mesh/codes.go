package main

import "slices"

// errorCode explains one stable error code. Codes are only added: a number keeps its meaning for good.
type errorCode struct {
	Code  string // MESH-<exit code><three digits>
	Title string // what it means, in half a line
	Text  string // what to know and do, in whole sentences; lines are broken when printed
}

// errorCodes lists every code in order. Commands with many codes keep them in a function beside their code
// and join it here.
func errorCodes() []errorCode {
	codes := slices.Concat(generalCodes(), keyCodes(), secretCodes(), configCodes(), nodeCodes(), logCodes(), runCodes(), kubernetesCodes(), demoCodes(), tuiCodes(), inviteCodes(), rotateCodes(), joinCodes(), kubectlCodes(), doctorCodes(), objectCodes(), archiveCodes())
	slices.SortFunc(codes, func(a, b errorCode) int {
		if a.Code < b.Code {
			return -1
		}
		return 1
	})
	return codes
}

// findCode returns the entry of a code, and whether there is one.
func findCode(code string) (errorCode, bool) {
	all := errorCodes()
	i := slices.IndexFunc(all, func(c errorCode) bool { return c.Code == code })
	if i < 0 {
		return errorCode{}, false
	}
	return all[i], true
}

func generalCodes() []errorCode {
	return []errorCode{
		{"MESH-1001", "mesh met an internal error", "" +
			"Something happened that mesh was not prepared for. The error names a report file with the version, " +
			"the chain of causes and the stack; it holds neither keys nor your arguments. Run the command again " +
			"with --verbose to see the chain at once. If it stays, send the report to the developers."},
		{"MESH-1002", "the output could not be written", "" +
			"Standard output is closed or its disk is full. What the command did before it printed is done."},
		{"MESH-2002", "the command line is not understood", "" +
			"A command, flag, argument or value is unknown or missing. Nothing was attempted. Names are never " +
			"completed from a prefix; a near miss is suggested. mesh COMMAND --help shows flags and examples."},
		{"MESH-5001", "the deadline passed", "" +
			"The command had not finished when the time given by --timeout was over. Give it more time, or find " +
			"out with mesh status what the node is busy with."},
	}
}
