// Package trust judges who belongs to a mesh, from the signed statements of its members.
//
// All members are equal administrators: each may admit keys, bind them to zones, remove others and hand zones over
// to new keys. A Set collects such statements; a View is what they come to. Everything a View says is a function of
// the statements and of this node's own admissions (self and what SetLocal names, the roots), and neither of the
// order in which statements came nor of any clock. The package verifies no signature and holds no bytes of
// operations: who adds a statement has verified it.
//
//	statements --Add, Load--> Set --Statements, Digest--> other nodes, snapshots
//	local admissions --SetLocal-->    --Changes--> the store
//	                                  --View--> members, zones, cuts
//
// # What stands
//
// A key has a say if it is a root, or if an admission of it or a hand-over to it stands. A statement stands if its
// author has a say and no cut voids it.
//
//   - A removal that carries a cut, and a hand-over, cut a key: it is expelled for good, no admission and no
//     configuration brings it back, and of its logs only what the cut names stands. At the height of a cut that is
//     the operation named, in a log that the cut doesn't name nothing. Of several cuts the lower holds, log by log.
//     Whom the key had admitted up to there stays.
//   - A removal without a cut is a proposal: it expels nobody, but the node that made it takes the key for no member.
//   - No statement is voided by the cut that it carries: the old key itself may hand its zone over, or leave.
//   - A removal beyond its author's cut still counts against keys whose own removals of that author count. So two who
//     remove each other are both out, and who comes first gains nothing.
//   - Cutters (removals with a cut, hand-overs) that void each other in a longer circle all count; what a member of
//     a circle voids outside is void. In a circle a hand-over expels, as it would if it stood, but a void one
//     admits nobody and binds nothing: else a removed key could hand its remover's zone to a helper.
//   - A circle may lead through admissions: a removed key admits, beyond its cut, a helper, who removes the remover.
//     Both are out then, as if they had removed each other, and the helper is nobody: its other statements are void.
//
// # How that is found
//
// For any cutters assumed to count, what stands given their cuts is a simple closure; the more of them count, the
// less stands. Starting with none, what stands given what is possible is certain, and what stands given what is
// certain is possible, until neither moves: the well-founded model of the rules. What is possible but not certain
// by then depends on itself. Among that, those circles which depend on no other are let count, and the rest is
// judged again (judge.go, circle.go).
//
// # Zones
//
// A member is bound to the zone of its local admission, else to the one that standing statements name; with several
// it is bound to none (TwoZones). Of the members of a zone the one with the hand-over of the highest generation has
// it, so a zone that was handed over once is not to be had by a mere admission. Of two with the same generation
// neither has it (TwoHandOvers, or TwoKeys without any). A local binding thus decides which zone its key stands for
// on this node, but takes no zone from another key; Diverging lists what doesn't agree.
//
// # What is exchanged
//
// Two nodes with the same roots that give each other their Statements end with the same ones, whatever each had
// heard of first, and so with the same views. Exchanged is
//
//   - what is possible, as above: the rest can be left out without changing any judgement;
//   - of the rest the removals by keys that have a say, which may count against a key that removes their author
//     later;
//   - and what admits or cuts by keys that would be known if nothing were void, since two void statements together
//     may make a circle. A removed key could make up any number of these: only so many are passed on.
//
// Statements of unknown keys wait, and so do those that became void, as long as there is room: they are taken when
// the view changes in their favour.
//
// Roots differ from node to node until everybody has stated its own as admissions; until then their sets may differ
// by what only they know.
//
// # What the set can't know
//
// Whether a statement below a cut is really part of the log that the cut names is not to be seen from the set:
// whoever holds a removed key can sign a statement with a low sequence number. Only who holds that part of the log,
// or a snapshot of its author that restates all it had said before, can tell and refuse it.
package trust
