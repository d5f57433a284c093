package store

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"slipway/internal/slipway"
)

// DeployFilter selects deploys of a Deployment; the zero value selects all.
type DeployFilter struct {
	Kind   slipway.DeployKind
	Status slipway.Status
	By     string // id of a token, or of a person
	Text   string // words, or their beginnings; or a deploy's number
	Commit string // first letters of the commit
	From   time.Time
	Until  time.Time // exclusive
}

// Deployer is a person or a token with deploys to a Deployment.
type Deployer struct {
	ID    string
	Name  string
	Token bool
}

// Deployers returns the people and tokens with deploys to a Deployment, people
// first.
func (tx *Tx) Deployers(of slipway.DeploymentID) ([]Deployer, error) {
	return list(tx, "deployers", func(r row) (d Deployer, err error) {
		err = r.Scan(&d.ID, &d.Name, &d.Token)
		return d, err
	}, deployersOf, of)
}

const deployersOf = `SELECT id, name, token FROM deployers WHERE deployment = ? ORDER BY token, name COLLATE NOCASE, id`

// FindDeploys returns up to limit deploys of a Deployment selected by f, newest
// first, with numbers below before; 0 for the newest.
func (tx *Tx) FindDeploys(of slipway.DeploymentID, f DeployFilter, before, limit int) ([]slipway.Deploy, error) {
	span, err := tx.numbers(of, f)
	if err != nil {
		return nil, err
	}
	if before > 0 {
		span.last = min(span.last, before-1)
	}
	return tx.findDeploys(of, f, span, "DESC", limit)
}

// FindDeploysAfter returns up to limit deploys selected by f with numbers above
// after, newest first: the page before.
func (tx *Tx) FindDeploysAfter(of slipway.DeploymentID, f DeployFilter, after, limit int) ([]slipway.Deploy, error) {
	span, err := tx.numbers(of, f)
	if err != nil {
		return nil, err
	}
	span.first = max(span.first, after+1)
	found, err := tx.findDeploys(of, f, span, "ASC", limit)
	if err != nil {
		return nil, err
	}
	slices.Reverse(found)
	return found, nil
}

// span is a range of deploys' numbers.
type span struct{ first, last int }

// numbers returns the range of numbers of the deploys made between f.From and
// f.Until: numbers grow with time.
func (tx *Tx) numbers(of slipway.DeploymentID, f DeployFilter) (s span, err error) {
	s.last = math.MaxInt32
	if !f.From.IsZero() {
		if s.first, err = tx.count("first in time", firstInTime, of, ms(f.From)); err != nil {
			return s, err
		}
	}
	if !f.Until.IsZero() {
		s.last, err = tx.count("last in time", lastInTime, of, ms(f.Until))
	}
	return s, err
}

const (
	firstInTime = `SELECT COALESCE((SELECT number FROM deploys INDEXED BY deploys_created
		WHERE deployment = ? AND created_at + 0 >= ? ORDER BY created_at + 0 LIMIT 1), 1 << 31)`
	lastInTime = `SELECT COALESCE((SELECT number FROM deploys INDEXED BY deploys_created
		WHERE deployment = ? AND created_at + 0 < ? ORDER BY created_at + 0 DESC LIMIT 1), 0)`
)

func (tx *Tx) findDeploys(of slipway.DeploymentID, f DeployFilter, s span, order string, limit int) ([]slipway.Deploy, error) {
	match, possible := f.match()
	if !possible {
		return nil, nil
	}
	if match == "" {
		return list(tx, "deploys", scanDeploy, deploysIn+order+` LIMIT ?`, of, s.first, s.last, limit)
	}
	return list(tx, "found deploys", scanDeploy, deploysFound+order+` LIMIT ?`, of, match, s.first, s.last, f.Commit, limit)
}

var deploysIn = `
	SELECT ` + deployColumns + ` FROM deploys w
	WHERE w.deployment = ? AND w.number BETWEEN ? AND ? ORDER BY w.number `

// deploysFound reads the index by row, in the order of the deploys' numbers,
// and stops at the limit. CROSS JOIN keeps the tables in the order written
// here.
var deploysFound = `
	SELECT ` + deployColumns + ` FROM histories h
		CROSS JOIN deploys_words t
		CROSS JOIN deploys w ON w.deployment = h.deployment AND w.number = t.rowid - (h.serial << 32)
	WHERE h.deployment = ?1 AND t.deploys_words MATCH ?2 AND t.rowid BETWEEN (h.serial << 32) + ?3 AND (h.serial << 32) + ?4
		AND (?5 = '' OR w.git ->> '$.Commit' LIKE ?5 || '%')
	ORDER BY t.rowid `

// LiveAt returns the deploy whose state was desired at a time, and the deploy
// after; nil for none.
func (tx *Tx) LiveAt(of slipway.DeploymentID, at time.Time) (was, next *slipway.Deploy, err error) {
	if was, err = tx.anyDeploy("live then", liveThen, of, ms(at)); err != nil {
		return nil, nil, err
	}
	next, err = tx.anyDeploy("live after", liveAfter, of, ms(at))
	return was, next, err
}

func (tx *Tx) anyDeploy(what, query string, args ...any) (*slipway.Deploy, error) {
	w, found, err := first(list(tx, what, scanDeploy, query, args...))
	if err != nil || !found {
		return nil, err
	}
	return &w, nil
}

var (
	liveThen = `SELECT ` + deployColumns + ` FROM deploys w INDEXED BY deploys_live_at
		WHERE w.deployment = ? AND w.live_at > 0 AND w.live_at + 0 <= ? ORDER BY w.live_at + 0 DESC, w.position DESC LIMIT 1`
	liveAfter = `SELECT ` + deployColumns + ` FROM deploys w INDEXED BY deploys_live_at
		WHERE w.deployment = ? AND w.live_at > 0 AND w.live_at + 0 > ? ORDER BY w.live_at + 0, w.position LIMIT 1`
)

// DaySums counts the deploys of a Deployment by day, oldest day first, on the days
// from the one with from up to the one with until. Days without deploys are left out.
func (tx *Tx) DaySums(of slipway.DeploymentID, from, until time.Time) ([]slipway.DaySum, error) {
	var all []slipway.DaySum
	_, err := list(tx, "sums by day", func(r row) (_ struct{}, err error) {
		var day, n int
		var status slipway.Status
		var live, undone bool
		if err = r.Scan(&day, &status, &live, &undone, &n); err != nil {
			return struct{}{}, err
		}
		at := time.UnixMilli(int64(day) * dayMillis).UTC()
		if len(all) == 0 || !all[len(all)-1].Day.Equal(at) {
			all = append(all, slipway.DaySum{Day: at})
		}
		all[len(all)-1].Add(status, live, undone, n)
		return struct{}{}, nil
	}, daySums, of, ms(from)/dayMillis, ms(until)/dayMillis)
	return all, err
}

const dayMillis = 24 * 60 * 60 * 1000

// daySums reads the index alone: the cost is of the deploys on the asked days.
const daySums = `SELECT created_at / 86400000, status, live_at > 0, undone_by > 0, COUNT(*) FROM deploys INDEXED BY deploys_days
	WHERE deployment = ? AND created_at / 86400000 BETWEEN ? AND ?
	GROUP BY created_at / 86400000, status, live_at > 0, undone_by > 0`

// key is the word in the index for deploys with f's kind, status and deployer.
func (f DeployFilter) key() string {
	key := ""
	if f.Kind != "" {
		key += "k" + strings.ReplaceAll(string(f.Kind), "_", "")
	}
	if f.Status != "" {
		key += "s" + string(f.Status)
	}
	if f.By != "" {
		key += "b" + f.By
	}
	return key
}

// match returns the query of f on deploys_words, "" for none; possible is false
// if no deploy can match.
func (f DeployFilter) match() (query string, possible bool) {
	var terms []string
	if key := f.key(); key != "" {
		if all := words(key); len(all) != 1 || all[0] != key {
			return "", false
		}
		terms = append(terms, `"`+keySign+key+`"`)
	}
	if f.Commit != "" {
		if all := words(f.Commit); len(all) != 1 || all[0] != f.Commit {
			return "", false
		}
		terms = append(terms, beginning(keySign+"c"+f.Commit))
	}
	text, possible := textTerms(f.Text)
	return strings.Join(append(terms, text...), " AND "), possible
}

const (
	keySign   = "¤" // with which a key of deploys_words begins, and no word
	prefixMax = 10  // indexed first letters of a word
	wordsMax  = 12  // of a search; more tell nothing more
)

var deployNumber = regexp.MustCompile(`^#\d{1,9}$`)

// textTerms returns the terms to find every word of a text; possible is false
// for a text without words.
func textTerms(text string) (terms []string, possible bool) {
	text = strings.TrimSpace(text)
	if deployNumber.MatchString(text) {
		return []string{`"` + keySign + "n" + strings.TrimLeft(text[1:], "0") + `"`}, true
	}
	all := words(text)
	for _, w := range all[:min(len(all), wordsMax)] {
		term := beginning(w)
		if strings.Trim(w, "0123456789") == "" {
			term = "(" + term + ` OR "` + keySign + "n" + w + `")`
		}
		terms = append(terms, term)
	}
	return terms, text == "" || len(terms) > 0
}

// beginning is the term for words beginning with w. A single letter finds only
// itself: the index has no beginnings of one letter, which would match half of
// all words.
func beginning(w string) string {
	letters := []rune(w)
	if len(letters) == 1 {
		return `"` + w + `"`
	}
	return `"` + string(letters[:min(len(letters), prefixMax)]) + `"*`
}

// words splits text as the index does.
func words(text string) []string {
	return strings.FieldsFunc(norm.NFC.String(strings.ToValidUTF8(text, " ")), func(r rune) bool { return !inWord(r) })
}

// inWord reports whether the index counts r as a letter or digit. A few letters
// are unknown to the index.
func inWord(r rune) bool {
	unknown := unicode.Is(unicode.New_Tai_Lue, r) || r == '\u1cf2' || r == '\u1cf3'
	return (unicode.IsLetter(r) || unicode.IsNumber(r)) && !unknown
}
