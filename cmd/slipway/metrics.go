package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
)

// serveMetrics serves h where metrics are to be read, if anywhere, until ctx
// ends.
func (s serveCommand) serveMetrics(ctx context.Context, h http.Handler, log *slog.Logger) error {
	if s.MetricsListen == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.MetricsListen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.MetricsListen, err)
	}
	log.Info("metrics", "address", "http://"+l.Addr().String()+"/metrics")
	server := newHTTPServer(h, log)
	context.AfterFunc(ctx, func() {
		server.cut()
		_ = server.Close() // what is left of it is cut off
	})
	go func() {
		if err := server.serve(l); err != nil {
			log.Error("metrics", "error", err)
		}
	}()
	return nil
}
