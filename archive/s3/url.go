package s3

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"centrifuge/archive"
)

const maxPrefix = 256 // bytes: with the longest name, well within S3's 1,024

// ParseURL reads options such as
//
//	s3://bucket/prefix?region=eu-west-1&sse=aws:kms&kms-key=alias/archive
//	s3://bucket?endpoint=http://127.0.0.1:9000&path-style=true
//
// Credentials have no place in it; errors do not repeat the text, as it may have
// some all the same.
func ParseURL(text string) (Options, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return Options{}, errors.New("not a URL such as s3://bucket/prefix?region=eu-west-1")
	case u.Scheme != "s3" || u.Opaque != "":
		return Options{}, errors.New("not a URL that begins with s3://")
	case u.User != nil:
		return Options{}, errors.New("credentials do not belong in the URL; they are found by the AWS SDK's chain")
	case u.Fragment != "":
		return Options{}, errors.New("the URL has a fragment (#), which means nothing here")
	}
	o := Options{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Options{}, errors.New("what follows the question mark is not key=value&key=value")
	}
	for _, key := range slices.Sorted(maps.Keys(query)) {
		if len(query[key]) != 1 || query[key][0] == "" {
			return Options{}, fmt.Errorf("%.40q must have one value", key)
		}
		if err := o.set(key, query[key][0]); err != nil {
			return Options{}, err
		}
	}
	return o, o.check()
}

func (o *Options) set(key, value string) (err error) {
	switch key {
	case "region":
		o.Region = value
	case "endpoint":
		o.Endpoint = value
	case "path-style":
		if o.PathStyle, err = strconv.ParseBool(value); err != nil {
			return errors.New("path-style: want true or false")
		}
	case "sse":
		o.Encryption = value
	case "kms-key":
		o.KMSKey = value
	default:
		return fmt.Errorf("unknown key %.40q; there are region, endpoint, path-style, sse and kms-key", key)
	}
	return nil
}

// check refuses what no store could make sense of.
func (o *Options) check() error {
	if err := checkBucketName(o.Bucket); err != nil {
		return err
	}
	if o.Prefix != "" {
		if err := archive.CheckName(o.Prefix); err != nil {
			return fmt.Errorf("prefix: %w", err)
		}
		if len(o.Prefix) > maxPrefix {
			return fmt.Errorf("prefix: %d bytes, more than %d", len(o.Prefix), maxPrefix)
		}
	}
	for i := range len(o.Region) {
		if c := o.Region[i]; !lowerOrDigit(c) && c != '-' {
			return errors.New("region: not a name such as eu-west-1")
		}
	}
	if o.Endpoint != "" {
		if err := checkEndpoint(o.Endpoint); err != nil {
			return fmt.Errorf("endpoint: %w", err)
		}
	}
	switch o.Encryption {
	case "", "AES256", "aws:kms":
	default:
		return errors.New("sse: want AES256 or aws:kms")
	}
	if o.KMSKey != "" && o.Encryption != "aws:kms" {
		return errors.New("kms-key goes with sse=aws:kms")
	}
	if o.PartBytes != 0 && o.PartBytes < minPartBytes {
		return fmt.Errorf("parts of %d bytes: S3 wants at least %d", o.PartBytes, minPartBytes)
	}
	if o.Timeout < 0 {
		return errors.New("the timeout is below 0")
	}
	return nil
}

// checkBucketName knows the rules that matter to a URL: 3 to 63 lower-case
// letters, digits, dots and hyphens, the first and the last none of the latter.
func checkBucketName(name string) error {
	ok := len(name) >= 3 && len(name) <= 63 && lowerOrDigit(name[0]) && lowerOrDigit(name[len(name)-1])
	for i := range len(name) {
		ok = ok && (lowerOrDigit(name[i]) || name[i] == '.' || name[i] == '-')
	}
	if !ok {
		return errors.New("the bucket's name must be of 3 to 63 lower-case letters, digits, '.' and '-'")
	}
	return nil
}

func lowerOrDigit(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func checkEndpoint(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("not a URL such as https://s3.example.com")
	case u.User != nil:
		return errors.New("credentials do not belong in the URL")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return errors.New("it must end with the host or a path")
	}
	return nil
}
