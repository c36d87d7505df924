package writer

import (
	"cmp"
	"slices"
	"strings"

	"brs-exec.example/brs-exec/writer/ini"
)

// Names of what leads requests to a server of the user's, or past it
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html).
const (
	endpointVariable = "AWS_ENDPOINT_URL" // and, with _ID behind it, for one service
	ignoreVariable   = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
	endpointKey      = "endpoint_url"
	servicesKey      = "services"
	ignoreKey        = "ignore_configured_endpoint_urls"
)

// ClientSettings are what the user has set for the requests of AWS clients, in the
// environment or in the profile that the command would use without us.
type ClientSettings struct {
	// Endpoints are URLs by the ID in AWS_ENDPOINT_URL_ID, in capitals; that of "" is for
	// all other services.
	Endpoints map[string]string
	// NoEndpoint is the setting with which SDKs refuse a URL of their own, as it asks for
	// hosts of AWS of another kind: FIPS, dual-stack. "" if there is none.
	NoEndpoint string
	// CABundle is the file of the profile's ca_bundle, if the environment has no
	// AWS_CA_BUNDLE; "" for none.
	CABundle string
}

// ReadClientSettings is [Private.ClientSettings] of what NewPrivate would make.
func ReadClientSettings(opt Options, env []string) (ClientSettings, error) {
	p, err := newPlan(opt)
	if err != nil {
		return ClientSettings{}, err
	}
	return p.ClientSettings(env), nil
}

// ClientSettings reads them from env and the user's files.
func (p *plan) ClientSettings(env []string) ClientSettings {
	e, profile := newEnviron(env), p.userProfile()
	get := func(variable, key string) string {
		value, _ := e.get(variable)
		return cmp.Or(value, profile[key])
	}
	c := ClientSettings{Endpoints: p.endpoints(e, profile)}
	if strings.EqualFold(get(ignoreVariable, ignoreKey), "true") {
		clear(c.Endpoints)
	}
	for _, of := range [][2]string{{"AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"}, {"AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"}} {
		if c.NoEndpoint == "" && strings.EqualFold(get(of[0], of[1]), "true") {
			c.NoEndpoint = of[1]
			if value, _ := e.get(of[0]); value != "" {
				c.NoEndpoint = of[0]
			}
		}
	}
	if value, _ := e.get("AWS_CA_BUNDLE"); value == "" {
		c.CABundle = profile["ca_bundle"]
	}
	return c
}

// userProfile are the settings of the profile that the command would use without us: the
// one that its credentials come from or, if the user has none of that name, the default.
func (p *plan) userProfile() map[string]string {
	name := "default"
	if of := p.list.byDefault; of != nil && len(p.config.Find(of.Name))+len(p.user.Find(of.Name)) > 0 {
		name = of.Name
	}
	settings := map[string]string{}
	for _, s := range slices.Concat(p.config.Find(name), p.user.Find(name)) {
		values, _ := s.Settings()
		for key, value := range values {
			settings[key] = value
		}
	}
	return settings
}

// endpoints are the URLs in the order in which SDKs look for them: a variable for the
// service, the variable for all, the profile's services, the profile's endpoint_url.
func (p *plan) endpoints(e environ, profile map[string]string) map[string]string {
	urls := map[string]string{}
	add := func(id, url string) {
		if url != "" {
			urls[strings.ToUpper(id)] = url
		}
	}
	if all, _ := e.get(endpointVariable); all != "" {
		add("", all)
	} else {
		add("", profile[endpointKey])
		for id, of := range servicesOf(p.config, profile[servicesKey]) {
			add(id, of[endpointKey])
		}
	}
	for _, entry := range e.list {
		name, ok := nameOf(entry)
		if e.fold {
			name = strings.ToUpper(name)
		}
		if id, of := strings.CutPrefix(name, endpointVariable+"_"); ok && of {
			add(id, entry[len(name)+1:])
		}
	}
	return urls
}

// servicesOf are the settings in [services NAME] by service.
func servicesOf(f *ini.File, name string) map[string]map[string]string {
	of := map[string]map[string]string{}
	for _, s := range f.Sections {
		if words := strings.Fields(s.Name); name == "" || len(words) != 2 || words[0] != servicesKey || words[1] != name {
			continue
		}
		_, nested := s.Settings()
		for service, settings := range nested {
			of[service] = settings
		}
	}
	return of
}

// leadsElsewhere tells which variables have clients send their requests past us.
func leadsElsewhere(name string) bool {
	return name == endpointVariable || name == ignoreVariable || strings.HasPrefix(name, endpointVariable+"_")
}
