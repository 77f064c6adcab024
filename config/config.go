package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json

	"github.com/poolkeeper/poolkeeper/arbiter"
	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/healer"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/upgrader"
)

// Config is everything that the daemon was told, checked and put together.
type Config struct {
	// Version asks for the program's version and for nothing else (--version): the rest of such a Config is not checked.
	Version bool
	// Warnings are what the user should know of, such as flags that have no effect here.
	Warnings []string

	// Kubeconfig is the path of a kubeconfig; empty means the cluster that the daemon runs in.
	Kubeconfig string
	// Namespace is the daemon's own, where the ledger and the status are kept.
	Namespace string
	// CloudProvider and CloudConfig are as package cloudprovider/registry takes them.
	CloudProvider, CloudConfig string
	// Address is where metrics, status and probes are served, as host:port.
	Address string
	// TLSCertFile and TLSPrivateKeyFile are the certificate that is served with there; empty without encryption. RequireAuthorization has the API server judge all
	// who ask there, but for probes.
	TLSCertFile, TLSPrivateKeyFile string
	RequireAuthorization           bool
	// Dashboard serves the web page there too.
	Dashboard bool
	// AuditLog is the file of the audit log, "-" for standard output, empty for none. It is turned over at AuditLogMaxSize MiB, and AuditLogMaxBackups
	// older files are kept.
	AuditLog                            string
	AuditLogMaxSize, AuditLogMaxBackups int
	// NotifyURLFile is the file with the address that notifications are sent to; empty if nobody is notified. NotifyAbout is what of.
	NotifyURLFile, NotifyAbout string
	// UserAgent is how the daemon introduces itself to the API server and to clouds.
	UserAgent string
	// KubeClientQPS and KubeClientBurst bound the requests to the API server: a second, and at once. KubeAPIContentType is how objects are encoded on
	// the way.
	KubeClientQPS      float64
	KubeClientBurst    int
	KubeAPIContentType string
	// Election is how replicas agree on the one that acts.
	Election Election
	// ScanInterval is the longest time between two passes, CloudScanInterval the time between two reads of the providers, and CloudTimeout how long a
	// read of one provider may take.
	ScanInterval, CloudScanInterval, CloudTimeout time.Duration

	// ExpanderURL is the address (host:port) of the gRPC expander; empty if there is none. ExpanderCert is a file with the CA certificates by which it is trusted.
	ExpanderURL, ExpanderCert string
	// AlertsURL is the address of a Prometheus server; empty if there is none. AlertsMatcher selects the alerts that count, and AlertsIgnored are the
	// names of those that don't.
	AlertsURL, AlertsMatcher string
	AlertsIgnored            []string

	// The options of those who decide. What differs by pool is given by [Config.Settings].
	Autoscaler autoscaler.Options
	Healer     healer.Options
	Upgrader   upgrader.Options
	Arbiter    arbiter.Options
	Scheduling scheduling.Options

	logs  *logsapi.LoggingConfiguration
	flags layer
	// path is that of --config, content what was read there last, and file what it says.
	path    string
	content []byte
	file    atomic.Pointer[file]
}

// Election is how replicas agree on the one that acts. Names and defaults are those of all Kubernetes components.
type Election struct {
	Enabled                                   bool
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
}

// Parse reads the arguments (without the program's name), the file of --config, and the environment's POD_NAME, POD_NAMESPACE and NODE_NAME.
//
// The error is everything that is wrong, one thing a line, each with its flag, or its file, line and field, and the remedy; then there is no
// Config. After --help the usage is on standard output, and the error is [pflag.ErrHelp].
func Parse(args []string) (*Config, error) { return parse(args, os.Getenv, os.Stdout) }

func parse(args []string, getenv func(string) string, out io.Writer) (*Config, error) {
	f := newFlags()
	c, p := f.config, problems{}
	if help := f.read(args, &p); help {
		f.usage(out)
		return nil, pflag.ErrHelp
	}
	if c.Version {
		return c, nil
	}
	c.Warnings = f.judgeForeign(&p)
	f.settle(&p)
	f.knowSelf(getenv)
	if c.path == "" {
		p.add(neverRolls(c.flags))
	} else if _, err := c.Reload(); err != nil {
		p.add(err)
	}
	if len(p) > 0 {
		return nil, errors.Join(p...)
	}
	return c, nil
}

// SetupLogs makes the flags about logs take effect. It changes the log of the whole process, and can be called once only.
func (c *Config) SetupLogs() error {
	if err := logsapi.ValidateAndApply(c.logs, nil); err != nil {
		return fmt.Errorf("set up the log: %w", err)
	}
	return nil
}
