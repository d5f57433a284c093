package slipway

// Actor is the sender of a request: a person, or an API token.
type Actor struct {
	User  UserID
	Token TokenID // "" for a person
	Kinds Kinds   `json:"-"` // of deploy allowed to the token
	// Secret is the SHA-256, hex, of the presented token secret: after a
	// rotation, requests with the old secret are refused. "" in records.
	Secret string `json:"-"`
	Name   string // at the time of the action: "Ada Lovelace", or a token's name
	Via    Via
	IP     string // of the client, as seen by the portal
}

// Via is the way of a request into the portal.
type Via string

// The ways, as stored and shown.
const (
	Portal Via = "portal"
	API    Via = "API"
	Local  Via = "command line" // slipway on the portal's own machine
)

// Title returns the name of a on pages: "token ci-sales" for a token.
func (a Actor) Title() string {
	if a.Token != "" {
		return "token " + a.Name
	}
	return a.Name
}

// Event is an entry of the audit trail: actor, action, target, place, time.
type Event struct {
	Workspace  WorkspaceID  // "" where it concerns the whole Organization
	Deployment DeploymentID // "" without a Deployment
	Action     string       // a verb and a noun, "deploy.confirm"
	Target     string       // name of the target at the time
	Detail     string       // one line
}

// Allows refuses a kind of deploy outside the kinds of a's token.
func (a Actor) Allows(kind DeployKind) error {
	if a.Token == "" || a.Kinds.Has(kind) {
		return nil
	}
	return Errorf(Forbidden, "This API token may only make deploys of the kind %s. Use another one, or ask a Workspace Owner.", a.Kinds.Title())
}
