package source

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
)

// BenchmarkNew is what a source costs at start-up, beside what the SDK's
// LoadDefaultConfig does.
func BenchmarkNew(b *testing.B) {
	many := strings.Builder{}
	for i := range 1000 {
		fmt.Fprintf(&many, "[profile p%d]\naws_access_key_id = A\naws_secret_access_key = S\nregion = eu-west-1\n", i)
	}
	tests := []struct {
		name, config string
		env          []string
		spec         Spec
	}{
		{"environment", "", []string{"AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=S"}, Spec{}},
		{"profile", "[profile p1]\naws_access_key_id = A\naws_secret_access_key = S\n", nil, Spec{Profile: "p1"}},
		{"profile of 1000", many.String(), nil, Spec{Profile: "p1"}},
		{"role", "", []string{"AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=S"}, Spec{Roles: []Role{{ARN: roleA}}}},
	}
	for _, tt := range tests {
		conf, _ := isolate(b)
		write(b, conf, tt.config)
		setenv(b, tt.env...)
		b.Run("source/"+tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustNew(b, tt.spec)
			}
		})
		b.Run("sdk/"+tt.name, func(b *testing.B) {
			ofProcess(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := config.LoadDefaultConfig(b.Context(), config.WithSharedConfigProfile(tt.spec.Profile)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRetrieve(b *testing.B) {
	isolate(b)
	baseEnv(b)
	sts := newSTS(b)
	setenv(b, "AWS_ENDPOINT_URL="+sts.URL)
	for name, spec := range map[string]Spec{"environment": {}, "role": {Roles: []Role{{ARN: roleA}}}} {
		b.Run(name, func(b *testing.B) {
			src := mustNew(b, spec)
			b.ReportAllocs()
			for b.Loop() {
				mustRetrieve(b, src)
			}
		})
	}
}
