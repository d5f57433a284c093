package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"slipway/internal/archive"
	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
)

// tokenCommand manages tokens from the portal's own machine.
type tokenCommand struct {
	Add    addToken    `cmd:"" help:"Make a token for CI, or for the agents of a Deployment, and print it."`
	List   listTokens  `cmd:"" help:"List the tokens of a Workspace or of a Deployment."`
	Revoke revokeToken `cmd:"" help:"End a token at once."`
}

// scopeFlags are the scope of a token: a Workspace or a Deployment.
type scopeFlags struct {
	Workspace  slipway.WorkspaceID  `placeholder:"ID" help:"The Workspace."`
	Deployment slipway.DeploymentID `placeholder:"ID" help:"The Deployment."`
}

// Validate requires exactly one of both flags.
func (s scopeFlags) Validate() error {
	if (s.Workspace == "") == (s.Deployment == "") {
		return errors.New("name either --workspace or --deployment by its id, which stands in the address of its page")
	}
	return nil
}

// find loads the Workspace, and the Deployment if given, and returns their ids.
func (s scopeFlags) find(tx *store.Tx) (slipway.WorkspaceID, slipway.DeploymentID, error) {
	if s.Deployment == "" {
		w, err := tx.LoadWorkspace(s.Workspace)
		return w.ID, "", err
	}
	d, err := tx.LoadDeployment(s.Deployment)
	return d.Workspace, d.ID, err
}

// addToken creates and prints a token.
type addToken struct {
	dataFlag
	scopeFlags
	Name   string   `arg:"" help:"What the token is called: ci-sales."`
	Agent  bool     `help:"For the agents of a Deployment; without it, for the API."`
	Role   string   `default:"Author" help:"Role of a token for the API: Member, Author, Operator or Owner (${default})."`
	Kinds  []string `placeholder:"KIND" help:"Kinds of deploy that it may make: DAG_ONLY,IMAGE_ONLY,IMAGE_AND_DAG; all unless given."`
	Folder string   `placeholder:"FOLDER" help:"The only folder inside dags that a token for the API may change: team_b. The token is then of the kind DAG_ONLY, and an Author at most."`
	Days   int      `default:"0" help:"How many days it lasts; 0 for ever (${default})."`
}

// Validate checks the flags, and returns an error for the user.
func (a addToken) Validate() error {
	if a.Agent && a.Deployment == "" {
		return errors.New("an agent token is for one Deployment: name it with --deployment")
	}
	if a.Agent && a.Folder != "" {
		return errors.New("an agent token changes no files: leave --folder out")
	}
	return a.scopeFlags.Validate()
}

// Run is the command.
func (a addToken) Run(ctx context.Context, c console) error {
	var token string
	err := changeExisting(ctx, a.dataFlag, func(tx *store.Tx) error {
		t, err := a.record(tx)
		if err != nil {
			return err
		}
		what := "API token "
		if a.Agent {
			what = "agent token "
			token, t, err = auth.AddAgentToken(tx, t)
		} else {
			token, t, err = auth.AddToken(tx, t)
		}
		if err != nil {
			return err
		}
		return tx.Audit(localActor(), slipway.Event{Workspace: t.Workspace, Deployment: t.Deployment, Action: "token.create", Target: what + t.Name})
	})
	if err == nil {
		fmt.Fprintln(c.out, token)
	}
	return err
}

// record returns a token record by the flags, without a secret.
func (a addToken) record(tx *store.Tx) (t store.Token, err error) {
	t = store.Token{Role: slipway.Member, CreatedBy: localActor().Title()}
	if t.Workspace, t.Deployment, err = a.find(tx); err != nil {
		return t, err
	}
	if t.Name, err = slipway.CheckName("A token", a.Name); err != nil {
		return t, err
	}
	if t.ExpiresAt, err = slipway.Expiry(tx.Now, a.Days); err != nil || a.Agent {
		return t, err
	}
	if t.Role, err = slipway.RoleOf(a.Role); err != nil {
		return t, err
	}
	if t.Kinds, err = slipway.KindsOf(a.Kinds...); err != nil || a.Folder == "" {
		return t, err
	}
	if len(a.Kinds) == 0 {
		t.Kinds = slipway.FolderKinds
	}
	if t.Folder, err = archive.CheckFolder(a.Folder, archive.DefaultLimits()); err == nil && t.Folder == "" {
		err = errors.New("--folder names a folder inside dags: team_b")
	}
	return t, errors.Join(err, t.Grant().IssuedBy(slipway.Owner, nil))
}

// listTokens prints the tokens of a scope.
type listTokens struct {
	dataFlag
	scopeFlags
}

// Run is the command.
func (l listTokens) Run(ctx context.Context, c console) error {
	var all []store.Token
	err := changeExisting(ctx, l.dataFlag, func(tx *store.Tx) error {
		w, of, err := l.find(tx)
		if err != nil {
			return err
		}
		all, err = tx.AllTokens(w, of)
		return err
	})
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tKIND\tNAME\tDEPLOYMENT\tROLE\tFOLDER\tLAST USED\tEXPIRES")
	for _, t := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Kind, t.Name, orDash(string(t.Deployment)), t.Role, orDash(t.Folder), day(t.LastUsedAt), day(t.ExpiresAt))
	}
	return w.Flush()
}

// orDash replaces an empty cell of a table.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// day formats a time for a table, "never" for none.
func day(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format("2006-01-02 15:04")
}

// revokeToken revokes a token by id.
type revokeToken struct {
	dataFlag
	ID slipway.TokenID `arg:"" help:"Id of the token, as list shows it."`
}

// Run is the command.
func (r revokeToken) Run(ctx context.Context, c console) error {
	var t store.Token
	err := changeExisting(ctx, r.dataFlag, func(tx *store.Tx) (err error) {
		if t, err = tx.AnyToken(r.ID); err != nil {
			return err
		}
		if err := tx.RevokeToken(t.ID); err != nil {
			return err
		}
		return tx.Audit(localActor(), slipway.Event{Workspace: t.Workspace, Deployment: t.Deployment, Action: "token.revoke", Target: t.Kind + " token " + t.Name})
	})
	if err == nil {
		fmt.Fprintf(c.out, "The %s token %s is revoked.\n", t.Kind, t.Name)
	}
	return err
}
