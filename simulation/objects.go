package simulation

// Create puts a new object into the store, with UID, resource version and creation time, as the API server's admission would. The object
// that was given is not changed; its copy in the store is returned.
func Create[T Object](s *Store, o T) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made, err := create(s, o)
	if err != nil {
		var none T
		return none, err
	}
	return copyOf(made), nil
}

// Load puts an object into the store as it is, with its status and whatever times it has; UID and creation time are filled in where they are
// missing. It is how a test or a replay sets the scene. An object of the same name is replaced.
func Load[T Object](s *Store, o T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := copyOf(o)
	if c.GetUID() == "" {
		c.SetUID(s.uid())
	}
	if c.GetCreationTimestamp().Time.IsZero() {
		c.SetCreationTimestamp(s.now())
	}
	if c.GetGeneration() == 0 {
		c.SetGeneration(1)
	}
	var old Object
	if had, err := find[T](s, c.GetNamespace(), c.GetName()); err == nil {
		old = had
	}
	s.put(old, c)
	return copyOf(c)
}

// Update replaces a whole object, status and all. Its resource version, unless empty, is a precondition.
func Update[T Object](s *Store, o T) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var none T
	old, err := find[T](s, o.GetNamespace(), o.GetName())
	if err != nil {
		return none, err
	}
	if err := precondition(old, o.GetUID(), o.GetResourceVersion()); err != nil {
		return none, err
	}
	return copyOf(change(s, old, func(c T) { overwrite(c, o) })), nil
}

// Get finds an object.
func Get[T Object](s *Store, namespace, name string) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := find[T](s, namespace, name)
	if err != nil {
		return o, err
	}
	return copyOf(o), nil
}

// List gives all objects of a kind in the order of namespace/name.
func List[T Object](s *Store) []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []T
	for o := range each[T](s) {
		all = append(all, copyOf(o))
	}
	return all
}

// Remove takes an object out at once, past grace periods, as a kubelet does when a pod's containers have ended. Finalizers still hold it.
func Remove[T Object](s *Store, namespace, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := find[T](s, namespace, name)
	if err != nil {
		return err
	}
	remove(s, o)
	return nil
}
