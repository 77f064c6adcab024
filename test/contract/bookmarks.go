package contract

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiwatch "k8s.io/apimachinery/pkg/watch"
)

// told is what a bare watch was told, in words and in order, and the version up to which that is all.
type told struct {
	mutex   sync.Mutex
	words   []string
	version string
	marks   int
	t       *testing.T
}

func (x *told) tell(e apiwatch.Event) {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	cm, ok := e.Object.(*corev1.ConfigMap)
	if !ok {
		x.words = append(x.words, fmt.Sprintf("%s %T", e.Type, e.Object))
		return
	}
	if number(cm.ResourceVersion) < number(x.version) {
		x.t.Errorf("%s %s has version %s, and %s was told before", e.Type, cm.Name, cm.ResourceVersion, x.version)
	}
	x.version = cm.ResourceVersion
	switch {
	case e.Type != apiwatch.Bookmark:
		x.words = append(x.words, fmt.Sprintf("%s %s %s", e.Type, cm.Name, cm.Data["is"]))
	case cm.Name != "" || len(cm.Data) > 0:
		x.t.Errorf("a bookmark with an object in it: %v", cm)
	case cm.Annotations[metav1.InitialEventsAnnotationKey] == "true":
		x.words = append(x.words, "END")
	default:
		x.marks++ // they come when they come
	}
}

func (x *told) all() string {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	return strings.Join(x.words, ", ")
}

// marked tells whether a bookmark was told, and nothing less than the version.
func (x *told) marked(version string) bool {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	return x.marks > 0 && number(x.version) >= number(version)
}

// number is the version as a number: since 1.35 the API says that they may be compared.
func number(version string) uint64 {
	n, _ := strconv.ParseUint(version, 10, 64)
	return n
}

// bookmarks are how a watch learns that it was told all there is, and up to which version it was told all, though nothing happened to what it watches: from there it goes on
// after a break, and is told what it missed, and nothing twice.
func bookmarks(t *testing.T, s Server) {
	mine, others := s.Namespace(t), s.Namespace(t)
	write := func(namespace, name, is string) *corev1.ConfigMap {
		t.Helper()
		cm, err := s.GetConfigMap(t.Context(), namespace, name)
		if err == nil {
			cm.Data = map[string]string{"is": is}
			cm, err = s.UpdateConfigMap(t.Context(), cm)
		} else {
			cm, err = s.CreateConfigMap(t.Context(), &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string]string{"is": is},
			})
		}
		must(t, err)
		return cm
	}
	follow := func(version string) (*told, Following) {
		t.Helper()
		x := &told{t: t}
		following, err := s.Follow(t, mine, version, x.tell)
		must(t, err)
		return x, following
	}
	write(mine, "a", "1")
	write(mine, "b", "1")
	first, following := follow("")
	want := "ADDED a 1, ADDED b 1, END"
	if !following.Until(func() bool { return first.all() == want }) {
		t.Fatalf("the beginning: %q, want %q", first.all(), want)
	}
	write(mine, "a", "2")
	foreign := write(others, "elsewhere", "1")
	if !following.Until(func() bool { return first.marked(foreign.ResourceVersion) }) {
		t.Fatalf("no bookmark has come up to version %s; told %q up to %s", foreign.ResourceVersion, first.all(), first.version)
	}
	if want += ", MODIFIED a 2"; first.all() != want {
		t.Errorf("up to the bookmark: %q, want %q", first.all(), want)
	}
	following.Stop()

	write(mine, "b", "2")
	write(mine, "c", "1")
	write(others, "elsewhere", "2")
	must(t, s.DeleteConfigMap(t.Context(), mine, "a"))
	second, following := follow(first.version)
	want = "MODIFIED b 2, ADDED c 1, DELETED a 2"
	if !following.Until(func() bool { return second.all() == want }) {
		t.Errorf("from the bookmark on: %q, want %q", second.all(), want)
	}
	following.Stop()
	write(mine, "c", "2")
	third, following := follow(second.version)
	want = "MODIFIED c 2"
	if !following.Until(func() bool { return third.all() == want }) {
		t.Errorf("from the last deletion on: %q, want %q", third.all(), want)
	}
	following.Stop()

	_, err := s.Follow(t, mine, s.Forgotten(t), func(apiwatch.Event) {})
	expect(t, "a version that is forgotten", err, "410")
}
