package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// sumKey is the metadata by which we know our own objects again. The store's
// checksums would not do: those of an object in parts are not of the whole.
const sumKey = "sha256"

// Each refusal of a condition means that somebody else changed the object in
// between. A store that refuses all the time is broken.
const maxRefusals = 100

// upload is an object on its way.
type upload struct {
	name string
	data []byte
	sum  string // SHA-256 of data, in hex
}

// condition is what must hold of the object in the store for it to be replaced;
// the zero condition is none.
type condition struct {
	absent bool
	etag   string
}

func (c condition) none() bool { return c == condition{} }

func (c condition) ifNoneMatch() *string {
	if c.absent {
		return aws.String("*")
	}
	return nil
}

func (c condition) ifMatch() *string {
	if c.etag != "" {
		return &c.etag
	}
	return nil
}

// Put implements [archive.Bucket].
func (b *Bucket) Put(ctx context.Context, name string, data []byte) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	up := &upload{name: name, data: data, sum: hex.EncodeToString(sum[:])}
	c := condition{absent: true}
	for range maxRefusals {
		err := b.store(ctx, up, c)
		switch {
		case err == nil:
			return nil
		case !c.none() && unknownCondition(err):
			c = condition{}
			continue
		case c.none() || !refusedCondition(err):
			return b.failed("put", name, err)
		}
		var same bool
		if c, same, err = b.compare(ctx, up); err != nil {
			return b.failed("put", name, fmt.Errorf("compare with what is there: %w", err))
		}
		if same {
			return nil
		}
	}
	return b.failed("put", name, fmt.Errorf("the object was changed by others %d times meanwhile", maxRefusals))
}

func (b *Bucket) store(ctx context.Context, up *upload, c condition) error {
	if len(up.data) > b.o.PartBytes {
		return b.storeParts(ctx, up, c)
	}
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.o.Bucket, Key: aws.String(b.key(up.name)),
		Body: bytes.NewReader(up.data), ContentLength: aws.Int64(int64(len(up.data))),
		ChecksumCRC32C: aws.String(crc32c(up.data)), Metadata: map[string]string{sumKey: up.sum},
		ServerSideEncryption: types.ServerSideEncryption(b.o.Encryption), SSEKMSKeyId: b.kmsKey(),
		IfNoneMatch: c.ifNoneMatch(), IfMatch: c.ifMatch(),
	})
	return err
}

// compare tells whether what the upload brings is there already and, if not, the
// condition on which to replace what is.
func (b *Bucket) compare(ctx context.Context, up *upload) (replace condition, same bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	head, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.o.Bucket, Key: aws.String(b.key(up.name))})
	if missing(err) {
		return condition{absent: true}, false, nil
	}
	if err != nil {
		return condition{}, false, err
	}
	etag := aws.ToString(head.ETag)
	if etag == "" {
		return condition{}, false, errors.New("the store did not tell the object's ETag")
	}
	same = head.Metadata[sumKey] == up.sum && aws.ToInt64(head.ContentLength) == int64(len(up.data))
	return condition{etag: etag}, same, nil
}

func (b *Bucket) kmsKey() *string {
	if b.o.KMSKey == "" {
		return nil
	}
	return &b.o.KMSKey
}

// crc32c is the checksum as S3 wants it told.
func crc32c(data []byte) string {
	sum := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}
