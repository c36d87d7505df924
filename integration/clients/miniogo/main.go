// Command miniogo uploads a file with MinIO's client library, which signs each chunk where the
// endpoint has no TLS, and says its checksum in a trailer if "trailer" is asked for:
//
//	miniogo plain|trailer BUCKET KEY FILE
//
// Endpoint and keys are those of AWS's variables.
package main

import (
	"context"
	"fmt"
	"net/url"
	"os"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

func main() {
	if err := upload(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func upload(kind, bucket, key, file string) error {
	endpoint, err := url.Parse(os.Getenv("AWS_ENDPOINT_URL"))
	if err != nil {
		return err
	}
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:           credentials.NewStaticV4(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")),
		Secure:          endpoint.Scheme == "https",
		Region:          os.Getenv("AWS_REGION"),
		TrailingHeaders: kind == "trailer",
	})
	if err != nil {
		return err
	}
	options := minio.PutObjectOptions{DisableMultipart: true}
	if kind == "trailer" {
		options.Checksum = minio.ChecksumCRC32C
	}
	_, err = client.FPutObject(context.Background(), bucket, key, file, options)
	return err
}
