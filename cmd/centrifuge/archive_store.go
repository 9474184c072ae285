package main

import (
	"cmp"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"centrifuge/archive"
	"centrifuge/archive/s3"
)

// archiveStore is a bucket that is let go of at the end.
type archiveStore interface {
	archive.Bucket
	Close() error
}

// s3Store is the bucket on S3: it has nothing to let go of.
type s3Store struct{ *s3.Bucket }

func (s3Store) Close() error { return nil }

// A start waits so long to hear whether the archive answers.
const archiveCheck = 5 * time.Second

// openArchive opens the place that --archive names. That S3 does not answer keeps
// nobody from serving: jobs stay archiving until it does. But a mistake in its
// configuration would look the same, so it is asked, and the log says what came
// of it.
func openArchive(ctx context.Context, o *serveOptions, logger *slog.Logger) (archiveStore, error) {
	if !isURL(o.archive) {
		return archive.OpenFolder(cmp.Or(o.archive, filepath.Join(o.dataDir, "archive")))
	}
	options, err := s3.ParseURL(o.archive)
	if err != nil {
		return nil, usagef("--archive: %v", err)
	}
	bucket, err := s3.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, archiveCheck)
	defer cancel()
	if err := bucket.Check(ctx); err != nil {
		logger.Warn("the archive does not answer; what is archived waits until it does", "archive", bucket.String(), "error", err)
	}
	return s3Store{bucket}, nil
}

// checkArchive refuses a value of --archive that is the place of nothing.
func checkArchive(place string) error {
	if !isURL(place) {
		return nil
	}
	if _, err := s3.ParseURL(place); err != nil {
		return usagef("--archive: %v", err)
	}
	return nil
}

func isURL(place string) bool { return strings.Contains(place, "://") }
