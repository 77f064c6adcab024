package store

import (
	"fmt"
	"hash/fnv"
	"maps"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/ledger"
)

// Shards is the number of ConfigMaps. It never changes: an entry stays where it was first written, but a new entry has to be found by an
// older daemon too.
const Shards = 8

const (
	// LabelManagedBy has the value "poolkeeper" on everything that the daemon makes.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// LabelLedger is on the ledger's ConfigMaps, without a value.
	LabelLedger = "poolkeeper.io/ledger"
	// AnnotationSchema is the newest schema that wrote the ConfigMap.
	AnnotationSchema = "poolkeeper.io/ledger-schema"
	// AnnotationOldestReader is the oldest schema that may still read and write it. A future schema that an older daemon would misread
	// raises it.
	AnnotationOldestReader = "poolkeeper.io/ledger-oldest-reader"

	schema = 1
	// sizeLimit is well below the 1 MiB that the API server allows for a ConfigMap's data.
	sizeLimit = 768 << 10
)

// Names are the names of all ConfigMaps of a ledger.
func Names() []string {
	names := make([]string, Shards)
	for i := range names {
		names[i] = shardName(i)
	}
	return names
}

func shardName(i int) string { return "poolkeeper-ledger-" + strconv.Itoa(i) }

func newShard(namespace string, i int) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: shardName(i)}}
}

// homeOf is the shard of a new entry. What is about one pool is together.
func homeOf(c ledger.Change) int {
	together := c.Key
	if e := c.Entry; e != nil {
		switch {
		case e.Claim != nil:
			together = "pool/" + e.Claim.Pool
		case e.Operation != nil:
			together = "pool/" + e.Operation.Pool
		case e.Rollout != nil:
			together = "pool/" + e.Rollout.Pool
		case e.Backoff != nil:
			together = "pool/" + e.Backoff.Pool
		case e.Breaker != nil:
			together = e.Breaker.Scope // "cluster" or "pool/<name>"
		case e.Moment != nil:
			if _, pool, ok := strings.Cut(e.Moment.Key, "/"); ok {
				together = "pool/" + pool
			}
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(together))
	return int(h.Sum32() % Shards)
}

// changed is a shard with the changes made. The old one stays as it was, and what we don't know in it stays in the new one.
func changed(cm *corev1.ConfigMap, changes []ledger.Change) (*corev1.ConfigMap, error) {
	next := cm.DeepCopy()
	next.Data = maps.Clone(cm.Data)
	if next.Data == nil {
		next.Data = map[string]string{}
	}
	for _, c := range changes {
		name := encodeKey(c.Key)
		if c.Entry == nil {
			delete(next.Data, name)
			continue
		}
		if c.Key != c.Entry.Key() {
			return nil, fmt.Errorf("a change of %q holds the entry %q: that is a fault of the program", c.Key, c.Entry.Key())
		}
		value, err := encode(*c.Entry, next.Data[name])
		if err != nil {
			return nil, fmt.Errorf("entry %q: %w", c.Key, err)
		}
		next.Data[name] = value
	}
	metav1.SetMetaDataLabel(&next.ObjectMeta, LabelManagedBy, "poolkeeper")
	metav1.SetMetaDataLabel(&next.ObjectMeta, LabelLedger, "")
	raise(&next.ObjectMeta, AnnotationSchema)
	raise(&next.ObjectMeta, AnnotationOldestReader)
	return next, nil
}

// raise sets the annotation to our schema unless a newer daemon has set it higher.
func raise(meta *metav1.ObjectMeta, annotation string) {
	if is, err := strconv.Atoi(meta.Annotations[annotation]); err != nil || is < schema {
		metav1.SetMetaDataAnnotation(meta, annotation, strconv.Itoa(schema))
	}
}

// checkSchema refuses what only a newer daemon understands.
func checkSchema(cm *corev1.ConfigMap) error {
	oldest, ok := cm.Annotations[AnnotationOldestReader]
	if !ok {
		return nil
	}
	n, err := strconv.Atoi(oldest)
	if err != nil {
		return fmt.Errorf("ConfigMap %s/%s: annotation %s: %q is no number", cm.Namespace, cm.Name, AnnotationOldestReader, oldest)
	}
	if n > schema {
		return fmt.Errorf("ConfigMap %s/%s was written by a newer version that this one can't take over from (schema %d, known %d): run the newer version",
			cm.Namespace, cm.Name, n, schema)
	}
	return nil
}
