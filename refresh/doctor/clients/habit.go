package clients

import (
	"slices"
	"strings"
)

// Channel is where a client takes credentials from.
type Channel string

// The channels. None is for a client that finds nothing.
const (
	None     Channel = ""
	Process  Channel = "credential_process"
	Endpoint Channel = "the container credentials endpoint"
	File     Channel = "the keys in the credentials file"
	IMDS     Channel = "the instance metadata service"
	Environ  Channel = "the keys in its environment"
	Either   Channel = "credential_process or the endpoint, as its version is"
	Unclear  Channel = "?"
)

// Deliveries are the combinations of channels, by the name that --deliver has
// for them. The order is that of the columns in habits; env has none.
func Deliveries() []string { return []string{"auto", "process", "file", "endpoint", "imds", "env"} }

// Verdict is what a client does under a delivery.
type Verdict struct {
	Takes    Channel
	Outlives bool   // it comes back for the next set before, or after, its own ends
	Why      string // what else is to know about the client, a clause; may be empty
	Shell    bool   // it runs a credential_process through sh
	Tried    bool   // found out by running such a client; else by reading its source
	Versions bool   // Takes is Unclear because versions differ, and c's is not known
}

// habit is a row of the table: what a client does from one version on.
type habit struct {
	before string // the first version that this does not hold for; "" holds for all
	// cells has a letter for each delivery: p e f i for the channel that the
	// client takes and comes back to, the capital if it takes a set from there
	// and never asks again, - if it finds nothing, ? if that is not known.
	cells string
	tried string // the version from which on this was tried; "" is none
	only  string // the delivery that was tried, "" is all
	shell bool
	// noEnv is set for the few that do not look at AWS_ACCESS_KEY_ID.
	noEnv bool
	why   string // of the delivery that is named in front, if one is
}

func about(delivery, why string) string {
	if name, rest, ok := strings.Cut(why, ": "); ok && slices.Contains(Deliveries(), name) {
		if name != delivery {
			return ""
		}
		return rest
	}
	return why
}

// habits is the table: the rows of a client by version, oldest first.
func habits(id string) []habit {
	switch id {
	case "botocore":
		return []habit{{cells: "ppFeI", tried: "1.20.112", why: "imds: it extends credentials that have less than 25 minutes left, and uses them dead"}}
	case "awscli":
		return []habit{{cells: "ppFeI", tried: "1", why: "imds: it extends credentials that have less than 25 minutes left, and uses them dead"}}
	case "boto":
		return []habit{{cells: "--F--", why: "it came before all ways to refresh but the metadata service's fixed address; boto3 replaces it"}}
	case "go1":
		return []habit{
			{before: "1.16.0", cells: "??Fe-", shell: true, why: "credential_process came with 1.16.0"},
			{before: "1.25.42", cells: "ppFe-", tried: "1.25.0", shell: true, why: "it reads at most 1 KiB from a credential_process, which a long session token does not fit into"},
			{cells: "ppFei", tried: "1.55.8", shell: true, why: "code that makes its own NewSharedCredentials needs --deliver file"},
		}
	case "s5cmd", "goofys": // built with version 1 of Go's SDK, if its modules do not tell more
		return []habit{{cells: "ppFei", tried: "0", only: "auto", shell: true}}
	case "go2":
		return []habit{{cells: "ppFei", tried: "1.33.16", shell: true}}
	case "go2-core":
		return []habit{{cells: "?????", why: "the SDK is in it without its config package: the program finds credentials in a way of its own"}}
	case "js2":
		return []habit{{cells: "epfe?", tried: "2.1693.0", why: "file: one call fails with each set that ends, and is retried"}}
	case "js3":
		return []habit{{cells: "ppFei", tried: "3.972.97", shell: true}}
	case "java1":
		return []habit{
			{before: "1.12.0", cells: "ppfei", tried: "1.11.907", shell: true, why: "file: it reads it again every 5 to 10 minutes"},
			{cells: "ppfe?", tried: "1.12.484", shell: true, why: "file: it reads it again every 5 to 10 minutes"},
		}
	case "java2":
		return []habit{
			{before: "2.19.33", cells: "ppFei", tried: "2.16.35", shell: true},
			{before: "2.20.54", cells: "ppfei", shell: true},
			{before: "2.41.3", cells: "ppFei", tried: "2.20.90", shell: true},
			{cells: "ppfei", tried: "2.41.3", shell: true},
		}
	case "ruby":
		return []habit{
			{before: "3.24.0", cells: "--F--"},
			{before: "3.171.0", cells: "ppF--", tried: "3.168.1", shell: true, why: "endpoint: its variable came with 3.171.0"},
			{before: "3.197.1", cells: "ppFe?", shell: true},
			{cells: "ppFe?"},
		}
	case "rust":
		return []habit{{cells: "ppFei", tried: "0", shell: true}}
	case "object_store":
		return []habit{{cells: "e---i", tried: "0", why: "it knows no files, and needs the endpoint with its token file, which only auto gives"}}
	case "crt":
		return []habit{{cells: "ppfei", tried: "0", shell: true, why: "file: it reads it again every 15 minutes"}}
	case "cpp":
		return []habit{{cells: "ppfe?", tried: "0", only: "auto", shell: true, why: "file: it reads it again every 5 minutes"}}
	case "dotnet":
		return []habit{
			{before: "4", cells: "ppF??", shell: true},
			{cells: "pp?ei", shell: true},
		}
	case "php":
		return []habit{{cells: "ppF??", shell: true}}
	case "kotlin":
		return []habit{{cells: "ppfei", shell: true, why: "file: it reads it again every 15 minutes"}}
	case "minio-go-old": // before version 7
		return []habit{{cells: "--F--", why: "it knows neither a credential_process nor the endpoint's token, and signs nothing without keys"}}
	case "minio-go":
		return []habit{
			{before: "7.0.50", cells: "e-Fe-"},
			{before: "7.3.0", cells: "e?fe-"}, // credential_process came between 7.2.2 and 7.3.0
			{cells: "ppfe-", tried: "7.4.1"},
		}
	case "rclone":
		return []habit{
			{before: "1.68", cells: "ppFei", tried: "1.60", shell: true, why: "the remote needs env_auth = true"},
			{cells: "ppFei", tried: "1.76", shell: true, why: "the remote needs env_auth = true"},
		}
	case "terraform", "nextflow":
		return []habit{{cells: "ppFe?", shell: true}}
	case "s3a":
		return []habit{{cells: "e--ei", why: "the default list of providers; fs.s3a.access.key and its like win over it"}}
	case "gdal":
		return []habit{
			{before: "3.9", cells: "--f--", tried: "3.6", why: "file: it reads it again each time it opens something"},
			{before: "3.12", cells: "e-fe-", tried: "3.10", only: "auto"},
			{cells: "epfe-"},
		}
	case "duckdb":
		return []habit{{cells: "?????", why: "with CREATE SECRET (TYPE s3, PROVIDER credential_chain, REFRESH auto) it asks for a new set when one has ended; any other secret dies"}}
	case "fluent-bit":
		return []habit{{cells: "ppfe-"}}
	case "envoy":
		return []habit{{cells: "-?fe?", why: "file: it reads it again every hour, so that sessions have to be longer than that"}}
	case "mc":
		return []habit{{cells: "-----", noEnv: true, why: "it uses the keys of its aliases and MC_HOST_ variables, and no others"}}
	case "s3cmd":
		return []habit{
			{before: "2.4", cells: "-----", tried: "2.3.0", why: "it reads keys once, from ~/.s3cfg or AWS_ variables"},
			{cells: "--F--", why: "it reads the file once, and only if there is no ~/.s3cfg"},
		}
	case "s3fs-fuse":
		return []habit{{cells: "-----", why: "it reads its own password file, or variables, once; with -f it stays in the foreground, as it has to be for a restart"}}
	case "kept": // given the keys by a script that reads them anew
		return []habit{{cells: "fffff", tried: "0", only: "auto", why: "the section [brs-static], which its script reads"}}
	case "curl":
		return []habit{{cells: "-----", noEnv: true, why: "it has the keys that it is given on its command line (--aws-sigv4, --user)"}}
	}
	return nil
}

// Under says what c does under a delivery, one of Deliveries. ok is false if
// nothing is known of the client.
func (c Client) Under(delivery string) (v Verdict, ok bool) {
	column := slices.Index(Deliveries(), delivery)
	rows := habits(c.ID)
	if column < 0 || len(rows) == 0 {
		return Verdict{}, false
	}
	row := rows[len(rows)-1]
	if c.Version != "" {
		row = rows[slices.IndexFunc(rows, func(h habit) bool { return h.before == "" || Older(c.Version, h.before) })]
	}
	v = Verdict{Why: about(delivery, row.why), Shell: row.shell, Tried: row.tried != "" && (row.only == "" || row.only == delivery) && (c.Version == "" || !Older(c.Version, row.tried))}
	if delivery == "env" {
		if !row.noEnv {
			v.Takes, v.Why = Environ, "" // and never again: the environment of a process does not change
		}
		return v, true
	}
	v.Takes, v.Outlives = take(row.cells[column])
	if c.Version == "" {
		for _, other := range rows {
			v.agree(take(other.cells[column]))
		}
	}
	return v, true
}

func take(cell byte) (takes Channel, outlives bool) {
	outlives = 'a' <= cell && cell <= 'z'
	switch cell {
	case 'p', 'P':
		return Process, outlives
	case 'e', 'E':
		return Endpoint, outlives
	case 'f', 'F':
		return File, outlives
	case 'i', 'I':
		return IMDS, outlives
	case '?':
		return Unclear, false
	}
	return None, false
}

// agree leaves of a verdict what holds for a version that does this, too.
func (v *Verdict) agree(takes Channel, outlives bool) {
	switch {
	case takes == v.Takes && outlives == v.Outlives:
	case outlives && v.Outlives:
		v.Takes, v.Tried, v.Shell = Either, false, false
	default:
		v.Takes, v.Outlives, v.Tried, v.Versions, v.Why = Unclear, false, false, true, ""
	}
}

// Helps lists the deliveries under which c outlives its credentials, best first.
func (c Client) Helps() (list []string) {
	for _, d := range []string{"auto", "endpoint", "file", "process", "imds"} {
		if v, ok := c.Under(d); ok && v.Outlives {
			list = append(list, d)
		}
	}
	return list
}
