package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes/scheme"
)

// apiServer answers like a Kubernetes API server as far as informers ask: discovery, lists in pages, watches that stream what there is and then
// what changes. It keeps no objects: each is made when it is sent.
type apiServer struct {
	b *testing.B
	// old servers can't stream lists.
	old   bool
	kinds map[string]servedKind

	mutex   sync.Mutex
	minute  int
	watches map[*openWatch]bool
}

// servedKind is a kind of object of which there are so many.
type servedKind struct {
	version schema.GroupVersion
	list    runtime.Object
	many    int
	// object is the one of that number as it is in that minute; number 0 is there in any case, as an example.
	object func(number, minute int) runtime.Object
	// changed are the numbers of those that a minute changed; nil if none ever change.
	changed func(minute int) []int
}

// openWatch is told of every minute that has gone by.
type openWatch struct {
	kind    servedKind
	minutes chan int
}

func newAPIServer(b *testing.B, old bool, kinds map[string]servedKind) *apiServer {
	return &apiServer{b: b, old: old, kinds: kinds, watches: map[*openWatch]bool{}}
}

// ServeHTTP implements http.Handler.
func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, known := a.kinds[r.URL.Path]
	switch {
	case r.URL.Path == "/version":
		reply(w, version.Info{GitVersion: "v1.36.3"})
	case r.URL.Path == "/minute":
		reply(w, a.minutePasses())
	case known && r.URL.Query().Get("watch") != "":
		a.watch(w, r, kind)
	case known:
		a.page(w, r, kind)
	default:
		a.resources(w, r.URL.Path)
	}
}

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// resources are what a group and version has.
func (a *apiServer) resources(w http.ResponseWriter, path string) {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}}
	list.GroupVersion = strings.TrimPrefix(strings.TrimPrefix(path, "/apis/"), "/api/")
	for at := range a.kinds {
		if strings.HasPrefix(at, path+"/") {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: at[strings.LastIndexByte(at, '/')+1:]})
		}
	}
	if len(list.APIResources) == 0 {
		http.NotFound(w, &http.Request{})
		return
	}
	reply(w, list)
}

// minutePasses changes what changes in a minute, and tells of how many objects that is.
func (a *apiServer) minutePasses() int {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.minute++
	changes := 0
	for watch := range a.watches {
		if watch.kind.changed != nil {
			changes += len(watch.kind.changed(a.minute))
			watch.minutes <- a.minute
		}
	}
	return changes
}

// encoder is how objects are written, as the client asked.
type encoder struct {
	objects, events runtime.Encoder
	framer          runtime.Framer
	contentType     string
}

func encoderFor(r *http.Request, version schema.GroupVersion) (encoder, error) {
	for accepted := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		mediaType, _, err := mime.ParseMediaType(accepted)
		if err != nil {
			continue
		}
		info, ok := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), mediaType)
		if ok && info.StreamSerializer != nil {
			return encoder{
				objects: scheme.Codecs.EncoderForVersion(info.Serializer, version), contentType: mediaType,
				events: scheme.Codecs.EncoderForVersion(info.StreamSerializer.Serializer, version), framer: info.StreamSerializer.Framer,
			}, nil
		}
	}
	return encoder{}, fmt.Errorf("nothing of %q can be served", r.Header.Get("Accept"))
}

const resourceVersion = "1000"

// page answers a list, as much of it as the client asked for.
func (a *apiServer) page(w http.ResponseWriter, r *http.Request, kind servedKind) {
	encode, err := encoderFor(r, kind.version)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotAcceptable)
		return
	}
	query := r.URL.Query()
	from, _ := strconv.Atoi(query.Get("continue"))
	limit, _ := strconv.Atoi(query.Get("limit"))
	to := kind.many
	if limit > 0 && query.Get("resourceVersion") != "0" { // a server that answers from its cache answers with all
		to = min(from+limit, kind.many)
	}
	a.mutex.Lock()
	minute := a.minute
	a.mutex.Unlock()
	items := make([]runtime.Object, 0, to-from)
	for i := from; i < to; i++ {
		items = append(items, kind.object(i, minute))
	}
	list := kind.list.DeepCopyObject()
	a.must(setItems(list, items))
	listed := list.(metav1.ListInterface)
	listed.SetResourceVersion(resourceVersion)
	if to < kind.many {
		listed.SetContinue(strconv.Itoa(to))
	}
	w.Header().Set("Content-Type", encode.contentType)
	a.must(encode.objects.Encode(list, w))
}

// watch streams what there is, if that is asked for, and then what changes.
func (a *apiServer) watch(w http.ResponseWriter, r *http.Request, kind servedKind) {
	encode, err := encoderFor(r, kind.version)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotAcceptable)
		return
	}
	initial := r.URL.Query().Get("sendInitialEvents") == "true"
	if initial && a.old {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: http.StatusUnprocessableEntity,
			Reason: metav1.StatusReasonInvalid, Message: "sendInitialEvents is forbidden",
		})
		return
	}
	opened := &openWatch{kind: kind, minutes: make(chan int, 100)}
	a.mutex.Lock()
	a.watches[opened] = true
	a.mutex.Unlock()
	defer func() {
		a.mutex.Lock()
		defer a.mutex.Unlock()
		delete(a.watches, opened)
	}()
	w.Header().Set("Content-Type", encode.contentType+";stream=watch")
	frames := encode.framer.NewFrameWriter(w)
	flush := http.NewResponseController(w)
	if initial {
		for i := range kind.many {
			if send(encode, frames, "ADDED", kind.object(i, 0)) != nil {
				return
			}
		}
		end := kind.object(0, 0)
		end.(metav1.Object).SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
		end.(metav1.Object).SetResourceVersion(resourceVersion)
		if send(encode, frames, "BOOKMARK", end) != nil {
			return
		}
	}
	for {
		if flush.Flush() != nil {
			return
		}
		select {
		case minute := <-opened.minutes:
			for _, i := range kind.changed(minute) {
				if send(encode, frames, "MODIFIED", kind.object(i, minute)) != nil {
					return
				}
			}
		case <-r.Context().Done():
			return
		}
	}
}

// send writes one event; the client may be gone.
func send(encode encoder, frames io.Writer, what string, object runtime.Object) error {
	raw, err := runtime.Encode(encode.objects, object)
	if err != nil {
		return err
	}
	return encode.events.Encode(&metav1.WatchEvent{Type: what, Object: runtime.RawExtension{Raw: raw}}, frames)
}

func (a *apiServer) must(err error) {
	if err != nil {
		a.b.Errorf("the API server: %v", err)
	}
}
