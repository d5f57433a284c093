package web

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// exportBatch is how many entries of an audit log an export reads at once: a
// slow reader holds no transaction.
const exportBatch = 500

// auditLine is an entry of an audit log in an export.
type auditLine struct {
	ID           int64                `json:"id"`
	At           string               `json:"at"` // RFC 3339, UTC
	By           string               `json:"by"`
	User         slipway.UserID       `json:"user,omitempty"`
	Token        slipway.TokenID      `json:"token,omitempty"`
	Via          slipway.Via          `json:"via"`
	IP           string               `json:"ip,omitempty"`
	Action       string               `json:"action"`
	Target       string               `json:"target"`
	Detail       string               `json:"detail,omitempty"`
	Workspace    slipway.WorkspaceID  `json:"workspace,omitempty"`
	DeploymentID slipway.DeploymentID `json:"deployment,omitempty"`
}

// lineOf returns e for an export.
func lineOf(e store.AuditEntry) auditLine {
	return auditLine{
		ID: e.ID, At: e.At.UTC().Format(time.RFC3339Nano), By: e.By.Title(), User: e.By.User, Token: e.By.Token, Via: e.By.Via, IP: e.By.IP,
		Action: e.Action, Target: e.Target, Detail: e.Detail, Workspace: e.Workspace, DeploymentID: e.Deployment,
	}
}

// auditColumns are the columns of an export as CSV.
var auditColumns = []string{"id", "at", "by", "via", "ip", "action", "target", "detail", "deployment"}

// cells returns l as a row of a CSV file.
func (l auditLine) cells(id string) []string {
	all := []string{id, l.At, l.By, string(l.Via), l.IP, l.Action, l.Target, l.Detail, string(l.DeploymentID)}
	for i := range all {
		all[i] = slipway.Cell(all[i])
	}
	return all
}

// auditWriter writes the entries of an export.
type auditWriter interface {
	write(all []store.AuditEntry) error
}

// ndjson writes one JSON object a line.
type ndjson struct{ *json.Encoder }

func (w ndjson) write(all []store.AuditEntry) error {
	for _, e := range all {
		if err := w.Encode(lineOf(e)); err != nil {
			return err
		}
	}
	return nil
}

// csvRows writes a row for each entry, after a row with the names of the columns.
type csvRows struct{ *csv.Writer }

func (w csvRows) write(all []store.AuditEntry) error {
	for _, e := range all {
		if err := w.Write(lineOf(e).cells(strconv.FormatInt(e.ID, 10))); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// auditWriterOf returns the writer of a format, its content type, and whether
// the format is known.
func auditWriterOf(format string, to io.Writer) (w auditWriter, contentType string, known bool) {
	switch format {
	case "csv":
		rows := csv.NewWriter(to)
		rows.UseCRLF = true          // as in RFC 4180
		_ = rows.Write(auditColumns) // buffered: a failure comes with the first flush
		return csvRows{rows}, "text/csv; charset=utf-8; header=present", true
	case "ndjson":
		e := json.NewEncoder(to)
		e.SetEscapeHTML(false)
		return ndjson{e}, "application/x-ndjson; charset=utf-8", true
	}
	return nil, "", false
}

// exportAudit serves GET /workspaces/:workspace/audit/export?format=csv|ndjson:
// all entries that the filters of the page select.
func (s *Server) exportAudit(c echo.Context) error {
	return s.sendAudit(c, func(tx *store.Tx) (auditLog, error) { return workspaceAudit(tx, workspaceID(c), actorOf(c)) })
}

// sendAudit sends an audit log in batches, newest entry first. load returns the
// log, or an error for a reader without the permission, and is asked before each
// batch.
func (s *Server) sendAudit(c echo.Context, load func(*store.Tx) (auditLog, error)) error {
	a, format := auditQueryOf(c), c.QueryParam("format")
	batch := func(before int64) (all []store.AuditEntry, err error) {
		err = s.store.View(c.Request().Context(), func(tx *store.Tx) error {
			l, err := load(tx)
			if err == nil {
				all, err = tx.FindAudit(l.of, a.filter, before, exportBatch)
			}
			return err
		})
		return all, err
	}
	all, err := batch(0)
	if err != nil {
		return err
	}
	out, contentType, known := auditWriterOf(format, c.Response())
	switch {
	case !known:
		return slipway.Errorf(slipway.Invalid, views.NoFormat, format)
	case a.wrong != "":
		return slipway.Errorf(slipway.Invalid, "%s", a.wrong)
	}
	attach(c.Response().Header(), "audit-"+s.store.Now().UTC().Format(time.DateOnly)+"."+format)
	c.Response().Header().Set(echo.HeaderContentType, contentType)
	c.Response().WriteHeader(http.StatusOK)
	for {
		if err := out.write(all); err != nil {
			return nil // the reader has gone
		}
		if len(all) < exportBatch {
			return nil
		}
		if all, err = batch(all[len(all)-1].ID); err != nil {
			return s.breakOff(c, err)
		}
	}
}
