package providers

import "github.com/poolkeeper/poolkeeper/test/e2e/stage"

// kwokCloud is the kwok provider: the daemon plays its cloud itself.
func kwokCloud(s *scene, w wish) cloud {
	return kwokIn(s, w, "zone-1")
}

// kwokIn is the same with the machines in a certain zone.
func kwokIn(s *scene, w wish, zone string) cloud {
	pool := stage.KwokPool{Name: s.name, Min: w.min, Max: w.max, Size: w.size, Version: w.version, Zone: zone}
	return cloud{
		config: stage.KwokFile(w.versions, pool),
		owns:   s.KwokPool(s.name).Owns,
		made:   func() int { return s.created(s.Account) },
	}
}
