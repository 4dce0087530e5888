package main

import "github.com/spf13/cobra"

// commands lists every command that mesh has. A new command is added here and nowhere else: help, the
// overview, completion and the tests walk this tree.
func commands(e *env) []*cobra.Command {
	return []*cobra.Command{
		newDemoCmd(e),
		newKeygenCmd(e),
		newRunCmd(e),
		newInviteCmd(e),
		newJoinCmd(e),
		newStatusCmd(e),
		newDoctorCmd(e),
		newPeersCmd(e),
		newTUICmd(e),
		newLogCmd(e),
		newAdoptCmd(e),
		newCRDCmd(e),
		newCompletionCmd(e),
		newVersionCmd(e),
		newHelpCmd(e),
	}
}
