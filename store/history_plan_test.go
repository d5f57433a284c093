package store

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestHistoryReadsNoWholeTable asks SQLite how it would carry out each query
// behind the history: by an index, and in its order.
func TestHistoryReadsNoWholeTable(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "slipway.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, query := range map[string]string{
		"newest":          deploysIn + "DESC LIMIT 51",
		"page before":     deploysIn + "ASC LIMIT 50",
		"found":           deploysFound + "DESC LIMIT 51",
		"found before":    deploysFound + "ASC LIMIT 50",
		"first in time":   firstInTime,
		"last in time":    lastInTime,
		"live then":       liveThen,
		"live after":      liveAfter,
		"deployers":       deployersOf,
		"sums by day":     daySums,
		"named files":     namedSteps,
		"steps":           stepsBetween,
		"count of steps":  countBetween,
		"place of a step": lastWanted,
		"file history":    fileStepsBefore,
		"its page before": fileStepsAfter,
		"a file's step":   fileStepAt,
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, 1, 2, 3, 4, 5, 6)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				var id, parent, unused int
				var detail string
				if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
					t.Fatal(err)
				}
				if !readsLittle(detail, name) {
					t.Errorf("it would %s", detail)
				}
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// readsLittle reports whether a step of a plan touches few rows, however many
// there are. Names are few enough to be sorted.
func readsLittle(detail, of string) bool {
	switch {
	case strings.HasPrefix(detail, "SCAN t VIRTUAL TABLE INDEX"): // by its words, in the order of its rows
		return strings.Contains(detail, "M") && strings.ContainsAny(detail, "<>")
	case strings.HasPrefix(detail, "SCAN"):
		return detail == "SCAN CONSTANT ROW" || strings.HasPrefix(detail, "SCAN json_each") || strings.HasPrefix(detail, "SCAN (subquery")
	case strings.Contains(detail, "TEMP B-TREE"):
		return of == "deployers"
	}
	return true
}
