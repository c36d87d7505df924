module brs-exec.example/brs-exec/integration/clients/gov1

go 1.25.0

require github.com/aws/aws-sdk-go v1.25.0

require (
	github.com/jmespath/go-jmespath v0.0.0-20180206201540-c2b33e8439af // indirect
	github.com/stretchr/testify v1.8.4 // indirect
	golang.org/x/net v0.20.0 // indirect
)
