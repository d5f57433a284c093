package image

import (
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
)

// redirectLogs hands on what distribution logs of failures of its own. The rest is
// said by the portal's own line about each request.
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

// noise is what distribution calls an error and is none: refusals, uploads that
// are over, and writers that it has closed itself.
var noise = []string{"error checking authorization", "error resolving upload: blob upload unknown", "error closing blobwriter", "error canceling upload after error: already closed"}

// Fire implements logrus.Hook. A request that was refused, for a blob that is
// not there and the like, has a code of its own.
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
