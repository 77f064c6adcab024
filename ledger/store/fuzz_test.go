package store

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/ledger"
)

// FuzzWhatIsStored: whatever stands in a shard, it is read or refused with the name of ConfigMap and key; and after a refusal nothing is stored over it.
func FuzzWhatIsStored(f *testing.F) {
	for _, value := range []string{
		"", "{}", "null", "[]", `{"claim":{}}`, `{"claim":{"id":"a"},"timer":{"key":"b"}}`, `{"breaker":{"scope":"zone/\u0000"}}`, `{"newer":{"id":1}}`, `{"claim":{"since":"x"}}`,
	} {
		f.Add("claim.a", value)
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		maps := newConfigMaps()
		maps.put("create", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "poolkeeper", Name: shardName(0)}, Data: map[string]string{key: value}})
		maps.writes = nil
		s := New(maps, "poolkeeper", Options{})
		l, err := s.Load(t.Context())
		put := []ledger.Change{ledger.Put(ledger.Claim{ID: "mine", Pool: "web", Owner: ledger.Healer})}
		if err == nil {
			if l.Len() > 1 {
				t.Errorf("%q gave %d entries", value, l.Len())
			}
			if err := s.Save(t.Context(), time.Unix(0, 0), put); err != nil {
				t.Errorf("after %q nothing can be stored: %v", value, err)
			}
			return
		}
		if corrupt := new(CorruptError); !errors.As(err, &corrupt) || corrupt.Key != key || corrupt.ConfigMap == "" {
			t.Errorf("%q gave %v, which does not name ConfigMap and key", value, err)
		}
		if err := s.Save(t.Context(), time.Unix(0, 0), put); !errors.Is(err, ErrNotLoaded) || len(maps.writes) > 0 {
			t.Errorf("after %q was refused, a change was stored: %v, %v", value, err, maps.writes)
		}
	})
}
