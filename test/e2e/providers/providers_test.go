package providers

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// clouds are the providers under test. To add one, add a line, and a file with the function that it names.
func clouds() map[string]func(*scene, wish) cloud {
	return map[string]func(*scene, wish) cloud{
		"clusterapi":         clusterAPICloud,
		"externalgrpc":       externalCloud,
		"externalgrpc-usual": usualExternalCloud,
		"kwok":               kwokCloud,
		"scaleway":           scalewayCloud,
	}
}

// wish is the one pool that a scenario wants to have, on machines of 4 cores, 16Gi and 110 pods. Its name is the scene's.
type wish struct {
	min, max, size int
	// version is what the machines begin with, and versions what the cloud offers.
	version  string
	versions []string
}

// cloud is what a scenario needs to know of the cloud that was put up for it.
type cloud struct {
	// provider is --cloud-provider, the key of the table if empty; config is the content of the file of --cloud-config, if there is one.
	provider, config string
	// configs are the contents of their files by the providers' names, where there are several.
	configs map[string]string
	// flags are further flags of the daemon, values further values of the chart ("--set", "a=b").
	flags, values []string
	// env are variables for the daemon's process, as "NAME=value".
	env []string
	// owns tells whether the node is one of the pool's.
	owns func(*corev1.Node) bool
	// made is how many machines the cloud has made so far for the pool, those of the start included.
	made func() int
	// native says that an upgrade is the cloud's own rollout, so that the bounds are the cloud's and not ours.
	native bool
	// except has the scenarios that the provider can't pass, with the reason.
	except map[string]string
}

// scenario is one story that must hold with every provider.
type scenario struct {
	name string
	wish wish
	play func(*scene)
}

// scenarios are those of the project's list that are about a cloud, by their numbers there.
func scenarios() []scenario {
	current, former := "v1.36.3", "v1.35.4"
	both := []string{former, current}
	return []scenario{
		{"1 pods bring the nodes they need", wish{min: 1, max: 10, size: 1, version: current, versions: both}, podsBringNodes},
		{"2 what nothing needs leaves", wish{min: 1, max: 10, size: 3, version: current, versions: both}, unneededLeaves},
		{"22 a dead node is replaced", wish{min: 1, max: 10, size: 3, version: current, versions: both}, deadIsReplaced},
		{"38 a pool is rolled", wish{min: 1, max: 6, size: 3, version: former, versions: both}, poolIsRolled},
	}
}

func TestProviders(t *testing.T) {
	for name, put := range clouds() {
		t.Run(name, func(t *testing.T) {
			for _, story := range scenarios() {
				t.Run(story.name, func(t *testing.T) {
					s := newScene(t, name, story, put)
					if why := s.cloud.except[story.name]; why != "" {
						t.Skip(why)
					}
					story.play(s)
					s.CheckRights()
				})
			}
		})
	}
}
