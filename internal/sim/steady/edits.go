package steady

import (
	"fmt"
	"strings"
)

// edit replaces text of a file of package runtime, which must be there exactly once.
type edit struct{ file, old, new string }

// edits are what the steady runtime does differently. They fit Go 1.26.
var edits = [...]edit{
	// A bubble has a random number generator of its own (SplitMix64), that nothing
	// outside the bubble draws from. All bubbles start from the same number.
	{file: "synctest.go", old: `
	active  int // other sources of activity
}
`, new: `
	active  int // other sources of activity

	rand uint64
}

//go:nosplit
func (bubble *synctestBubble) draw() uint64 {
	bubble.rand += 0x9e3779b97f4a7c15
	z := bubble.rand
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
`},

	// Its goroutines draw from it what math/rand and maps ask for. The keys with which
	// maps hash are the same in every process.
	{file: "rand.go", old: `
func rand() uint64 {
`, new: `
func rand() uint64 {
	if bubble := getg().bubble; bubble != nil {
		return bubble.draw()
	}
`},
	{file: "rand.go", old: `
	globalRand.state.Init(*seed)
`, new: `
	clear(seed[:])
	globalRand.state.Init(*seed)
`},

	// It decides which of two timers of one instant is first,
	{file: "time.go", old: `t.rand = cheaprand()`, new: `t.rand = uint32(getg().bubble.draw())`},

	// which of the cases that are ready a select takes,
	{file: "select.go", old: `
		j := cheaprandn(uint32(norder + 1))
`, new: `
		j := cheaprandn(uint32(norder + 1))
		if gp.bubble != nil {
			j = uint32(gp.bubble.draw() % uint64(norder+1))
		}
`},

	// and whether a goroutine that becomes ready runs next or is the last in the queue, as
	// chance does under the race detector: more orders occur than one.
	{
		file: "proc.go",
		old:  `if randomizeScheduler && next && randn(2) == 0 {`,
		new:  `if next && gp.bubble != nil && gp.bubble.draw()&1 == 0 {`,
	},
	{file: "proc.go", old: `const randomizeScheduler = raceenabled`, new: `const randomizeScheduler = false`},

	// A goroutine keeps its processor until it waits, whatever time it takes, and during
	// system calls.
	{file: "proc.go", old: `
func retake(now int64) uint32 {
`, new: `
func retake(now int64) uint32 {
	return 0
`},
}

func (e *edit) apply(source string) (string, error) {
	if n := strings.Count(source, e.old); n != 1 {
		return "", fmt.Errorf("%d places are like this one, and should be 1; this is another Go than the edits were made for:\n%s", n, e.old)
	}
	return strings.Replace(source, e.old, e.new, 1), nil
}
