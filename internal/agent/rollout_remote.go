package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"slipway/internal/slipway"
)

// Log sends lines for the log of the deploy that rolls out now.
func (r *Remote) Log(ctx context.Context, component string, lines []string) error {
	body, err := json.Marshal(slipway.AgentLog{Component: component, Lines: lines})
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, stallTimeout)
	defer cancel()
	resp, err := r.do(ctx, http.MethodPost, "log", http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
