package agreement

import (
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// shrinkTries bounds what shrinking costs: a few seconds.
const shrinkTries = 4000

// shrinker makes a case small: it leaves things out one by one, for as long as the two still disagree in the same way.
type shrinker struct {
	best  *picture
	found *disagreement
	using engines
	tries int
}

func shrink(c *picture, d *disagreement, using engines) (*picture, *disagreement) {
	s := &shrinker{best: c, found: d, using: using}
	if d.at < len(c.Script) {
		s.try(func(c *picture) { c.Script = c.Script[:d.at] })
	}
	for again := true; again && s.tries < shrinkTries; {
		again = false
		for _, part := range []func(c *picture) any{
			func(c *picture) any { return &c.Script }, func(c *picture) any { return &c.Strangers }, func(c *picture) any { return &c.Pods },
			func(c *picture) any { return &c.Others }, func(c *picture) any { return &c.Nodes },
		} {
			again = s.without(part) || again
		}
		for i := range s.best.Script {
			for _, part := range []func(c *picture) any{
				func(c *picture) any { return &c.Script[i].Pods }, func(c *picture) any { return &c.Script[i].Others },
				func(c *picture) any { return &c.Script[i].Gone },
			} {
				again = s.without(part) || again
			}
			if s.best.Script[i].Anew {
				again = s.try(func(c *picture) { c.Script[i].Anew = false }) || again
			}
		}
		again = s.simpler() || again
	}
	return s.best, s.found
}

// try changes a copy, and keeps it if the two still disagree about it.
func (s *shrinker) try(change func(c *picture)) bool {
	s.tries++
	c := s.best.copy()
	change(c)
	d := meet(c, nil, s.using)
	if d == nil || !s.found.same(d) {
		return false
	}
	s.best, s.found = c, d
	return true
}

// without leaves out elements of a list, from the last to the first.
func (s *shrinker) without(part func(c *picture) any) (shrunk bool) {
	for i := reflect.ValueOf(part(s.best)).Elem().Len() - 1; i >= 0 && s.tries < shrinkTries; i-- {
		shrunk = s.try(func(c *picture) {
			list := reflect.ValueOf(part(c)).Elem()
			list.Set(reflect.AppendSlice(list.Slice(0, i), list.Slice(i+1, list.Len())))
		}) || shrunk
	}
	return shrunk
}

// simpler empties fields of the nodes and pods, and leaves out elements of their lists and maps.
func (s *shrinker) simpler() (shrunk bool) {
	parts := len(s.best.parts())
	for i := range parts {
		for field := 0; s.tries < shrinkTries; field++ {
			count := 0
			walk(reflect.ValueOf(s.best.parts()[i]).Elem(), func(func()) { count++ })
			if field >= count {
				break
			}
			was := s.try(func(c *picture) {
				at := 0
				walk(reflect.ValueOf(c.parts()[i]).Elem(), func(empty func()) {
					if at++; at-1 == field {
						empty()
					}
				})
			})
			if was {
				shrunk = true
				field--
			}
		}
	}
	return shrunk
}

// parts are the things of the picture that can be made simpler, as pointers to them.
func (c *picture) parts() []any {
	var out []any
	for _, n := range c.Nodes {
		out = append(out, n)
	}
	for _, p := range slices.Concat(c.Pods, c.Strangers) {
		out = append(out, p)
	}
	for _, s := range c.Script {
		if s.New != nil {
			out = append(out, s.New)
		}
		for _, p := range s.Pods {
			out = append(out, p)
		}
	}
	return out
}

// keep are fields without which an object would be another one.
var keep = map[string]bool{"Name": true, "Namespace": true, "UID": true, "TypeMeta": true, "ObjectMeta": true, "Spec": true, "Status": true, "Containers": true}

// walk visits what is not empty, from the outside to the inside, with a function that empties it.
func walk(v reflect.Value, visit func(empty func())) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walk(v.Elem(), visit)
		}
	case reflect.Struct:
		if v.Type().PkgPath() == "time" || v.Type() == reflect.TypeFor[metav1.Time]() {
			return
		}
		for i := range v.NumField() {
			f := v.Field(i)
			if !f.CanSet() || f.IsZero() {
				continue
			}
			if !keep[v.Type().Field(i).Name] {
				visit(func() { f.SetZero() })
			}
			walk(f, visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			if v.Len() > 1 {
				visit(func() { v.Set(reflect.AppendSlice(v.Slice(0, i), v.Slice(i+1, v.Len()))) })
			}
			if i < v.Len() {
				walk(v.Index(i), visit)
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			visit(func() { v.SetMapIndex(key, reflect.Value{}) })
		}
	}
}

func (c *picture) copy() *picture {
	out := &picture{Others: slices.Clone(c.Others), Script: slices.Clone(c.Script)}
	for _, n := range c.Nodes {
		out.Nodes = append(out.Nodes, n.DeepCopy())
	}
	for _, p := range c.Pods {
		out.Pods = append(out.Pods, p.DeepCopy())
	}
	for _, p := range c.Strangers {
		out.Strangers = append(out.Strangers, p.DeepCopy())
	}
	for i := range out.Script {
		s := &out.Script[i]
		s.New, s.Others, s.Gone = s.New.DeepCopy(), slices.Clone(s.Others), slices.Clone(s.Gone)
		s.Pods = nil
		for _, p := range c.Script[i].Pods {
			s.Pods = append(s.Pods, p.DeepCopy())
		}
	}
	return out
}

// String is the picture for a person.
func (c *picture) String() string {
	text, err := yaml.Marshal(c)
	var tree any
	if err == nil {
		err = yaml.Unmarshal(text, &tree)
	}
	if err == nil {
		text, err = yaml.Marshal(pruned(tree))
	}
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// pruned is a tree of maps and lists without what says nothing; nil if nothing is left. Selectors stay: an empty one is not the same as none.
func pruned(tree any) any {
	switch t := tree.(type) {
	case map[string]any:
		for key, value := range t {
			switch key {
			case "labelSelector", "namespaceSelector", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms":
				continue
			case "capacity", "daemonEndpoints", "creationTimestamp", "uid", "image":
				delete(t, key)
				continue
			}
			if t[key] = pruned(value); t[key] == nil {
				delete(t, key)
			}
		}
		if len(t) == 0 {
			return nil
		}
	case []any:
		for i := range t {
			t[i] = pruned(t[i])
		}
		if len(t) == 0 {
			return nil
		}
	case string:
		if t == "" {
			return nil
		}
	case float64, int64:
		if t == float64(0) || t == int64(0) {
			return nil
		}
	}
	return tree
}

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }
