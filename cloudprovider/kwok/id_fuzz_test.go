package kwok

import "testing"

// FuzzProviderIDs: a provider ID is taken apart only if this cloud would have put it together so: there are no two IDs of one machine.
func FuzzProviderIDs(f *testing.F) {
	for _, id := range []string{"", "kwok://", "kwok://a/a-1", "kwok://a/a-01", "kwok://a/a-0", "kwok://a/a--1", "kwok://a//a-1", "kwok://a/b/a/b-1", "aws:///a/a-1", "kwok://a/a-99999999999999999999", "KWOK://a/a-1", "kwok:///-1"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		pool, number, ok := parseProviderID(id)
		if ok && ProviderID(pool, instanceName(pool, number)) != id {
			t.Errorf("%q was taken for instance %d of pool %q, whose ID is %q", id, number, pool, ProviderID(pool, instanceName(pool, number)))
		}
	})
}
