package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// abortTimeout is how long giving up an upload may take, even when the caller
// has no time left.
const abortTimeout = 10 * time.Second

// storeParts sends an object in parts, one after the other, each of which may be
// repeated without the others. The object appears, whole, with the last request;
// the condition is checked then. If anything fails, the store is asked to forget
// the parts; what it does not forget a lifecycle rule of the bucket has to remove.
func (b *Bucket) storeParts(ctx context.Context, up *upload, c condition) error {
	id, err := b.beginParts(ctx, up)
	if err != nil {
		return err
	}
	parts, err := b.sendParts(ctx, up, id)
	if err == nil {
		err = b.finishParts(ctx, up, id, parts, c)
	}
	if err != nil {
		return errors.Join(err, b.abortParts(ctx, up, id))
	}
	return nil
}

func (b *Bucket) beginParts(ctx context.Context, up *upload) (id *string, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	out, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &b.o.Bucket, Key: aws.String(b.key(up.name)),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c, Metadata: map[string]string{sumKey: up.sum},
		ServerSideEncryption: types.ServerSideEncryption(b.o.Encryption), SSEKMSKeyId: b.kmsKey(),
	})
	if err != nil {
		return nil, fmt.Errorf("begin an upload in parts: %w", err)
	}
	return out.UploadId, nil
}

func (b *Bucket) sendParts(ctx context.Context, up *upload, id *string) ([]types.CompletedPart, error) {
	var parts []types.CompletedPart
	for rest := up.data; len(rest) > 0; {
		data := rest[:min(len(rest), b.o.PartBytes)]
		rest = rest[len(data):]
		part, err := b.sendPart(ctx, up, id, int32(len(parts)+1), data)
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", len(parts)+1, err)
		}
		parts = append(parts, part)
	}
	return parts, nil
}

func (b *Bucket) sendPart(ctx context.Context, up *upload, id *string, number int32, data []byte) (types.CompletedPart, error) {
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	sum := crc32c(data)
	out, err := b.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &b.o.Bucket, Key: aws.String(b.key(up.name)), UploadId: id, PartNumber: &number,
		Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))), ChecksumCRC32C: &sum,
	})
	if err != nil {
		return types.CompletedPart{}, err
	}
	return types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32C: &sum}, nil
}

func (b *Bucket) finishParts(ctx context.Context, up *upload, id *string, parts []types.CompletedPart, c condition) error {
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	_, err := b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &b.o.Bucket, Key: aws.String(b.key(up.name)), UploadId: id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		IfNoneMatch:     c.ifNoneMatch(), IfMatch: c.ifMatch(),
	})
	if err != nil {
		return fmt.Errorf("put the parts together: %w", err)
	}
	return nil
}

// abortParts has the store forget an upload. That it knows none such is fine:
// it may have put the parts together although we were told otherwise.
func (b *Bucket) abortParts(ctx context.Context, up *upload, id *string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &b.o.Bucket, Key: aws.String(b.key(up.name)), UploadId: id,
	})
	if err != nil && apiCode(err) != "NoSuchUpload" {
		return fmt.Errorf("abort upload %s: %w", aws.ToString(id), err)
	}
	return nil
}
