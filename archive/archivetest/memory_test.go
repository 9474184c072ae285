package archivetest_test

import (
	"testing"

	"centrifuge/archive"
	"centrifuge/archive/archivetest"
)

func TestMemory(t *testing.T) {
	places := map[string]*archivetest.Memory{}
	archivetest.Run(t, func(_ *testing.T, place string) archive.Bucket {
		if places[place] == nil {
			places[place] = &archivetest.Memory{}
		}
		return places[place]
	})
}
