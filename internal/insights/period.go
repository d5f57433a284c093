package insights

import "time"

// Period is a number of days up to today.
type Period struct {
	Days  int
	First int // day
	Last  int // today
	Unit  Unit
}

// Unit is what a period is divided into.
type Unit int

// The units.
const (
	ByDay   Unit = iota
	ByWeek       // from Monday
	ByMonth      // of the calendar
)

// Periods are the lengths of periods in days, shortest first.
var Periods = []int{30, 90, 365}

// PeriodOf returns the period of a number of days up to now. A number that is none
// of Periods is 90.
func PeriodOf(days int, now time.Time) Period {
	p := Period{Days: 90, Last: Day(now), Unit: ByWeek}
	switch days {
	case 30:
		p.Days, p.Unit = 30, ByDay
	case 365:
		p.Days, p.Unit = 365, ByMonth
	}
	p.First = p.Last - p.Days + 1
	return p
}

// Before returns the period as long as p that ends the day before p.
func (p Period) Before() Period {
	p.First, p.Last = p.First-p.Days, p.First-1
	return p
}

// Parts returns the first days of the parts of p, oldest first. The first part may
// begin in the middle of its week or month, and the last one goes on.
func (p Period) Parts() (first []int) {
	for day := p.First; day <= p.Last; day++ {
		if day == p.First || p.Unit.begins(DayAt(day)) {
			first = append(first, day)
		}
	}
	return first
}

func (u Unit) begins(t time.Time) bool {
	switch u {
	case ByWeek:
		return t.Weekday() == time.Monday
	case ByMonth:
		return t.Day() == 1
	}
	return true
}

// Weekly returns n in the period as a number for each week.
func (p Period) Weekly(n int64) float64 { return float64(n) * 7 / float64(p.Days) }
