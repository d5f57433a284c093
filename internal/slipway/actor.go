package slipway

import (
	"path"
	"strings"
	"unicode/utf8"
)

// Actor is the sender of a request: a person, or an API token.
type Actor struct {
	User  UserID
	Token TokenID // "" for a person
	Kinds Kinds   `json:"-"` // of deploy allowed to the token
	// Folder is the only folder, below dags, that the token may change; "" for all.
	Folder string `json:"-"`
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
		return "token " + Visible(a.Name)
	}
	return Visible(a.Name)
}

// Event is an entry of the audit trail: actor, action, target, place, time.
type Event struct {
	Workspace  WorkspaceID  // "" where it concerns the whole Organization
	Deployment DeploymentID // "" without a Deployment
	Action     string       // a verb and a noun, "deploy.confirm"
	Target     string       // name of the target at the time
	Detail     string       // one line
}

// Cell returns text as a cell of a CSV file. Spreadsheets run a cell that begins
// like a formula: an apostrophe before the text prevents that.
func Cell(text string) string {
	if first, _ := utf8.DecodeRuneInString(text); strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return "'" + text
	}
	return text
}

// Allows refuses a kind of deploy outside the kinds of a's token.
func (a Actor) Allows(kind DeployKind) error {
	if a.Token == "" || a.Kinds.Has(kind) {
		return nil
	}
	return Errorf(Forbidden, "This API token may only make deploys of the kind %s. Use another one, or ask a Workspace Owner.", a.Kinds.Title())
}

// Reaches refuses a deploy with an effect outside the folder of a's token.
func (a Actor) Reaches(w Deploy) error {
	switch {
	case a.Folder == "":
		return nil
	case w.Purpose() == ForReturn:
		return Errorf(Forbidden, "This API token changes the folder dags/%s alone, and a return restores all files. Use another token, or ask a Workspace Owner.", a.Folder)
	case w.Purpose() == ForCode && w.Kind == DAGOnly && w.Merge.KeepsOthers() && InFolder(a.Folder, w.Folder):
		return nil
	}
	return Errorf(Forbidden, "This API token changes the folder dags/%s alone, and deploy #%d is about more. Use another token, or ask a Workspace Owner.", a.Folder, w.Number)
}

// DAGsItself names the dags folder where a folder below dags is expected.
const DAGsItself = "."

// Place returns the folder below dags for an upload by a, and the effect on other
// files. folder and m are as in the request, "" if not named: a named folder is
// replaced alone, otherwise all of dags. An upload with a token for one folder goes
// to that folder, or to one in it.
func (a Actor) Place(folder string, m Merge) (string, Merge, error) {
	if folder == "" {
		folder = a.Folder
	}
	if a.Folder == "" && folder == DAGsItself {
		folder = ""
	}
	switch {
	case !InFolder(a.Folder, folder):
		return "", "", Errorf(Forbidden, "This API token changes the folder dags/%s alone, and not %s. Leave the field folder out, or name a folder in that one.", a.Folder, path.Join("dags", folder))
	case m == ReplaceAll && a.Folder != "":
		return "", "", Errorf(Forbidden, "This API token changes the folder dags/%s alone, and may not replace everything. Leave the field merge out, or send merge=folder.", a.Folder)
	case m == ReplaceFolder && folder == "":
		return "", "", Errorf(Invalid, "Name the folder inside dags that the files replace, or replace everything.")
	case m == "" && folder != "":
		return folder, ReplaceFolder, nil
	case m == "":
		return "", ReplaceAll, nil
	case !m.KeepsOthers() && m != ReplaceAll:
		return "", "", Errorf(Invalid, "Say whether the files are added (add), replace their folder (folder), or replace everything (replace), and not %q.", m)
	}
	return folder, m, nil
}
