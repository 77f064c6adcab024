package scaleway

import (
	"slices"
	"strings"

	"github.com/scaleway/scaleway-sdk-go/validation"
)

// scheme begins the provider IDs of machines that Scaleway's cloud controller knows.
const scheme = "scaleway://"

// unmade begins the IDs of nodes of the service that never got a machine; the rest is the node's own ID. No Node ever has such a provider ID.
const unmade = scheme + "node/"

// place takes a provider ID apart: scaleway://instance/fr-par-1/<uuid>, scaleway://baremetal/…, or without the parts in the middle. ok is
// false for one that Scaleway never gives out.
func place(providerID string) (zone string, ok bool) {
	rest, ours := strings.CutPrefix(providerID, scheme)
	parts := strings.Split(rest, "/")
	if !ours || len(parts) > 3 || !validation.IsUUID(parts[len(parts)-1]) {
		return "", false
	}
	if slices.Contains(parts, "") {
		return "", false
	}
	if len(parts) == 3 {
		if !validation.IsZone(parts[1]) {
			return "", false
		}
		zone = parts[1]
	}
	return zone, true
}

// regionOf is the region of a zone: fr-par-1 is in fr-par.
func regionOf(zone string) string { return zone[:max(0, strings.LastIndexByte(zone, '-'))] }

// kubernetes writes a version as Kubernetes does, and bare as the service does.
func kubernetes(version string) string { return "v" + strings.TrimPrefix(version, "v") }

func bare(version string) string { return strings.TrimPrefix(version, "v") }
