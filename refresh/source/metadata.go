package source

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// metadata is the instance metadata service as the SDK's provider asks it, with
// an ear on the answers: the provider says that credentials expire in an hour at
// most, which would make the same credentials look like new ones each time, and which is
// counted on the local clock where everything else is on the server's.
type metadata struct {
	client *imds.Client // set once the configuration is loaded

	expires time.Time // of the last credentials that it gave
	endless bool      // they had none: no AWS, which always has one
}

// GetMetadata implements ec2rolecreds.GetMetadataAPIClient.
func (m *metadata) GetMetadata(ctx context.Context, in *imds.GetMetadataInput, opts ...func(*imds.Options)) (*imds.GetMetadataOutput, error) {
	out, err := m.client.GetMetadata(ctx, in, opts...)
	if err != nil || strings.HasSuffix(in.Path, "/") {
		return out, err // a list of roles
	}
	defer out.Content.Close()
	body, err := io.ReadAll(out.Content)
	if err != nil {
		return nil, err
	}
	out.Content = io.NopCloser(bytes.NewReader(body))
	m.expires, m.endless = time.Time{}, false
	var answer struct{ Expiration *time.Time }
	if json.Unmarshal(body, &answer) == nil {
		if m.endless = answer.Expiration == nil; !m.endless {
			m.expires = *answer.Expiration
		}
	}
	return out, nil
}

// region asks for the instance's region, "" if it cannot be had: not knowing it
// is no failure of a refresh.
func (m *metadata) region(ctx context.Context) string {
	out, err := m.client.GetRegion(ctx, &imds.GetRegionInput{})
	if err != nil {
		return ""
	}
	return out.Region
}
