package run

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
	"brs-exec/refresh/source"
	"brs-exec/supervisor"
	"brs-exec/supervisor/sdnotify"
	"brs-exec/writer"
	"brs-exec/writer/endpoint"
)

// files makes the run directory and what the command is to find in it.
func (s *session) files(src *source.Source) (*writer.Private, error) {
	self, mode, err := writer.Self(s.plan.Deliver.Files)
	if mode != s.plan.Deliver.Files {
		s.log.Info("the command finds the endpoint alone, and no profile", "why", err)
	}
	o := writer.Options{
		Profile: src.Profile(), As: s.plan.As, Set: setName, Mode: mode, Region: src.Region(),
		Executable: self, KeepIMDS: s.plan.KeepIMDS, Notify: s.vanished,
	}
	o.ConfigFile, o.CredentialsFile = source.SharedFiles()
	files, err := writer.NewPrivate(o)
	if err != nil {
		return nil, err
	}
	for _, note := range files.Notes() {
		s.log.Warn(note)
	}
	return files, nil
}

// setName is what the one set of credentials of a session is called between
// the engine and its deliveries.
const setName = "command"

// deliver opens the channels beside the files, and supervises.
func (s *session) deliver(ctx context.Context, src *source.Source, files *writer.Private) (supervisor.Exit, error) {
	deliveries, region := []refresh.Delivery{files}, src.Region()
	var more []string
	if s.plan.Deliver.Endpoint {
		o := endpoint.Options{Profile: setName, Notify: s.socketEvent}
		if s.plan.Deliver.Files == writer.Auto {
			// Rust's object_store knows only the file. By itself the endpoint is for commands that cannot
			// read it (another user, another root), and most SDKs prefer it to the token, and fail.
			o.TokenFile = filepath.Join(files.Dir(), "token")
		}
		server, err := endpoint.Listen(o)
		if err != nil {
			return supervisor.Exit{}, err
		}
		if o.TokenFile != "" {
			if err := files.Adopt(filepath.Base(o.TokenFile)); err != nil {
				return supervisor.Exit{}, err
			}
		}
		deliveries, more = append(deliveries, server), server.Env()
		s.serve("the endpoint", server.Run)
	}
	if s.plan.Deliver.IMDS {
		server, err := endpoint.ListenIMDS(endpoint.IMDSOptions{Profile: setName, Region: region, AllowV1: s.plan.Deliver.V1, Notify: s.socketEvent})
		if errors.Is(err, endpoint.ErrNobody) {
			err = &plan.Error{Flag: "deliver", Text: "imds: " + err.Error(), Hint: "--deliver endpoint asks for a token; or map this user to a number of its own"}
		}
		if err != nil {
			return supervisor.Exit{}, err
		}
		deliveries = append(deliveries, server)
		s.serve("the instance metadata service", server.Run)
		more = append(server.Env(), "AWS_EC2_METADATA_DISABLED=false")
	}
	if s.plan.Shared.Path != "" {
		shared, err := s.openShared(ctx, src)
		if err != nil {
			return supervisor.Exit{}, err
		}
		deliveries = append(deliveries, shared)
		s.serve("the watch of the credentials file", shared.Run)
		defer s.closeShared(shared)
	}
	var keys variables
	if s.plan.Deliver.Env {
		deliveries = append(deliveries, &keys)
	}
	s.environ = func() []string {
		env, _ := files.Env(os.Environ(), slices.Concat(more, keys.env(), lateRegion(src, region))...)
		return sdnotify.Env(env, s.plan.NotifyChild)
	}
	_, scrubbed := files.Env(os.Environ(), more...)
	s.log.Info("source", "from", src.Describe(), "dir", files.Dir())
	if len(scrubbed) > 0 {
		s.log.Info("taken out of the command's environment", "names", strings.Join(scrubbed, " "))
	}
	s.profile = files.Profile()
	s.record = newRecorder(s.plan.Argv[0], src.Describe(), files.WriteStatus)
	s.serve("the status record", s.record.run)
	s.keepFiles(files)
	deliveries = append(deliveries, s.watchReaders(files, deliveries)...)
	return s.supervise(ctx, src, deliveries)
}

// socketEvent tells of a socket that the command asks for credentials.
func (s *session) socketEvent(err error) {
	switch {
	case err == nil:
		s.log.Warn("the command's credentials are answered for again")
	case errors.Is(err, syscall.EADDRINUSE):
		s.log.Error("another program has the port that the command asks for credentials: do not trust what it is told there; trying to get it back", "err", err)
	default:
		s.log.Error("the command's requests for credentials are not answered; trying again", "err", err)
	}
}

// variables is a delivery to the environment of the next start.
type variables struct {
	mu    sync.Mutex
	creds aws.Credentials
}

func (v *variables) Deliver(_ context.Context, sets map[string]aws.Credentials) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if creds, ok := sets[setName]; ok {
		v.creds = creds
	}
	return nil
}

func (v *variables) env() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return writer.KeyVariables(v.creds)
}

// lateRegion is for a region that only the instance knows, and that the files
// therefore do not have.
func lateRegion(src *source.Source, known string) []string {
	if region := src.Region(); region != known {
		return []string{"AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region}
	}
	return nil
}
