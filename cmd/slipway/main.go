// Command slipway is the deploy portal: one program, one data folder.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "slipway: "+err.Error())
		os.Exit(1)
	}
}

// commands are the subcommands of slipway.
type commands struct {
	Config kong.ConfigFlag `placeholder:"FILE" help:"YAML or JSON file with flags of the command, by name."`

	Serve   serveCommand   `cmd:"" help:"Run the portal."`
	Agent   agentCommand   `cmd:"" help:"Mount DAGs beside a component of Airflow, apply images, and say what it runs."`
	Init    initCommand    `cmd:"" help:"Set up an empty data folder without a browser. Prints ids and tokens as JSON."`
	User    userCommand    `cmd:"" help:"Add, list, disable and remove accounts, set passwords."`
	Token   tokenCommand   `cmd:"" help:"Add, list and revoke tokens for the API and for agents."`
	Key     keyCommand     `cmd:"" help:"Replace the keys of a data folder."`
	Backup  backupCommand  `cmd:"" help:"Write everything that is kept to one file, also while serve runs."`
	Restore restoreCommand `cmd:"" help:"Fill an empty data folder from a backup."`
	Fsck    fsckCommand    `cmd:"" help:"Look for damage in a data folder, also while serve runs."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// console holds the standard streams of a command.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// run parses args and runs the command.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) error {
	var all commands
	done := false
	parser, err := kong.New(&all, kong.Name("slipway"), kong.UsageOnError(), kong.DefaultEnvars("SLIPWAY"),
		kong.Description("A deploy portal for Apache Airflow. Each flag can also be set by its variable or in a file."),
		kong.Configuration(loadConfig), kong.Writers(out, errOut), kong.Exit(func(int) { done = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	k, err := parser.Parse(args)
	if done { // --help was printed
		return nil
	}
	if err != nil {
		return withHint(err)
	}
	k.BindTo(ctx, (*context.Context)(nil))
	return k.Run(console{in: in, out: out, err: errOut})
}

// withHint adds a hint to an error of the command line.
func withHint(err error) error {
	if _, ok := errors.AsType[*kong.ParseError](err); ok {
		return fmt.Errorf("%w; see slipway --help", err)
	}
	return err
}
