//go:build linux

package main

import "time"

// clients are the rows. A directory of integration/clients holds each program
// that is written for the purpose; the others are commands as they come.
var clients = []client{
	{
		name: "boto3", title: "boto3", core: true,
		command: []string{"$CLIENTS/venv/bin/python", "$SOURCE/boto3/client.py"},
		version: []string{"$CLIENTS/venv/bin/python", "-c", "import boto3; print(boto3.__version__)"},
		needs:   []string{"$CLIENTS/venv/bin/python"},
	},
	{
		name: "awscli", title: "AWS CLI v1, call after call", core: true,
		command: []string{"bash", "$SOURCE/awscli/client.sh"},
		version: []string{"$CLIENTS/venv/bin/aws", "--version"},
		needs:   []string{"$CLIENTS/venv/bin/aws"},
		env:     map[string]string{"PATH": "$CLIENTS/venv/bin:/usr/local/bin:/usr/bin:/bin"},
	},
	{
		name: "awscli-cp", title: "AWS CLI v1, one `s3 cp --recursive`", core: true,
		command: []string{"$CLIENTS/venv/bin/aws", "s3", "cp", "--recursive", "--only-show-errors", "$DIR/files", "s3://jobs/bulk/"},
		version: []string{"$CLIENTS/venv/bin/aws", "--version"},
		needs:   []string{"$CLIENTS/venv/bin/aws"},
		config:  "s3 =\n  max_concurrent_requests = 2\n",
		once:    true, files: 400, hold: map[string]time.Duration{"PutObject": 2 * time.Second},
	},
	{
		name: "gov1", title: "aws-sdk-go v1", core: true,
		command: []string{"$CLIENTS/matrix/bin/gov1"},
		version: []string{"$CLIENTS/matrix/bin/gov1", "version"},
		needs:   []string{"$CLIENTS/matrix/bin/gov1"},
	},
	{
		name: "gov2", title: "aws-sdk-go-v2", core: true,
		command: []string{"$CLIENTS/matrix/bin/gov2"},
		version: []string{"sh", "-c", "go version -m $CLIENTS/matrix/bin/gov2 | sed -n 's|.*aws-sdk-go-v2/config\tv|v|p'"},
		needs:   []string{"$CLIENTS/matrix/bin/gov2"},
	},
	{
		name: "jsv3", title: "AWS SDK for JavaScript v3", core: true,
		command: []string{"node", "$SOURCE/jsv3/client.js"},
		version: []string{"node", "$SOURCE/jsv3/client.js", "version"},
		needs:   []string{"node", "$CLIENTS/matrix/jsv3/node_modules/@aws-sdk/client-sts"},
		env:     map[string]string{"NODE_PATH": "$CLIENTS/matrix/jsv3/node_modules"},
	},
	{
		name: "jsv2", title: "AWS SDK for JavaScript v2", core: true,
		command: []string{"node", "$SOURCE/jsv2/client.js"},
		version: []string{"node", "$SOURCE/jsv2/client.js", "version"},
		needs:   []string{"node", "$CLIENTS/matrix/jsv2/node_modules/aws-sdk"},
		env:     map[string]string{"NODE_PATH": "$CLIENTS/matrix/jsv2/node_modules"},
	},
}
