package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
)

// userCommand manages people's accounts.
type userCommand struct {
	Add      addUser      `cmd:"" help:"Add an account."`
	Password userPassword `cmd:"" help:"Set the password of an account. It is signed out everywhere."`
	List     listUsers    `cmd:"" help:"List the accounts."`
	Disable  disableUser  `cmd:"" help:"Disable an account: nobody can sign in with it; its sessions, CLI logins, invitations and tokens end."`
	Enable   enableUser   `cmd:"" help:"Let a disabled account in again."`
	Remove   removeUser   `cmd:"" help:"Delete an account with its memberships; its sessions, CLI logins, invitations and tokens end."`
}

// addUser creates an account.
type addUser struct {
	dataFlag
	Email         string `arg:"" help:"Email address to sign in with."`
	Name          string `help:"Name of the person; the part of the address before the @ where it is not given."`
	Admin         bool   `help:"Make them administrator of the Organization."`
	PasswordStdin bool   `help:"Read the password from standard input instead of asking on the terminal."`
}

// Run is the command.
func (a addUser) Run(ctx context.Context, c console) error {
	u := slipway.User{Admin: a.Admin}
	var err error
	if u.Email, err = slipway.CheckEmail(a.Email); err != nil {
		return err
	}
	if a.Name == "" {
		a.Name = nameIn(u.Email)
	}
	if u.Name, err = slipway.CheckName("An account", a.Name); err != nil {
		return err
	}
	hash, err := newPassword(c, a.PasswordStdin)
	if err != nil {
		return err
	}
	err = change(ctx, a.dataFlag, func(tx *store.Tx) error {
		if u, err = tx.AddUser(u, hash); err != nil {
			return err
		}
		return tx.Audit(localActor(), slipway.Event{Action: "account.create", Target: u.Email})
	})
	if err == nil {
		fmt.Fprintf(c.out, "The account %s was added.\n", u.Email)
	}
	return err
}

// userPassword sets the password of an account.
type userPassword struct {
	dataFlag
	Email         string `arg:"" help:"Email address of the account."`
	PasswordStdin bool   `help:"Read the password from standard input instead of asking on the terminal."`
}

// Run is the command.
func (p userPassword) Run(ctx context.Context, c console) error {
	email, err := slipway.CheckEmail(p.Email)
	if err != nil {
		return err
	}
	hash, err := newPassword(c, p.PasswordStdin)
	if err != nil {
		return err
	}
	err = changeExisting(ctx, p.dataFlag, func(tx *store.Tx) error {
		u, err := tx.UserByEmail(email)
		if err != nil {
			return err
		}
		if err := tx.SetPassword(u.ID, hash); err != nil {
			return err
		}
		return tx.Audit(localActor(), slipway.Event{Action: "account.password", Target: u.Email})
	})
	if err == nil {
		fmt.Fprintf(c.out, "The password of %s was set.\n", email)
	}
	return err
}

// listUsers prints all accounts.
type listUsers struct{ dataFlag }

// Run is the command.
func (l listUsers) Run(ctx context.Context, c console) error {
	var all []slipway.User
	err := changeExisting(ctx, l.dataFlag, func(tx *store.Tx) (err error) {
		all, err = tx.Users()
		return err
	})
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "EMAIL\tNAME\tADMIN\tSINCE\tDISABLED")
	for _, u := range all {
		admin := "no"
		if u.Admin {
			admin = "yes"
		}
		disabled := "no"
		if u.Disabled() {
			disabled = u.DisabledAt.Format("2006-01-02")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", u.Email, u.Name, admin, u.CreatedAt.Format("2006-01-02"), disabled)
	}
	return w.Flush()
}

// change runs fn in a transaction on the database, while a serve may run. In a
// new folder, change creates the database.
func change(ctx context.Context, f dataFlag, fn func(*store.Tx) error) error {
	return changeIn(ctx, f, true, fn)
}

// changeExisting runs fn like change, and requires an existing database.
func changeExisting(ctx context.Context, f dataFlag, fn func(*store.Tx) error) error {
	return changeIn(ctx, f, false, fn)
}

// changeIn opens the database, runs fn in a transaction, and closes the database.
func changeIn(ctx context.Context, f dataFlag, create bool, fn func(*store.Tx) error) error {
	d, err := f.share(ctx, create)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.store.Update(ctx, fn)
}

// localActor is the actor for commands on the portal's machine, run by
// anyone with access to the data folder.
func localActor() slipway.Actor {
	return slipway.Actor{Name: "administrator", Via: slipway.Local}
}

// nameIn returns the part of an email address before the @.
func nameIn(email string) string {
	name, _, _ := strings.Cut(email, "@")
	return name
}

// newPassword reads a password from standard input, or twice from the terminal
// without echo, and returns the hash.
func newPassword(c console, stdin bool) (string, error) {
	if stdin {
		line, err := bufio.NewReader(c.in).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return auth.HashPassword(strings.TrimRight(line, "\r\n"))
	}
	f, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", errors.New("there is no terminal to ask for a password; send it with --password-stdin")
	}
	first, err := ask(c, f, "New password: ")
	if err != nil {
		return "", err
	}
	again, err := ask(c, f, "Once more: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", errors.New("the two passwords differ; nothing was changed")
	}
	return auth.HashPassword(first)
}

// ask prompts for a password on the terminal, without echo.
func ask(c console, f *os.File, prompt string) (string, error) {
	fmt.Fprint(c.err, prompt)
	text, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(c.err)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(text), nil
}
