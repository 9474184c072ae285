package s3

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"centrifuge/archive"
)

// List implements [archive.Bucket]. It holds one page of at most 1,000 names.
// What else lies below the prefix, under names that are none of ours, is passed
// over. A store that does not list in the order of bytes (Amazon's directory
// buckets) is an error: no archive can be read from it.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := ctx.Err(); err != nil {
			yield("", err)
			return
		}
		if !plain(prefix) {
			return // no name begins so
		}
		in := &s3.ListObjectsV2Input{
			Bucket: &b.o.Bucket, Prefix: aws.String(b.key(prefix)), EncodingType: types.EncodingTypeUrl,
		}
		if start := plainBound(after); start != "" {
			in.StartAfter = aws.String(b.key(start))
		}
		last := ""
		pages := s3.NewListObjectsV2Paginator(b.client, in)
		for pages.HasMorePages() {
			names, err := b.nextPage(ctx, pages)
			if err != nil {
				yield("", b.failed("list", prefix, err))
				return
			}
			for _, name := range names {
				if name <= last {
					yield("", b.failed("list", prefix, fmt.Errorf("the store lists out of order: %s after %s", name, last)))
					return
				}
				if last = name; name > after && strings.HasPrefix(name, prefix) && !yield(name, nil) {
					return
				}
			}
		}
	}
}

// nextPage returns the names of objects on the next page.
func (b *Bucket) nextPage(ctx context.Context, pages *s3.ListObjectsV2Paginator) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	page, err := pages.NextPage(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(page.Contents))
	for i := range page.Contents {
		key := aws.ToString(page.Contents[i].Key)
		if page.EncodingType == types.EncodingTypeUrl {
			if key, err = url.QueryUnescape(key); err != nil {
				return nil, fmt.Errorf("the store lists a name that is not encoded as it says: %w", err)
			}
		}
		name, ok := strings.CutPrefix(key, b.key(""))
		if ok && archive.CheckName(name) == nil {
			names = append(names, name)
		}
	}
	return names, nil
}

// plain reports whether s is of printable ASCII, which every store takes as it is.
func plain(s string) bool { return plainBound(s) == s }

// plainBound returns the longest beginning of s that is plain. It is no greater
// than s, so to list after it leaves nothing out.
func plainBound(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return s[:i]
		}
	}
	return s
}
