package source

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
)

// withProfile is a hint to begin a session, with the profile's name where it is needed.
func (f *resolved) withProfile(command string) string {
	if f == nil {
		return command
	}
	return command + ofProfile(f.profile)
}

// loginHint is that of an SSO session.
func loginHint(profile string) string {
	return "brs-exec login" + ofProfile(profile) + ", or aws sso login" + ofProfile(profile)
}

func ofProfile(name string) string {
	if name == "" || name == config.DefaultSharedConfigProfile {
		return ""
	}
	return " --profile " + name
}

// caFileHint is for a server that is believed by a file of its own.
func (s *Source) caFileHint() string {
	if i := s.spec.IoT; i != nil && i.CAFile != "" {
		return "look at the file of --ca-file, " + i.CAFile + ": it must hold the authority that signs for this server"
	}
	return ""
}

func (e environ) caHint() string {
	if b := e.get("AWS_CA_BUNDLE"); b != "" {
		return "look at the file of AWS_CA_BUNDLE, " + b
	}
	return ""
}

// endpointHint names the variable that decides about the address of the service that
// was asked last, if one does.
func (s *Source) endpointHint() string {
	if name := s.vars().endpointVariable(s.web.service()); name != "" {
		return " (" + name + " is set)"
	}
	return ""
}

func skewHint(skew time.Duration) string {
	switch {
	case skew >= time.Minute:
		return fmt.Sprintf("this machine's clock is %s ahead of the server's: set it", skew)
	case skew <= -time.Minute:
		return fmt.Sprintf("this machine's clock is %s behind the server's: set it", -skew)
	}
	return ""
}

// agentHint is about the role that a container's agent gives.
func (e environ) agentHint() string {
	if strings.Contains(e.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"), "eks-pod-identity") {
		return "the pod's service account needs an association, with a role whose trust policy allows pods.eks.amazonaws.com to sts:AssumeRole and sts:TagSession"
	}
	return "the task's role must be there, and its trust policy must allow ecs-tasks.amazonaws.com to sts:AssumeRole"
}

// durationHint is for a duration that is out of range; with is the setting that requests it.
func (r refusal) durationHint(with, limit string) string {
	if message := strings.ToLower(r.message); strings.Contains(message, "greater than or equal") || strings.Contains(message, "minimum") {
		return "ask for a longer session (" + with + "): AWS gives none of less than 15m"
	}
	return "ask for a shorter session (" + with + "), or raise " + limit
}
