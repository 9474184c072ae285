package config

import (
	"fmt"
	"math"

	"github.com/spf13/pflag"
)

// didYouMean names the flag nearest to key, or nothing if none is near.
func didYouMean(fs *pflag.FlagSet, key string) string {
	nearest, least := "", math.MaxInt
	fs.VisitAll(func(f *pflag.Flag) {
		if d := distance(key, f.Name); d < least && f.Name != FileFlag && f.Name != "help" {
			nearest, least = f.Name, d
		}
	})
	if least > 1+len(nearest)/3 {
		return "; the keys are the names of the flags"
	}
	return fmt.Sprintf("; did you mean %q?", nearest)
}

// distance is how many bytes must be inserted, removed or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
