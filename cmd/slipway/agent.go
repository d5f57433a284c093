package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/agent"
	"slipway/internal/agent/docker"
)

// agentCommand runs an agent beside a component of Airflow.
type agentCommand struct {
	Portal    *url.URL `required:"" placeholder:"URL" help:"Address of the portal: https://slipway.example.com. A proxy is taken from HTTPS_PROXY."`
	Component string   `required:"" placeholder:"NAME" help:"What the pages call this part of Airflow: scheduler-0."`
	DAGs      string   `name:"dags" placeholder:"DIR" help:"Folder to mount DAGs in; Airflow reads DIR/current/dags."`
	Token     string   `env:"SLIPWAY_TOKEN" placeholder:"TOKEN" help:"Agent token of the Deployment. Better in SLIPWAY_TOKEN, or in a file."`
	TokenFile string   `type:"path" placeholder:"FILE" help:"File that holds the agent token. It is read again for each request."`
	CA        string   `name:"ca" type:"path" placeholder:"FILE" help:"Certificates, in PEM, of a private authority that signed the portal's."`
	Once      bool     `help:"Mount what is wanted and exit: for init containers."`
	Health    string   `placeholder:"ADDRESS" help:"Where to serve /healthz, /readyz and /metrics: :8790. Nowhere unless given."`
	Ephemeral bool     `help:"This component comes and goes: when it falls silent it has left."`
	Reserve   size     `default:"256MiB" help:"Space that stays free on the disk of the folder (${default})."`
	LogFormat string   `enum:"text,json" default:"text" help:"Form of the log: text or json (${default})."`

	imagesFlags
}

// Validate checks the flags, and returns an error for the user.
func (a agentCommand) Validate() error {
	switch {
	case a.Portal != nil && !isWebAddress(a.Portal):
		return fmt.Errorf("--portal must be an address like https://slipway.example.com, not %q", a.Portal)
	case a.Token == "" && a.TokenFile == "":
		return errors.New("the agent needs the Deployment's agent token: set SLIPWAY_TOKEN, or name a file with --token-file. The portal makes one on the Deployment's Settings page")
	case a.Token != "" && a.TokenFile != "":
		return errors.New("give the token or --token-file, not both")
	case a.DAGs == "" && (a.Images == "" || a.Once):
		return errors.New("name the folder to mount DAGs in with --dags")
	}
	return a.check()
}

// Run is the command.
func (a agentCommand) Run(ctx context.Context, c console) error {
	log := slog.New(logHandler(c.err, a.LogFormat))
	portal, err := a.portal()
	if err != nil {
		return err
	}
	images, err := a.rollout(portal, log)
	if err != nil {
		return err
	}
	var one *agent.Agent
	if a.DAGs != "" {
		one = agent.New(agent.Config{
			Dir: a.DAGs, Component: a.Component, Portal: portal, Log: log, Version: programVersion(),
			Ephemeral: a.Ephemeral, Reserve: int64(a.Reserve),
		})
	}
	if a.Once {
		return one.Once(ctx)
	}
	if err := serveUntil(ctx, "health", a.Health, "", health{one, images}.handler(), log); err != nil {
		return err
	}
	log.Info("agent", "portal", a.Portal.Redacted(), "component", a.Component, "dags", a.DAGs, "images", a.Images, "version", programVersion())
	return runAll(ctx, one, images)
}

// portal returns a client of the portal, by the flags.
func (a agentCommand) portal() (*agent.Remote, error) {
	cfg := agent.RemoteConfig{URL: a.Portal, Token: a.token, Version: programVersion()}
	if _, err := a.token(); err != nil {
		return nil, err
	}
	if a.CA != "" {
		pem, err := os.ReadFile(a.CA)
		if err != nil {
			return nil, fmt.Errorf("read --ca: %w", err)
		}
		cfg.CA = pem
	}
	return agent.NewRemote(cfg)
}

// token returns the token of the flags. The file is read anew each time, as an
// operator may replace the file.
func (a agentCommand) token() (string, error) {
	if a.TokenFile == "" {
		return a.Token, nil
	}
	b, err := os.ReadFile(a.TokenFile)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(b))
	if token == "" || strings.ContainsAny(token, " \r\n\t") {
		return "", fmt.Errorf("the file %s holds no token", a.TokenFile)
	}
	return token, nil
}

// driver returns the driver for --images: Docker, or a command.
func (a agentCommand) driver(log *slog.Logger) (agent.Driver, error) {
	name, isExec := strings.CutPrefix(a.Images, execPrefix)
	if !isExec {
		return docker.New(docker.Config{Grace: a.Grace, HealthyAfter: a.HealthyAfter, HealthyWithin: a.HealthyWithin}, log)
	}
	file := a.ImageEnv
	if file == "" && a.DAGs != "" {
		file = filepath.Join(a.DAGs, "image.env")
	}
	return &agent.Exec{Name: name, Argv: a.ApplyCommands[name], Timeout: a.ApplyTimeout, EnvFile: file}, nil
}

// rollout returns the rollout of images, or nil without --images.
func (a agentCommand) rollout(portal *agent.Remote, log *slog.Logger) (*agent.Rollout, error) {
	if a.Images == "" {
		return nil, nil
	}
	driver, err := a.driver(log)
	if err != nil {
		return nil, err
	}
	return agent.NewRollout(agent.RolloutConfig{
		Component: a.Component, Driver: driver, Portal: portal, Log: log, Version: programVersion(), Ephemeral: a.Ephemeral,
		Registry: a.Portal.Host,
		Login: func() (agent.Login, error) {
			token, err := a.token()
			return agent.Login{User: "agent", Password: token}, err
		},
	}), nil
}
