package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"

	"brs-exec.example/brs-exec/refresh/doctor/clients"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor"
)

// examineCommand says what the command is, and what becomes of its credentials.
func (d *examination) examineCommand() {
	if d.look == nil {
		d.note("command", "brs-exec doctor … -- COMMAND", "none given: what it would pick up is not known")
		return
	}
	r := d.look
	if _, err := supervisor.Find(d.Plan.Argv, os.Environ()); err != nil { // as a run says it
		r.Err = err
	}
	if r.Err != nil {
		hint := "check PATH, or give the path of the file"
		switch {
		case errors.Is(r.Err, fs.ErrPermission):
			hint = "chmod +x, or put its interpreter in front"
		case len(r.Steps) > 1:
			hint = "check the path: a relative one begins in the working directory"
		}
		d.problem("command", hint, "%v", r.Err)
	} else if len(r.Steps) > 0 {
		by := ""
		if r.Runtime != "" {
			by = " (" + r.Runtime + ")"
		}
		d.ok("command", "%s%s", strings.Join(r.Steps, " → "), by)
	}
	cut := false // nothing that is delivered gets there
	for _, t := range r.Traps {
		d.trap(t)
		cut = cut || d.cuts(t) || t.Kind == clients.LeftBehind && r.Runtime == ""
	}
	var beside []string
	named := slices.ContainsFunc(r.Clients, func(c clients.Client) bool { return c.Named })
	for _, c := range r.Clients {
		switch {
		case cut || r.Err != nil:
		case c.Named || len(r.Clients) == 1:
			d.client(c, named)
		case !named:
			beside = append(beside, c.String())
		}
	}
	switch {
	case r.Err != nil || cut:
	case r.Shell:
		d.unknown("is a shell script, and doctor does not know what AWS clients it starts; ask about each command in it: brs-exec doctor -- COMMAND")
	case len(beside) > 0:
		d.unknown("names no AWS client, so that its own is not known; installed beside it: %s", strings.Join(beside, ", "))
	case len(r.Clients) == 0:
		d.unknown("no AWS client that is known here was found; looked at %s", strings.Join(append(r.Looked, "its name"), "; "))
	}
}

// client says what a client does with what is delivered; named if the command
// names it, or another.
func (d *examination) client(c clients.Client, named bool) {
	v, known := c.Under(d.Deliver)
	if d.bare && v.Takes == clients.Process {
		v, known = c.Under("endpoint")
	}
	if !known {
		return
	}
	level, text := d.outcome(v)
	hint := ""
	switch {
	case level == "ok":
	case v.Takes == clients.Unclear && len(c.Helps()) == 0:
		hint = "measure it with credentials that expire after 20 seconds: " + d.trial()[0]
	default:
		hint = d.remedy(c)
	}
	name := c.String()
	if !named {
		name += " is installed; if the command uses it: it"
		level = strings.Replace(level, "problem", "note", 1)
	}
	d.add(level, "command", hint, "%s %s [%s]", name, text, c.Where)
	if v.Takes != clients.Process {
		return
	}
	if _, err := exec.LookPath("sh"); err != nil && v.Shell && os.PathSeparator == '/' {
		d.problem("command", d.With("--deliver endpoint"), "%s runs a credential_process through sh, and there is none in PATH", c)
	}
	if most := c.OutputLimit(); d.size > most && most > 0 {
		d.problem("command", d.With("--deliver endpoint"), "%s reads at most %d bytes from a credential_process, and credentials of this source take %d", c, most, d.size)
	}
}

// outcome words what a client does.
func (d *examination) outcome(v clients.Outcome) (level, text string) {
	switch under := " credentials under --deliver " + d.Deliver; {
	case v.Takes == clients.Environ:
		level, text = "ok", "has the keys in its environment, and is started again at each refresh"
	case v.Takes == clients.Local:
		level, text = "ok", "has keys that do not expire, and brs-exec signs its requests anew"
	case v.Takes == clients.Unclear && d.Deliver == "sign":
		level, text = "note", "may or may not send its requests to brs-exec"
	case v.Takes == clients.None && d.Deliver == "sign":
		level, text = "problem", "sends its requests past brs-exec, which cannot sign them anew"
	case v.Takes == clients.Unclear && v.Versions:
		level, text = "note", "may or may not find"+under+", as its version is, which cannot be told"
	case v.Takes == clients.Unclear:
		level, text = "note", "may or may not find"+under
	case v.Takes == clients.None:
		level, text = "problem", "finds no"+under
	case v.Outlives:
		level, text = "ok", fmt.Sprintf("takes credentials from %s, and goes on with newer ones", v.Takes)
	case v.Takes == clients.IMDS:
		level, text = "problem", fmt.Sprintf("takes credentials from %s, and goes on with expired ones", v.Takes)
	default:
		level, text = "problem", fmt.Sprintf("takes credentials from %s once, and fails when they expire", v.Takes)
	}
	if v.Why != "" {
		text += " (" + v.Why + ")"
	}
	if v.Outlives && !v.Tried {
		text += "; from its source code, not tried"
	}
	return level, text
}

// remedy is the flag that helps a client.
func (d *examination) remedy(c clients.Client) string {
	helps := slices.DeleteFunc(c.Helps(), func(name string) bool { return name == d.Deliver || d.listed() && name == "imds" })
	sign, _ := c.Under("sign")
	switch v, _ := c.Under("env"); {
	case c.ID == "curl":
		return "have each call read the section [brs-static] of $AWS_SHARED_CREDENTIALS_FILE anew"
	case len(helps) > 0:
		return d.With("--deliver " + helps[0])
	case v.Takes == clients.Environ && sign.Takes == clients.Unclear && d.Deliver != "sign":
		return d.With("--deliver sign") + "; if it sends its requests past brs-exec: --deliver env --on-refresh restart"
	case v.Takes == clients.Environ && !d.listed():
		return d.With("--deliver env --on-refresh restart")
	}
	return "no delivery helps it: another client does"
}

// trap says what becomes of the credentials in one.
func (d *examination) trap(t clients.Trap) {
	level := "problem"
	if t.Maybe {
		level = "note"
	}
	switch t.Kind {
	case clients.SelectsProfile:
		d.selects(t)
		return
	case clients.OtherUser, clients.OtherFiles, clients.OtherNetwork:
		d.apart(t)
		return
	case clients.ReadsVariable, clients.ReadsFile:
		d.readsItself(t, level)
		return
	case clients.CopiesKeys:
		level = "note"
	}
	if d.Deliver == "sign" && slices.Contains([]clients.Kind{clients.PassesKeys, clients.CopiesKeys, clients.KeepsCopy}, t.Kind) {
		return // local keys do not expire
	}
	hint, text := trapText(t)
	d.add(level, "command", hint, text, t.What, t.Where)
}

// behind is how to get behind a program that keeps credentials out.
func behind(t clients.Trap) string {
	return "put brs-exec behind it: " + t.What + " … brs-exec … -- …"
}

// trapText has What and Where as its operands.
func trapText(t clients.Trap) (hint, text string) {
	there := ": " + t.What + " … brs-exec … -- …"
	switch t.Kind {
	case clients.PassesKeys:
		if t.Maybe {
			return "leave them out", "%[2]s: %[1]s hands on keys if it is given any: the client then looks for no others"
		}
		return "leave the keys out, so that the client looks for them itself", "%[2]s: %[1]s hands keys to the client, which then looks for no others"
	case clients.CopiesKeys:
		return "let whatever gets the copy look for credentials itself", "%[2]s: %[1]s copies credentials, and the copy expires"
	case clients.KeepsCopy:
		return "leave it out: the client then asks the endpoint itself", "%[2]s: %[1]s keeps credentials for 30 minutes, and signs with expired ones"
	case clients.SetsVariable:
		return "take it out of there", "%[2]s sets %[1]s, which wins over what is delivered"
	case clients.DropsEnvironment:
		return behind(t), "%[1]s starts the rest with a new environment, in which nothing says where the credentials are"
	case clients.OtherPlace:
		return "run brs-exec there" + there, "%[1]s runs the rest elsewhere, where neither the files nor the endpoint are"
	}
	// clients.LeftBehind
	hint = "run brs-exec in there" + there
	if t.What == "setsid" {
		hint = "setsid --wait"
	}
	if t.Maybe {
		return hint, "%[1]s may go on in the background when the command and brs-exec have ended: nobody would refresh its credentials"
	}
	return hint, "%[1]s goes on in the background when the command and brs-exec have ended: nobody refreshes its credentials"
}

// surroundings are what a program starts the rest in: what they keep from it, the
// deliveries that get there all the same, and the one to advise.
func surroundings(k clients.Kind) (what string, reach []string, helps string) {
	switch k {
	case clients.OtherUser:
		return "as another user, who cannot read the run directory", []string{"endpoint", "env"}, "endpoint"
	case clients.OtherFiles:
		return "with other files, among which the run directory is not", []string{"endpoint", "env", "imds"}, "endpoint"
	case clients.OtherNetwork:
		return "in another network, from which the endpoint cannot be reached", []string{"auto", "process", "file", "env"}, "process"
	}
	return "", nil, ""
}

// cuts reports whether nothing that is delivered reaches what a program starts.
func (d *examination) cuts(t clients.Trap) bool {
	switch t.Kind {
	case clients.DropsEnvironment, clients.OtherPlace:
		return true
	case clients.OtherUser, clients.OtherFiles, clients.OtherNetwork:
		_, reach, _ := surroundings(t.Kind)
		return !slices.Contains(reach, d.Deliver) || t.Kind == clients.OtherNetwork && d.bare
	}
	return false
}

// apart is about what runs where only some of the deliveries are.
func (d *examination) apart(t clients.Trap) {
	what, _, helps := surroundings(t.Kind)
	switch {
	case d.cuts(t):
		d.problem("command", d.With("--deliver "+helps)+"; or "+behind(t), "%s starts the rest %s", t.What, what)
	case d.Deliver == "auto":
		d.note("command", d.With("--deliver "+helps), "%s starts the rest %s: only what takes the profile gets credentials", t.What, what)
	default:
		d.ok("command", "%s starts the rest %s, which --deliver %s does without", t.What, what, d.Deliver)
	}
}

// readsItself is about a program that has an AWS client of its own making, or gives
// its client what it has read.
func (d *examination) readsItself(t clients.Trap, level string) {
	switch {
	case t.Kind == clients.ReadsVariable && d.Deliver != "env" && (d.Deliver != "sign" || d.listed()):
		d.add(level, "command", d.With("--deliver sign")+"; or, if its requests would pass brs-exec by, --deliver env --on-refresh restart", "%s reads %s, which only --deliver sign and env set", t.Where, t.What)
	case d.Deliver == "sign":
	case t.What == ".aws/credentials" && d.Plan.Shared.Path == "":
		d.add(level, "command", d.With("--credentials-file ~/.aws/credentials"), "%s names %s: if it reads that file itself, it finds what was there before", t.Where, t.What)
	case t.What == "AWS_SHARED_CREDENTIALS_FILE" && d.Deliver != "file":
		d.add(level, "command", d.With("--deliver file"), "%s names %s: if it reads that file itself, it finds keys there only with --deliver file", t.Where, t.What)
	}
}

// selects is about a profile that the command names itself.
func (d *examination) selects(t clients.Trap) {
	ofList := func(p listed) bool { return p.Name == t.What }
	if t.What == d.profile || t.What == "default" || slices.Contains(d.Plan.As, t.What) || slices.ContainsFunc(d.sources, ofList) {
		d.ok("command", "%s: profile %q is one that it finds the credentials under", t.Where, t.What)
		return
	}
	if d.source != nil && source.HasProfile(t.What) { // else the configuration may not be readable
		d.note("command", d.With("--as-profile "+t.What), "%s: it selects profile %q, and so gets that profile's own credentials, not those that are kept fresh", t.Where, t.What)
		return
	}
	d.problem("command", d.With("--as-profile "+t.What), "%s: it selects profile %q, which it will not find", t.Where, t.What)
}
