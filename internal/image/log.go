package image

import (
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
)

// redirectLogs sends distribution's errors to the process's log. Requests are
// logged by the portal already.
func redirectLogs() {
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.ErrorLevel)
	logrus.AddHook(logHook{})
}

// logHook writes to the log of the process: distribution has one for all.
type logHook struct{}

// Levels implements logrus.Hook.
func (logHook) Levels() []logrus.Level {
	return []logrus.Level{logrus.ErrorLevel, logrus.FatalLevel, logrus.PanicLevel}
}

// noise holds log messages of distribution that are no errors: refusals,
// finished uploads, and writers closed twice.
var noise = []string{"error checking authorization", "error resolving upload: blob upload unknown", "error closing blobwriter", "error canceling upload after error: already closed"}

// Fire implements logrus.Hook. Refused requests, for a missing blob for
// example, have an error code and are skipped.
func (logHook) Fire(e *logrus.Entry) error {
	answered := e.Message == "response completed with error" && e.Data["err.code"] != nil && logCode(e) != "unknown"
	if answered || slices.ContainsFunc(noise, func(text string) bool { return strings.HasPrefix(e.Message, text) }) {
		return nil
	}
	slog.Error("registry: "+e.Message, "repository", e.Data["vars.name"], "err", e.Data["err.detail"])
	return nil
}

func logCode(e *logrus.Entry) string {
	if code, ok := e.Data["err.code"].(interface{ String() string }); ok {
		return code.String()
	}
	text, _ := e.Data["err.code"].(string)
	return text
}
