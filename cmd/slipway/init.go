package main

import (
	"context"
	"encoding/json"
	"fmt"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
)

// initCommand sets up an empty installation without a browser.
type initCommand struct {
	dataFlag
	asideFlag
	Email         string `required:"" help:"Email address of the first person, who becomes administrator and Owner."`
	Name          string `help:"Their name; the part of the address before the @ where it is not given."`
	Workspace     string `required:"" help:"Name of the first Workspace."`
	Deployment    string `required:"" help:"Name of the first Deployment."`
	Elsewhere     bool   `help:"Do not mount the Deployment on this machine: agents do it elsewhere."`
	PasswordStdin bool   `help:"Read the password from standard input instead of asking on the terminal."`
	JSON          bool   `help:"Print JSON, as is done in any case."`
}

// initOutput is the output of init, as JSON.
type initOutput struct {
	OrganizationID string               `json:"organizationId"`
	WorkspaceID    slipway.WorkspaceID  `json:"workspaceId"`
	DeploymentID   slipway.DeploymentID `json:"deploymentId"`
	Token          string               `json:"token"`      // for the API, as Owner
	AgentToken     string               `json:"agentToken"` // for agents of the Deployment
}

// Run is the command.
func (i initCommand) Run(ctx context.Context, c console) error {
	hash, err := newPassword(c, i.PasswordStdin)
	if err != nil {
		return err
	}
	d, err := i.own(ctx, i.asideFlag, c.err) // exclusive: a running serve would not mount the new Deployment
	if err != nil {
		return err
	}
	defer d.Close()
	var out initOutput
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		all, err := auth.Found(tx, i.founding(), hash, slipway.Actor{Via: slipway.Local})
		if err != nil {
			return err
		}
		out, err = firstTokens(tx, all)
		return err
	})
	if err != nil {
		return err
	}
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

// founding returns the input of the first setup, by the flags.
func (i initCommand) founding() auth.Founding {
	f := auth.Founding{Email: i.Email, Name: i.Name, Workspace: i.Workspace, Deployment: i.Deployment, Local: !i.Elsewhere}
	if f.Name == "" {
		f.Name = nameIn(i.Email)
	}
	return f
}

// firstTokens creates an API token with the role Owner in the Workspace, and an
// agent token of the Deployment.
func firstTokens(tx *store.Tx, all auth.Founded) (out initOutput, err error) {
	by := slipway.Actor{User: all.User.ID, Name: all.User.Title(), Via: slipway.Local}
	out = initOutput{OrganizationID: slipway.OrganizationID, WorkspaceID: all.Workspace.ID, DeploymentID: all.Deployment.ID}
	t := store.Token{Name: "init", Workspace: all.Workspace.ID, Role: slipway.Owner, CreatedBy: by.Title(), ByUser: by.User}
	if out.Token, _, err = auth.AddToken(tx, t); err != nil {
		return out, err
	}
	t.Role, t.Deployment = slipway.Member, all.Deployment.ID
	if out.AgentToken, _, err = auth.AddAgentToken(tx, t); err != nil {
		return out, err
	}
	for _, target := range []string{"API token init", "agent token init"} {
		e := slipway.Event{Workspace: all.Workspace.ID, Action: "token.create", Target: target}
		if err := tx.Audit(by, e); err != nil {
			return out, fmt.Errorf("init: %w", err)
		}
	}
	return out, nil
}
