package main

import (
	"context"
	"errors"
	"fmt"

	"slipway/internal/auth"
	"slipway/internal/secret"
	"slipway/internal/slipway"
	"slipway/store"
)

// keyCommand holds the commands for the keys of a data folder.
type keyCommand struct {
	Rotate keyRotateCommand `cmd:"" help:"Replace all keys, while serve is stopped: of sealed passwords, tokens and cookies. Nothing is lost."`
	New    keyNewCommand    `cmd:"" help:"Make a new secret.key after the loss of the old one. Passwords of registries must be entered again."`
}

// keyRotateCommand replaces the keys.
type keyRotateCommand struct {
	dataFlag
}

// Run is the command.
func (k keyRotateCommand) Run(ctx context.Context, c console) (err error) {
	d, err := k.ownExisting(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	r, err := secret.Rotate(ctx, d.dir, d.store, func(tx *store.Tx) error {
		if err := auth.RotateKeys(tx); err != nil {
			return err
		}
		return tx.Audit(localActor(), slipway.Event{Action: "key.rotate"})
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "The keys are new. Passwords of registries that were sealed anew: %d. API tokens, agent tokens and sessions go on; addresses of unfinished uploads do not.\n", r.Sealed)
	if n := len(r.Unreadable); n > 0 {
		fmt.Fprintf(c.out, "Passwords that an earlier key sealed, and that nobody can read: %d. %s\n", n, secret.Cost(r.Unreadable))
	}
	fmt.Fprintln(c.out, "Earlier backups hold the earlier keys. Make a new backup.")
	return nil
}

// keyNewCommand replaces a lost key.
type keyNewCommand struct {
	dataFlag
}

// Run is the command.
func (k keyNewCommand) Run(ctx context.Context, c console) (err error) {
	d, err := k.ownExisting(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	lost, err := secret.New(ctx, d.dir, d.store)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "The data folder %s has a new key. %s\n", d.dir, secret.Cost(lost))
	return nil
}

// ownExisting is own for a data folder with a database.
func (f dataFlag) ownExisting(ctx context.Context, c console) (*data, error) {
	d, err := f.attach(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.Close(); err != nil {
		return nil, err
	}
	return f.own(ctx, asideFlag{}, c.err)
}
