package fake

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// route is one call of the API. Of its path, {…} stands for anything.
type route struct {
	method, path string
	do           func(*Cloud, *call) answer
}

// routes are all calls that the fake cloud knows. Others are 404, as they would be for a wrong address.
var routes = []route{
	{"GET", "/metadata", (*Cloud).metadata},
	{"GET", "/k8s/v1/regions/{region}/clusters", (*Cloud).listClusters},
	{"GET", "/k8s/v1/regions/{region}/clusters/{cluster}", (*Cloud).getCluster},
	{"PATCH", "/k8s/v1/regions/{region}/clusters/{cluster}", (*Cloud).patchCluster},
	{"POST", "/k8s/v1/regions/{region}/clusters/{cluster}/upgrade", (*Cloud).postClusterUpgrade},
	{"GET", "/k8s/v1/regions/{region}/clusters/{cluster}/available-versions", (*Cloud).listAvailableVersions},
	{"GET", "/k8s/v1/regions/{region}/versions", (*Cloud).listVersions},
	{"GET", "/k8s/v1/regions/{region}/clusters/{cluster}/pools", (*Cloud).listPools},
	{"POST", "/k8s/v1/regions/{region}/clusters/{cluster}/pools", (*Cloud).postPool},
	{"GET", "/k8s/v1/regions/{region}/pools/{pool}", (*Cloud).getPool},
	{"PATCH", "/k8s/v1/regions/{region}/pools/{pool}", (*Cloud).patchPool},
	{"DELETE", "/k8s/v1/regions/{region}/pools/{pool}", (*Cloud).deletePool},
	{"POST", "/k8s/v1/regions/{region}/pools/{pool}/upgrade", (*Cloud).postPoolUpgrade},
	{"GET", "/k8s/v1/regions/{region}/clusters/{cluster}/nodes", (*Cloud).listNodes},
	{"GET", "/k8s/v1/regions/{region}/nodes/{node}", (*Cloud).getNode},
	{"DELETE", "/k8s/v1/regions/{region}/nodes/{node}", (*Cloud).deleteNode},
	{"POST", "/k8s/v1/regions/{region}/nodes/{node}/replace", (*Cloud).postReplace},
	{"POST", "/k8s/v1/regions/{region}/nodes/{node}/reboot", (*Cloud).postReboot},
	{"GET", "/k8s/v1/regions/{region}/autoscaler/clusters/{cluster}/pools", (*Cloud).listAutoscalerPools},
	{"GET", "/instance/v1/zones/{zone}/products/servers", (*Cloud).listServerTypes},
}

// call is one request, taken apart.
type call struct {
	in    map[string]string
	query url.Values
	body  []byte
}

// answer is what is said to a request.
type answer struct {
	status int
	body   any
	header http.Header
}

func ok(body any) answer { return answer{status: http.StatusOK, body: body} }

// mostBody is how much of a request's body is read.
const mostBody = 1 << 20

func (c *Cloud) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	c.mutex.Lock()
	c.advance()
	fault := c.faultFor(r)
	var said answer
	if fault == nil || fault.Late || fault.Cut {
		said = c.respond(r, body)
	}
	if fault != nil && !fault.Cut {
		said = fault.answer()
	}
	c.log = append(c.log, Request{At: c.now, Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Body: string(body), Status: said.status})
	id := len(c.log)
	c.mutex.Unlock()

	w.Header().Set("X-Request-Id", fmt.Sprintf("fake-%d", id))
	maps.Copy(w.Header(), said.header)
	if text, plain := said.body.(string); plain {
		w.WriteHeader(said.status)
		_, _ = io.WriteString(w, text)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(said.status)
	if said.body == nil {
		return
	}
	text, err := json.Marshal(said.body)
	if err != nil {
		panic(err) // the bodies are our own
	}
	if fault != nil && fault.Cut {
		text = text[:len(text)/2]
	}
	_, _ = w.Write(text)
}

// respond answers a request that no fault befell.
func (c *Cloud) respond(r *http.Request, body []byte) answer {
	if c.opts.PerMinute > 0 && c.lastMinute() >= c.opts.PerMinute {
		said := refusal(http.StatusTooManyRequests, "too_many_requests", map[string]any{"message": "too many requests"})
		said.header = http.Header{"Retry-After": {"20"}}
		return said
	}
	if r.URL.Path != "/metadata" && r.Header.Get("X-Auth-Token") != c.opts.SecretKey {
		return refusal(http.StatusUnauthorized, "denied_authentication", map[string]any{"method": "api_key", "reason": "not_found"})
	}
	known := false
	for _, route := range routes {
		in, matches := match(route.path, r.URL.Path)
		known = known || matches
		if !matches || route.method != r.Method {
			continue
		}
		if region, given := in["region"]; given && region != c.opts.Region {
			return notFound("cluster", in["cluster"])
		}
		if id, given := in["cluster"]; given && id != c.cluster.id {
			return notFound("cluster", id)
		}
		return route.do(c, &call{in: in, query: r.URL.Query(), body: body})
	}
	if known {
		return answer{status: http.StatusMethodNotAllowed, body: "Method Not Allowed"}
	}
	return answer{status: http.StatusNotFound, body: "404 page not found", header: http.Header{"Content-Type": {"text/plain"}}}
}

func match(pattern, path string) (map[string]string, bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return nil, false
	}
	in := map[string]string{}
	for i, part := range want {
		switch {
		case strings.HasPrefix(part, "{"):
			in[strings.Trim(part, "{}")] = have[i]
		case part != have[i]:
			return nil, false
		}
	}
	return in, true
}

// read takes the body apart. A field that the API doesn't know is refused, as is a value of another kind.
func (q *call) read(to any) *answer {
	decoder := json.NewDecoder(strings.NewReader(string(q.body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(to); err != nil {
		said := invalid("body", "format", err.Error())
		return &said
	}
	return nil
}

// most is the largest page; ordinary the size of one that isn't asked for.
const (
	most     = 100
	ordinary = 20
)

// page is the part of a list that the request asks for, under its name.
func page[T any](q *call, name string, all []T) answer {
	number, size := 1, ordinary
	for key, to := range map[string]*int{"page": &number, "page_size": &size} {
		if text := q.query.Get(key); text != "" {
			value, err := strconv.Atoi(text)
			if err != nil || value < 1 || key == "page_size" && value > most {
				return invalid(key, "constraint", "must be between 1 and 100")
			}
			*to = value
		}
	}
	from := min((number-1)*size, len(all))
	return ok(map[string]any{name: append([]T{}, all[from:min(from+size, len(all))]...), "total_count": len(all)})
}

// refusal is an error as the API writes it.
func refusal(status int, kind string, more map[string]any) answer {
	body := map[string]any{"type": kind}
	maps.Copy(body, more)
	if _, said := body["message"]; !said {
		body["message"] = strings.ReplaceAll(kind, "_", " ")
	}
	return answer{status: status, body: body}
}

func notFound(resource, id string) answer {
	return refusal(http.StatusNotFound, "not_found", map[string]any{"resource": resource, "resource_id": id, "message": "resource is not found"})
}

func invalid(argument, reason, help string) answer {
	return refusal(http.StatusBadRequest, "invalid_arguments", map[string]any{
		"details": []map[string]any{{"argument_name": argument, "reason": reason, "help_message": help}},
	})
}

func transient(resource, id, state string) answer {
	return refusal(http.StatusConflict, "transient_state", map[string]any{"resource": resource, "resource_id": id, "current_state": state})
}

func locked(resource, id string) answer {
	return refusal(http.StatusLocked, "locked", map[string]any{"resource": resource, "resource_id": id}) // an assumption: the status code is not documented
}

func precondition(help string) answer {
	return refusal(http.StatusPreconditionFailed, "precondition_failed", map[string]any{"precondition": "unknown_precondition", "help_message": help})
}
