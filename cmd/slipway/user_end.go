package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"slipway"
	"slipway/store"
	"slipway/web"
)

// endFlags are of the commands by which an account ends.
type endFlags struct {
	dataFlag
	Email  string            `arg:"" help:"Email address of the account."`
	Keep   []slipway.TokenID `placeholder:"ID" sep:"none" help:"A token that goes on working, by its id as --dry-run shows it; may be given again."`
	DryRun bool              `help:"Print what would end, and change nothing."`
}

// errDryRun undoes what a dry run did.
var errDryRun = errors.New("dry run")

// end carries out how an account ends, and prints what ended with it.
func (f endFlags) end(ctx context.Context, c console, how func(*store.Tx, slipway.Actor, string, []slipway.TokenID) (web.EndedAccount, error)) (string, error) {
	email, err := slipway.CheckEmail(f.Email)
	if err != nil {
		return "", err
	}
	var ended web.EndedAccount
	names := map[slipway.WorkspaceID]string{}
	err = change(ctx, f.dataFlag, func(tx *store.Tx) error {
		if ended, err = how(tx, onThisMachine(), email, f.Keep); err != nil {
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
		return "", err
	}
	return email, printEnded(c, ended, names)
}

// printEnded prints what ended with an account.
func printEnded(c console, ended web.EndedAccount, names map[slipway.WorkspaceID]string) error {
	if len(ended.Tokens) > 0 {
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tKIND\tNAME\tWORKSPACE\tROLE\tLAST USED\tEND")
		for _, t := range ended.Tokens {
			end := "revoked"
			if t.Kept {
				end = "kept"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Kind, t.Name, names[t.Workspace], t.Role, day(t.LastUsedAt), end)
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

// say prints what was done, or would have been.
func (f endFlags) say(c console, format string, email string) {
	if f.DryRun {
		fmt.Fprintln(c.out, "Nothing was changed: it was a dry run.")
		return
	}
	fmt.Fprintf(c.out, format+"\n", email)
}

type disableUser struct{ endFlags }

// Run is the command.
func (d disableUser) Run(ctx context.Context, c console) error {
	email, err := d.end(ctx, c, web.DisableAccount)
	if err == nil {
		d.say(c, "The account %s is disabled: its sessions, logins and tokens have ended. Its memberships stay for slipway user enable.", email)
	}
	return err
}

type removeUser struct{ endFlags }

// Run is the command.
func (r removeUser) Run(ctx context.Context, c console) error {
	email, err := r.end(ctx, c, web.RemoveAccount)
	if err == nil {
		r.say(c, "The account %s is removed, with its memberships, sessions, logins and tokens. The history keeps its name.", email)
	}
	return err
}

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
	err = change(ctx, e.dataFlag, func(tx *store.Tx) error {
		_, err := web.EnableAccount(tx, onThisMachine(), email)
		return err
	})
	if err == nil {
		fmt.Fprintf(c.out, "The account %s works again, with the memberships that it had. Its tokens stay revoked.\n", email)
	}
	return err
}
