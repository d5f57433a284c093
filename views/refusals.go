package views

// Refusals of a person's request, each with the next step where one exists. The
// verbs are for the refused value.
const (
	WrongPassword   = "The current password is wrong. Nothing was changed."
	WrongSignIn     = "Email address or password is wrong."
	NeedsSignIn     = "Sign in to go on."
	TooManyLive     = "You have %d live pages open. Close some of them."
	TooManyRequests = "Your network has %d requests open here. Wait for some of them to end."
	OtherSite       = "This was sent from another site and has been refused. Open Slipway and try again there."
	OtherSiteThan   = "This was sent from another site and has been refused. Open %s and try again there."
	PerhapsProxy    = "If the page was Slipway's own, a proxy in front of Slipway changes the address: start Slipway with --url and the address that people open."
	NoSetup         = "This set-up link does not work: it has been used, or Slipway was started again since. Slipway prints the link that works when it starts."

	LoginCallback  = "A login can only go back to %s."
	LoginCode      = "A login needs response_type=code and code_challenge_method=S256."
	LoginChallenge = "A login needs a code_challenge. Start it again."
	LoginDenied    = "The login was not allowed."

	NoAddress        = "There is nothing at this address."
	NoMethod         = "This address does not take requests of this kind."
	NoTus            = "Uploads here speak version 1.0.0 of the tus protocol. Send the header Tus-Resumable: 1.0.0."
	NoTusType        = "The bytes of an upload come with the header Content-Type: application/offset+octet-stream."
	NoDocument       = "There is no document %q."
	NoDeploy         = "There is no such deploy."
	NoDeployNamed    = "There is no deploy %q."
	NoTokenNow       = "There is no such API token any more. Make a new one."
	NoSwitch         = "There is no such switch."
	NoVersion        = "There is no DAG bundle version of this name."
	NoVersionDeploy  = "There is no DAG bundle version and no deploy %q."
	NoFolder         = "There is no folder %q in this version."
	NoFile           = "There is no file %q in this version."
	NoFileNow        = "There is no file %q in the version that is current."
	NoFileEver       = "There is no file %q in the history: no deploy that went live had it."
	NoContentOfLink  = "%q is a link: it has no content of its own."
	NoDifference     = "Between these versions nothing is different there."
	NoFileDifference = "The file %q is the same in both versions, or in neither of them."
	TooManyTicks     = "You ticked %d deploys, and a comparison is of two. Choose them here, or go back and tick two."
	NoFileChanged    = "The file %q is not changed here."
	NeverLive        = "Deploy #%d never went live: there is no version to compare."
)

// Refusals of a form.
const (
	FormUnread     = "The form could not be read. Send it again."
	FormTooLarge   = "This form is too large: it may have %s."
	FormNoFiles    = "Send the files as a form of the type multipart/form-data."
	FormBroken     = "The upload broke off. Send it again."
	FormFiles      = "These are too many files for a form. Pack them, and upload the archive."
	FormFilesSize  = "The files are larger than %s together."
	FormFieldsSize = "The fields of the form are larger than %s together."

	ChooseFile    = "Choose a file first."
	ChooseFiles   = "Choose an archive, files or a folder first."
	ChooseDAGs    = "Choose the DAGs that go with the image: an archive, files or a folder."
	ChooseArchive = "Choose the archive of an image first."
	ChooseTag     = "Choose one of the pushed tags, or push an image first."
	ChooseRef     = "Type the reference of an image, like quay.io/team/airflow:1.2."
	ChooseSource  = "Choose where the image comes from."
	ChooseExpiry  = "Choose when the token expires."
	ChooseKind    = "Tick at least one kind of deploy that the token may make."
	ChooseOnOff   = "DAG-only deploys can be turned on or off."
	NoSuchFolder  = "Name a folder inside dags, like team_b, or leave the field empty for a token that changes all of dags."
	TickDisable   = "Tick that the account %s is to be disabled."
	TickAtHand    = "Tick that you have the latest version of the project, in case you need to deploy it."

	NotNumber    = "%s must be a whole number."
	KeepDays     = "The days for which versions are kept"
	KeepVersions = "The number of versions that are kept"
	NotDay       = "“%s” is no day. Write it as 2006-01-31."
	NoFormat     = "There is no format %q. The formats are csv and ndjson."
	NotTime      = "“%s” is no date or time. Write it as %s, or with T15:04 for a time."
)
