package node

import (
	"dcp.hiro.io/mesh/internal/mesh"
	"dcp.hiro.io/mesh/internal/replica"
)

// decision is how people are told of a decision. The text is about the object or the zone that the notice names.
type decision struct {
	kind  mesh.NoticeKind
	level string
	text  string
}

// decided has an entry for every reason.
var decided = map[replica.Reason]decision{
	replica.RefusedNotAdmitted:  {mesh.NoticeLog, mesh.LevelDebug, "refused: its author is no member here"},
	replica.RefusedZone:         {mesh.NoticeLog, mesh.LevelDebug, "refused: key and zone are not bound to each other"},
	replica.RefusedLogID:        {mesh.NoticeLog, mesh.LevelDebug, "refused: its log is none of this network and zone"},
	replica.RefusedUnreadable:   {mesh.NoticeLog, mesh.LevelDebug, "refused: an unreadable operation of a log that is not known"},
	replica.RefusedGap:          {mesh.NoticeLog, mesh.LevelDebug, "refused: operations before it are missing"},
	replica.RefusedVoid:         {mesh.NoticeLog, mesh.LevelDebug, "refused: it stands above the end of its log"},
	replica.RefusedCovered:      {mesh.NoticeLog, mesh.LevelDebug, "refused: a later log restates it"},
	replica.RefusedAside:        {mesh.NoticeLog, mesh.LevelDebug, "refused: its zone has too many logs"},
	replica.RefusedDelayed:      {mesh.NoticeLog, mesh.LevelDebug, "refused for now: new logs of its zone come too fast"},
	replica.RefusedStart:        {mesh.NoticeLog, mesh.LevelDebug, "refused: a log must begin with a snapshot"},
	replica.RefusedTrust:        {mesh.NoticeLog, mesh.LevelDebug, "refused: its author states too much about trust"},
	replica.RefusedBodyMissing:  {mesh.NoticeLog, mesh.LevelDebug, "not taken yet: its content is fetched by sync"},
	replica.RefusedOwnElsewhere: {mesh.NoticeLog, mesh.LevelDebug, "refused: this node's key signed it, and this node does not hold it"},
	replica.RefusedRemoved:      {mesh.NoticeLog, mesh.LevelDebug, "refused: its author was removed from the mesh"},
	replica.RefusedConflict:     {mesh.NoticeLog, mesh.LevelDebug, "refused: another key is bound to its zone too"},
	replica.RefusedSignature:    {mesh.NoticeLog, mesh.LevelDebug, "refused: its signature does not hold"},

	replica.Quarantined:     {mesh.NoticeLog, mesh.LevelWarn, "an operation is kept and passed on, but this version cannot read it"},
	replica.Forked:          {mesh.NoticeLog, mesh.LevelBad, "its key signed two histories; its log is frozen until a new one covers it"},
	replica.FalseSignature:  {mesh.NoticeLog, mesh.LevelBad, "its key signed what follows an operation that it never signed; its log is frozen until a new one covers it"},
	replica.RunInvalid:      {mesh.NoticeSnap, mesh.LevelBad, "a snapshot does not hold"},
	replica.SnapshotWritten: {mesh.NoticeSnap, mesh.LevelInfo, "snapshot written"},
	replica.SnapshotMerged:  {mesh.NoticeSnap, mesh.LevelDebug, "snapshot merged"},
	replica.NewIncarnation:  {mesh.NoticeLog, mesh.LevelWarn, "a new log begins"},
	replica.LogDropped:      {mesh.NoticeLog, mesh.LevelDebug, "a log that a later one restates was dropped"},
	replica.Refetched:       {mesh.NoticeLog, mesh.LevelInfo, "its log is fetched anew"},

	replica.ChangeSigned:    {mesh.NoticeMerge, mesh.LevelDebug, "published"},
	replica.DeleteSigned:    {mesh.NoticeMerge, mesh.LevelInfo, "its deletion is published"},
	replica.ReleaseSigned:   {mesh.NoticeMerge, mesh.LevelInfo, "released: it stays as it is, and nobody states it from here"},
	replica.Yielded:         {mesh.NoticeMerge, mesh.LevelInfo, "remote won"},
	replica.Adopted:         {mesh.NoticeMerge, mesh.LevelInfo, "adopted here"},
	replica.Restated:        {mesh.NoticeMerge, mesh.LevelDebug, "stated again"},
	replica.DriftCorrected:  {mesh.NoticeApply, mesh.LevelInfo, "altered here, and put back"},
	replica.DeleteHeld:      {mesh.NoticeMerge, mesh.LevelWarn, "its deletion is held by the mass-delete brake"},
	replica.DeletesAccepted: {mesh.NoticeMerge, mesh.LevelInfo, "held deletions were accepted"},
	replica.Contested:       {mesh.NoticeMerge, mesh.LevelWarn, "created by several zones; each keeps its copy until it is adopted"},
	replica.Withheld:        {mesh.NoticeMerge, mesh.LevelWarn, "not published: its labels name a zone that claims it"},
	replica.NotAllowed:      {mesh.NoticeMerge, mesh.LevelInfo, "kept from flowing by a rule"},
	replica.TooLarge:        {mesh.NoticeMerge, mesh.LevelWarn, "it cannot be published"},
	replica.ApplyFailed:     {mesh.NoticeApply, mesh.LevelBad, "it could not be written here"},
	replica.RefusedAdopt:    {mesh.NoticeMerge, mesh.LevelWarn, "it was not adopted"},
	replica.RefusedAccept:   {mesh.NoticeMerge, mesh.LevelWarn, "held deletions were not accepted: they are not those that were shown"},

	replica.ClusterReplaced: {mesh.NoticeKube, mesh.LevelBad, "the cluster was replaced or restored: what is missing in it is deleted nowhere else"},
	replica.StoreRestored:   {mesh.NoticeKube, mesh.LevelBad, "the store is older than the cluster: a new log begins"},
	replica.IdentityClash:   {mesh.NoticePeer, mesh.LevelBad, "this zone and a key are not bound to each other"},
	replica.Muted:           {mesh.NoticeLog, mesh.LevelBad, "another live node has this node's key: nothing is published any more"},
	replica.Removed:         {mesh.NoticePeer, mesh.LevelWarn, "its key was removed from the mesh"},
	replica.HandedOverTo:    {mesh.NoticePeer, mesh.LevelWarn, "its zone went to another key"},
	replica.InviteRedeemed:  {mesh.NoticeJoin, mesh.LevelInfo, "joined with an invitation"},
	replica.RefusedInvite:   {mesh.NoticeJoin, mesh.LevelWarn, "an invitation was not made"},
	replica.RefusedExpel:    {mesh.NoticePeer, mesh.LevelWarn, "it was not removed"},
	replica.RefusedHandOver: {mesh.NoticePeer, mesh.LevelWarn, "its zone was not handed over"},
	replica.Joined:          {mesh.NoticeSync, mesh.LevelInfo, "compared with the others: changes made here are published from now on"},
}
