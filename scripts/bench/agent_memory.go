package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	agentFiles = 99_000
	agentMost  = 40 // MiB
)

// agentMemory measures the most anonymous memory of an agent that mounts a version
// of 99,000 files, and then one with a file more. The pages of the program and of the
// files, which the kernel takes back at need, are not in it.
func (b *bench) agentMemory(ctx context.Context) (err error) {
	p, token, agentToken, of, err := b.elsewhere(ctx, "agent-memory")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	dir := filepath.Join(b.dir, "agent-memory-mount")
	cmd := exec.CommandContext(ctx, b.binary(), "agent", "--portal", p.url, "--component", "worker-0", "--dags", dir)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GOMEMLIMIT=") || strings.HasPrefix(v, "GOGC=") })
	cmd.Env = append(cmd.Env, "SLIPWAY_TOKEN="+agentToken)
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cmd.Process.Signal(os.Interrupt), cmd.Wait()) }()
	for i, what := range []string{"99,000 files, all new", "the same and one file more"} {
		peak, stop := (&portal{cmd: cmd}).peak()
		err := p.deployMany(ctx, of, token, agentFiles+i)
		stop()
		most := <-peak
		if err != nil {
			return err
		}
		b.bound("memory of an agent that mounts "+what+", peak, MiB", "%.0f", sample{most / (1 << 20)}, agentMost)
	}
	return nil
}

// elsewhere starts a portal with one Deployment for an agent.
func (b *bench) elsewhere(ctx context.Context, name string) (p *portal, token, agentToken, of string, err error) {
	data, err := b.fresh(ctx, name)
	if err != nil {
		return nil, "", "", "", err
	}
	text, err := os.ReadFile(data + ".json")
	if err != nil {
		return nil, "", "", "", err
	}
	var made struct{ DeploymentID, Token, AgentToken string }
	if err := json.Unmarshal(text, &made); err != nil {
		return nil, "", "", "", err
	}
	p, err = b.serve(ctx, data)
	return p, made.Token, made.AgentToken, made.DeploymentID, err
}

// deployMany deploys n files, and returns once the agent runs them.
func (p *portal) deployMany(ctx context.Context, of, token string, n int) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(writeMany(w, n)) }()
	address := p.url + "/v1/organizations/slipway/deployments/" + of + "/deploys/upload?wait=10m"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, r)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && (answer.StatusCode >= http.StatusBadRequest || !strings.Contains(string(text), "DEPLOYED")) {
		err = fmt.Errorf("deploy %d files: %s: %s", n, answer.Status, text)
	}
	return err
}

// writeMany writes an archive of n small files.
func writeMany(w io.Writer, n int) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	for i := range n {
		text := fmt.Sprintf("from airflow import DAG # %d\n", i)
		h := &tar.Header{Name: fmt.Sprintf("dags/team_%03d/pipelines/load_orders_into_warehouse_%06d.py", i/200, i), Mode: 0o644, Size: int64(len(text)), ModTime: time.Unix(1_800_000_000, 0)}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.WriteString(t, text); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}
