package visibility

import (
	"fmt"
	"time"
)

// Day is a day in UTC, counted from 1 January 1970. What is recorded of one day is
// stored together, and dropped together.
type Day int32

const (
	minutesOfDay  = 24 * 60
	minutesOfHour = 60
)

// DayOf is the day of a time.
func DayOf(t time.Time) Day { return minuteOf(t).day() }

// Start is the first moment of the day.
func (d Day) Start() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// String is the day as 2006-01-02.
func (d Day) String() string { return d.Start().Format(time.DateOnly) }

// ParseDay reads what [Day.String] writes.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("parse day %q: %w", s, err)
	}
	return DayOf(t), nil
}

// minute is a minute in UTC, counted from 1 January 1970.
type minute int64

func minuteOf(t time.Time) minute {
	s := t.Unix()
	m := s / 60
	if s%60 < 0 {
		m--
	}
	return minute(m)
}

func (m minute) time() time.Time { return time.Unix(int64(m)*60, 0).UTC() }

func (m minute) day() Day {
	d := m / minutesOfDay
	if m%minutesOfDay < 0 {
		d--
	}
	return Day(d)
}

// ofDay is the minute's place in its day.
func (m minute) ofDay() int { return int(m - m.day().first()) }

func (d Day) first() minute { return minute(d) * minutesOfDay }

// level is how long a span of time a cell is of.
type level uint8

// The levels. Their numbers are stored and never change.
const (
	levelMinute level = 0
	levelHour   level = 1
	levelDay    level = 2
)

func (l level) minutes() int {
	return [...]int{levelMinute: 1, levelHour: minutesOfHour, levelDay: minutesOfDay}[l]
}

// kind is what a cell is about.
type kind uint8

// The kinds. Their numbers are stored and never change.
const (
	kindQueue       kind = 0
	kindDestination kind = 1
	kindSource      kind = 2
	kindTotal       kind = 3
	kinds                = 4
)

// Within a day everything has a key of three parts: which space, which block of it,
// and a start, which is a minute of the day or a sequence number. Keys of one block
// lie together, so that a block's course over a day is read at one go.
type space uint8

// The spaces. Their numbers are stored and never change.
const (
	spaceNames    space = 1  // what ids mean
	spaceDeltas   space = 2  // flushes of a minute that is not sealed; block: minute, start: flush
	spaceGaps     space = 3  // what is missing
	spaceSamples  space = 4  // block: queue, start: see sampleSlot
	spaceNotes    space = 5  // see Note; block: sequence number
	spaceCounts   space = 16 // + level*kinds + kind; block: ids >> blockBits, start: minute
	spaceSketches space = 48 // + level*kinds + kind; block: ids >> sketchBits, start: minute
)

func countsOf(l level, k kind) space   { return spaceCounts + space(l)*kinds + space(k) }
func sketchesOf(l level, k kind) space { return spaceSketches + space(l)*kinds + space(k) }

// Ids share blocks so that the cost of a row is shared. Sketches of hours and days
// are long and wanted of few ids at a time.
const blockBits = 7

func sketchBits(l level) int {
	return [...]int{levelMinute: blockBits, levelHour: 3, levelDay: 0}[l]
}

func key(s space, block uint32, start int) uint64 {
	return uint64(s)<<48 | uint64(block)<<16 | uint64(uint16(start))
}

func spaceOf(key uint64) space  { return space(key >> 48) }
func blockOf(key uint64) uint32 { return uint32(key >> 16) }
func startOf(key uint64) int    { return int(uint16(key)) }
