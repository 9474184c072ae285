package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// failed says what was being done to which object, and what came of it in words
// that help whoever runs this. The SDK's own are long, and a store's may repeat
// what it was sent. Credentials that are not known any more are not used again.
func (b *Bucket) failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if unknownKeys(apiCode(err)) {
		b.keys.forget()
	}
	return fmt.Errorf("%s s3://%s/%s: %w", op, b.o.Bucket, b.key(name), b.explain(err))
}

func (b *Bucket) explain(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the store did not answer in time: %w", explainAnswer(err))
	}
	var within, op *smithy.OperationError
	for rest := err; errors.As(rest, &op); rest = op.Err {
		within = op
	}
	if within != nil && within.ServiceID != "S3" {
		return fmt.Errorf("get credentials: %s: %w", within.Operation(), explainAnswer(within.Err))
	}
	if missing(err) {
		return fs.ErrNotExist
	}
	return explainAnswer(err)
}

func explainAnswer(err error) error {
	if sent, ok := errors.AsType[*url.Error](err); ok {
		return sent.Err
	}
	code, status := apiCode(err), 0
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) {
		status = answer.HTTPStatusCode()
	}
	if code == "" && status == 0 {
		if op, ok := errors.AsType[*smithy.OperationError](err); ok {
			return op.Err
		}
		return err
	}
	text := meaning(code, status)
	if text == "" {
		text = "refused"
		var api smithy.APIError
		if errors.As(err, &api) && api.ErrorMessage() != "" {
			text = api.ErrorMessage()
		}
	}
	if answer != nil && answer.ServiceRequestID() != "" {
		return fmt.Errorf("%s (%d %s, request %s)", text, status, code, answer.ServiceRequestID())
	}
	return fmt.Errorf("%s (%d %s)", text, status, code)
}

// meaning is what the refusals say that an operator can do something about.
func meaning(code string, status int) string {
	if unknownKeys(code) {
		return "the store does not know the credentials"
	}
	switch code {
	case "SlowDown", "ServiceUnavailable", "RequestLimitExceeded", "ThrottlingException", "TooManyRequests":
		return "the store asks for fewer requests"
	case "NoSuchBucket":
		return "there is no such bucket"
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return "the bucket is in another region"
	case "RequestTimeTooSkewed":
		return "this machine's clock is wrong"
	case "AccessDenied":
		return "the credentials do not allow it"
	}
	switch status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return "the store asks for fewer requests"
	case http.StatusForbidden:
		return "the credentials do not allow it"
	case http.StatusMovedPermanently:
		return "the bucket is in another region"
	}
	return ""
}

// unknownKeys reports whether the code is one with which a store refuses
// credentials that it does not know, or not any more.
func unknownKeys(code string) bool {
	switch code {
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "TokenRefreshRequired", "InvalidClientTokenId":
		return true
	}
	return false
}

// apiCode is the error code of the store's answer, empty if there was none.
func apiCode(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// missing reports whether the store said that there is no such object. A missing
// bucket is another matter, except to a HeadObject, which cannot tell.
func missing(err error) bool {
	code := apiCode(err)
	return code == "NoSuchKey" || code == "NotFound"
}

// refusedCondition reports whether the store refused because the object is not
// as the condition says, or is being changed at the moment, or because it has
// put our parts together already and we were not told.
func refusedCondition(err error) bool {
	switch apiCode(err) {
	case "PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "NotFound", "NoSuchUpload":
		return true
	}
	return false
}

// unknownCondition reports whether the store does not know such conditions.
func unknownCondition(err error) bool { return apiCode(err) == "NotImplemented" }
