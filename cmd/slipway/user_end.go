package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
)

// endFlags are the flags of the commands disable and remove.
type endFlags struct {
	dataFlag
	Email  string            `arg:"" help:"Email address of the account."`
	Keep   []slipway.TokenID `placeholder:"ID" sep:"none" help:"Id of a token that keeps working, as --dry-run prints it. Repeat the flag for more."`
	DryRun bool              `help:"Print what would end, and change nothing."`
}

// errDryRun rolls the transaction of a dry run back.
var errDryRun = errors.New("dry run")

// end disables or removes an account by how. Output: the account's tokens, then
// one line with first, the number of ended sessions and tokens, and last.
func (f endFlags) end(ctx context.Context, c console, how func(*store.Tx, slipway.Actor, string, []slipway.TokenID) (auth.EndedAccount, error), first, last string) error {
	email, err := slipway.CheckEmail(f.Email)
	if err != nil {
		return err
	}
	var ended auth.EndedAccount
	names := map[slipway.WorkspaceID]string{}
	err = changeExisting(ctx, f.dataFlag, func(tx *store.Tx) error {
		if ended, err = how(tx, localActor(), email, f.Keep); err != nil {
			return err
		}
		for _, t := range ended.Tokens {
			w, err := tx.LoadWorkspace(t.Workspace)
			if err != nil {
				return err
			}
			names[w.ID] = w.Name
		}
		if f.DryRun {
			return errDryRun
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return err
	}
	if f.DryRun {
		fmt.Fprintln(c.out, "Nothing was changed. Without --dry-run it would be:")
	}
	if err := printEnded(c, ended, names); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: %s Ended: %s, its CLI logins and its open invitations. %s\n", email, first, ended.Counts(), last)
	return nil
}

// printEnded prints the tokens of an ended account, and Workspaces without
// another Owner.
func printEnded(c console, ended auth.EndedAccount, names map[slipway.WorkspaceID]string) error {
	if len(ended.Tokens) > 0 {
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tKIND\tNAME\tWORKSPACE\tDEPLOYMENT\tROLE\tLAST USED\tEXPIRES\tEND")
		for _, t := range ended.Tokens {
			end := "revoked"
			if t.Kept {
				end = "kept"
			}
			role := t.Role.String()
			if t.Kind == store.AgentToken {
				role = "-"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
				t.ID, t.Kind, t.Name, names[t.Workspace], orDash(string(t.Deployment)), role, day(t.LastUsedAt), day(t.ExpiresAt), end)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	for _, w := range ended.Ownerless {
		fmt.Fprintf(c.out, "The Workspace %s has no other Owner. An Organization admin can become its Owner under Workspaces.\n", w.Name)
	}
	return nil
}

// disableUser disables an account.
type disableUser struct{ endFlags }

// Run is the command.
func (d disableUser) Run(ctx context.Context, c console) error {
	return d.end(ctx, c, auth.DisableAccount, "The account is disabled: nobody can sign in with it.", "Its memberships stay: slipway user enable brings the account back.")
}

// removeUser removes an account.
type removeUser struct{ endFlags }

// Run is the command.
func (r removeUser) Run(ctx context.Context, c console) error {
	return r.end(ctx, c, auth.RemoveAccount, "The account is removed with its memberships.", "Deploys and the audit log keep the name.")
}

// enableUser enables a disabled account.
type enableUser struct {
	dataFlag
	Email string `arg:"" help:"Email address of the account."`
}

// Run is the command.
func (e enableUser) Run(ctx context.Context, c console) error {
	email, err := slipway.CheckEmail(e.Email)
	if err != nil {
		return err
	}
	err = changeExisting(ctx, e.dataFlag, func(tx *store.Tx) error {
		_, err := auth.EnableAccount(tx, localActor(), email)
		return err
	})
	if err == nil {
		fmt.Fprintf(c.out, "The account %s can sign in again and has its memberships. Revoked tokens do not come back.\n", email)
	}
	return err
}
