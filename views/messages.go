package views

// Messages after an action, shown once on the next page. The verbs are for
// names.
const (
	DoneRenamed          = "Your name is %s now."
	DonePassword         = "Your password was changed, and you were signed out everywhere else."
	DoneSignedOut        = "You have signed out."
	DoneSignedOutAll     = "You have signed out everywhere."
	DoneAgentRevoked     = "The agent token %s is revoked."
	DoneForgotten        = "%s is forgotten. If its agent still runs, it comes back."
	DoneCredentials      = "The credentials for %s are saved."
	DoneNoCredentials    = "The credentials for %s are removed."
	DoneDeployment       = "%s is added. Deploy its DAGs now."
	DoneCancelled        = "Deploy #%d is cancelled. Nothing has changed."
	DoneInvitation       = "The invitation is revoked: its link no longer works."
	DoneRole             = "The role of %s is %s now."
	DoneLeft             = "You have left the Workspace."
	DoneRemoved          = "%s is no longer in this Workspace."
	DoneSettings         = "The settings are saved."
	DoneRegistered       = "%s is registered as what runs today."
	DoneImageRuns        = "Airflow runs the image %s: noted."
	DoneNoApplyCommand   = "This machine runs no command to apply images."
	DoneApplyCommand     = "This machine runs %s to apply images."
	DoneSwitchWaits      = "The switch waits its turn: DAG-only deploys will be turned %s."
	DoneSwitched         = "DAG-only deploys are %s."
	DoneSwitchCancelled  = "The switch is cancelled. Nothing has changed."
	DoneSetUp            = "Slipway is set up. Deploy your first DAGs below."
	DoneTokenRevoked     = "The token %s is revoked."
	DoneWorkspace        = "The Workspace %s was created. Invite its people."
	DoneWorkspaceRenamed = "The Workspace is named %s now."
	DoneWorkspaceDeleted = "The Workspace %s is deleted."
	DoneSessionsEnded    = "%s is signed out everywhere."
	DoneDisabled         = "The account of %s is disabled. Ended: %s."
	DoneEnabled          = "%s can sign in again."
	DoneNewPassword      = "Your new password is set. Sign in with it."
	DoneOwner            = "You are an Owner of %s now."
)

// Titles of pages.
const (
	TitleRevokeAgent = "Revoke an agent token"
	TitleNewPassword = "Set a new password"
	TitleAuthorize   = "Allow the astro CLI"
	TitleFailure     = "This did not work"
)
