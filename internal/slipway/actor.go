package slipway

// Actor is who asks for something: a person, or an API token.
type Actor struct {
	User  UserID
	Token TokenID // "" for a person
	Kinds Kinds   `json:"-"` // of deploy that the token may make
	// Secret is the SHA-256, hex, of the secret by which the token was presented:
	// once the token is rotated, a request that began with the old one may do
	// nothing more. "" where a record names the token.
	Secret string `json:"-"`
	Name   string // as it was when they acted: "Ada Lovelace", or a token's name
	Via    Via
	IP     string // the client's address, as the portal saw it
}

// Via says by which door a request came.
type Via string

// The doors, as they are stored and shown.
const (
	Portal Via = "portal"
	API    Via = "API"
	Local  Via = "command line" // slipway on the portal's own machine
)

// Title returns how the pages name a: "token ci-sales" for a token.
func (a Actor) Title() string {
	if a.Token != "" {
		return "token " + a.Name
	}
	return a.Name
}

// Event is an entry of the audit trail: who did what to what, from where, when.
type Event struct {
	Workspace  WorkspaceID  // "" where it concerns the whole Organization
	Deployment DeploymentID // "" where it concerns none
	Action     string       // a verb and a noun, "deploy.confirm"
	Target     string       // the name of what was acted on, as it was then
	Detail     string       // one line
}

// Allows refuses a kind of deploy that a's token is not for.
func (a Actor) Allows(kind DeployKind) error {
	if a.Token == "" || a.Kinds.Has(kind) {
		return nil
	}
	return Errorf(Forbidden, "This API token may only make deploys of the kind %s. Use another one, or ask a Workspace Owner.", a.Kinds.Title())
}
