package writer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func deliver(p *Private, creds aws.Credentials) error {
	return p.Deliver(context.Background(), map[string]aws.Credentials{p.starting: creds})
}

// helpPrivate makes a run directory in DIR, says which, and removes it when
// its input ends. With a second argument it goes on delivering new credentials.
func helpPrivate(args []string) error {
	p, err := NewPrivate(Options{Executable: "/bin/brs-exec", Dirs: args[:1]})
	if err != nil {
		return err
	}
	if err := deliver(p, numbered(0)); err != nil {
		return err
	}
	fmt.Println(p.Dir())
	ended := make(chan struct{})
	go func() { io.Copy(io.Discard, os.Stdin); close(ended) }()
	var derr error
	for i := 1; derr == nil; i++ {
		if len(args) > 1 {
			derr = deliver(p, numbered(i))
			select {
			case <-ended:
				return errors.Join(derr, p.Close())
			default:
			}
			continue
		}
		<-ended
		return p.Close()
	}
	return errors.Join(derr, p.Close())
}

// helpMany does that with profiles, one of which comes and goes, until its input ends.
func helpMany(args []string) error {
	p, err := NewPrivate(Options{Mode: File, Profiles: listed("a", "b"), Dirs: args[:1]})
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { io.Copy(io.Discard, os.Stdin); close(ended) }()
	for i := 0; err == nil; i++ {
		sets := map[string]aws.Credentials{"a": numbered(i), "b": numbered(i), "c": numbered(i)}
		if err = p.Deliver(context.Background(), sets); err == nil {
			err = p.SetProfiles([][]Profile{listed("a", "b"), listed("a", "b", "c")}[i%2])
		}
		if i == 0 {
			fmt.Println(p.Dir())
		}
		select {
		case <-ended:
			return errors.Join(err, p.Close())
		default:
		}
	}
	return errors.Join(err, p.Close())
}
