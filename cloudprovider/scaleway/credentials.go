package scaleway

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/scaleway/scaleway-sdk-go/scw"
	"github.com/scaleway/scaleway-sdk-go/validation"
)

// ClusterEnv is the variable that names the cluster where the file doesn't.
const ClusterEnv = "POOLKEEPER_SCALEWAY_CLUSTER"

// credentials are a function, and not a structure with keys in it, so that whatever prints what holds them can't print them.
type credentials func() keys

type keys struct{ access, secret string }

func (k keys) hidden() credentials { return func() keys { return k } }

// anyAccessKey stands in where only the secret key is given: the SDK insists on one, and the API looks at the secret key alone.
const anyAccessKey = "SCWXXXXXXXXXXXXXXXXX"

// profile is what the environment and the SDK's own file say; the environment wins.
func (r *reading) profile(f file) *scw.Profile {
	env := scw.LoadEnvProfile()
	name := f.Profile.text
	asked := name != "" || os.Getenv(scw.ScwActiveProfileEnv) != ""
	saved, err := scw.LoadConfig()
	if _, missing := errors.AsType[*scw.ConfigFileNotFoundError](err); missing && !asked {
		return env
	}
	if err != nil {
		if asked {
			r.add(f.Profile, "profile", "the SDK's configuration file %s can't be read; check it with `scw config validate`", scw.GetConfigPath())
		}
		return env
	}
	profile, err := saved.GetActiveProfile()
	if name != "" {
		profile, err = saved.GetProfile(name)
	}
	if err != nil {
		r.add(f.Profile, "profile", "there is no such profile in %s; see `scw config profile list`", scw.GetConfigPath())
		return env
	}
	return scw.MergeProfiles(profile, env)
}

// credentials finds the keys. Its errors never have a key in them.
func (r *reading) credentials(f file, profile *scw.Profile) keys {
	c := keys{access: f.Access.text, secret: f.Secret.text}
	if f.Keyfile.text != "" {
		path := f.Keyfile.text
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(r.name), path)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			r.add(f.Keyfile, "secretKeyFile", "%v", err)
			return c
		}
		c.secret = strings.TrimSpace(string(content))
	}
	if c.secret == "" && profile.SecretKey != nil {
		c.secret = *profile.SecretKey
		if c.access == "" && profile.AccessKey != nil {
			c.access = *profile.AccessKey
		}
	}
	switch {
	case c.secret == "":
		r.add(f.Secret, "secretKey", "is missing; give an API key's secret in %s, in a file named by secretKeyFile, or in the SDK's configuration", scw.ScwSecretKeyEnv)
	case !validation.IsSecretKey(c.secret):
		r.add(f.Secret, "secretKey", "is not a secret key; it is a UUID, such as the console shows once when an API key is made")
	}
	if c.access == "" {
		c.access = anyAccessKey
	}
	if !validation.IsAccessKey(c.access) {
		r.add(f.Access, "accessKey", "is not an access key; it is SCW and 17 capitals or digits, or leave it out")
	}
	if profile.Insecure != nil && *profile.Insecure {
		r.problems = append(r.problems, fmt.Errorf("%s: is on, and this provider never talks to an API that it can't verify; turn it off, or set apiURL to one with http://", scw.ScwInsecureEnv))
	}
	return c
}
