package command

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// asked is a request as it is written for the daemon; docs/requests.md has the fields.
type asked struct {
	Request string   `json:"request"`
	Jobs    []string `json:"jobs,omitempty"`
	Pool    string   `json:"pool,omitempty"`
	Node    string   `json:"node,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	By      string   `json:"by,omitempty"`
	Asked   string   `json:"asked,omitempty"`
	Until   string   `json:"until,omitempty"`
	Force   bool     `json:"force,omitempty"`
}

// edit changes the ConfigMap of requests with the user's own rights, and makes it if it is missing. It tells the namespace.
func (r *reach) edit(ctx context.Context, change func(data map[string]string) error) (namespace string, err error) {
	if namespace, err = r.namespace(ctx); err != nil {
		return "", err
	}
	client, err := r.client()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	maps := client.CoreV1().ConfigMaps(namespace)
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		cm, err := maps.Get(ctx, cluster.RequestsName, metav1.GetOptions{})
		missing := apierrors.IsNotFound(err)
		if err != nil && !missing {
			return err
		}
		if missing {
			cm = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: cluster.RequestsName}}
		}
		if cm.Data == nil {
			cm.Data = map[string]string{}
		}
		if err := change(cm.Data); err != nil {
			return err
		}
		if missing {
			_, err = maps.Create(ctx, cm, metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) { // somebody was faster
				return apierrors.NewConflict(corev1.Resource("configmaps"), cluster.RequestsName, err)
			}
			return err
		}
		_, err = maps.Update(ctx, cm, metav1.UpdateOptions{})
		return err
	})
	switch {
	case apierrors.IsForbidden(err):
		return namespace, fmt.Errorf("you may not write requests: the rights are get, create and update on ConfigMaps in namespace %s: %w", namespace, err)
	case apierrors.IsNotFound(err):
		return namespace, fmt.Errorf("there is no namespace %s; give --namespace of Poolkeeper: %w", namespace, err)
	case apierrors.ReasonForError(err) != metav1.StatusReasonUnknown:
		return namespace, fmt.Errorf("write ConfigMap %s/%s: %w", namespace, cluster.RequestsName, err)
	}
	return namespace, err
}

// who is the user by the API server's word, else by the machine's.
func (r *reach) who(ctx context.Context) string {
	if client, err := r.client(); err == nil {
		review, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if err == nil && review.Status.UserInfo.Username != "" {
			return review.Status.UserInfo.Username
		}
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// write adds a request under a key of its own, after it was read as the daemon will read it.
func (r *reach) write(ctx context.Context, key string, a asked) (name, namespace string, err error) {
	content, err := yaml.Marshal(a)
	if err != nil {
		return "", "", err
	}
	if problem := cluster.ReadRequests(map[string]string{"it": string(content)})[0].Problem; problem != "" {
		return "", "", usagef("the daemon would not understand the request: %s", problem)
	}
	namespace, err = r.edit(ctx, func(data map[string]string) error {
		name = key
		for n := 2; ; n++ {
			if _, taken := data[name]; !taken {
				break
			}
			name = fmt.Sprintf("%s-%d", key, n)
		}
		data[name] = string(content)
		return nil
	})
	return name, namespace, err
}

// jobs are the three, as people name them: also by the switch's name.
var jobs = map[string]string{
	"autoscale": "autoscale", "heal": "heal", "upgrade": "upgrade", "autoheal": "heal", "autoupgrade": "upgrade", "everything": "",
}

// pause has the daemon leave something alone.
func pause(o *Options) *cobra.Command {
	var pool, node, why, until, name string
	c := &cobra.Command{
		Use: "pause everything|autoscale|heal|upgrade...", Short: "Have it leave the cluster, a pool or a node alone, for some time or until you resume",
		Long: "pause writes a request into the ConfigMap poolkeeper-requests with your own rights. Nothing new is begun where it holds, and what is under way stays\n" +
			"where it is. Without --pool and --node it holds for the whole cluster. A machine that the cloud takes anyway is drained all the same.",
		Example: fmt.Sprintf("  %[1]s pause everything --until 2h --reason 'the rack is moved'\n  %[1]s pause heal upgrade --pool web --until 2026-11-22T06:00:00Z\n  %[1]s pause autoscale --node web-3",
			o.Name),
		ValidArgs: []string{"everything", "autoscale", "heal", "upgrade"},
	}
	r := addReach(o, c)
	fs := c.Flags()
	fs.StringVar(&pool, "pool", "", "this pool alone")
	fs.StringVar(&node, "node", "", "this node alone")
	fs.StringVar(&why, "reason", "", "why, for people: it shows wherever something is held by it")
	fs.StringVar(&until, "until", "", "when it ends by itself: a moment as 2026-11-22T06:00:00Z, or a duration from now as 2h30m; without it, it ends when you resume")
	fs.StringVar(&name, "name", "", "the request's name; one is made if it is missing")
	completePools(r, c)
	completeNodes(r, c)
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("pause: say what: everything, autoscale, heal or upgrade")
		}
		for _, arg := range args {
			if _, known := jobs[strings.ToLower(arg)]; !known {
				return usagef("pause: %q is none of the jobs: write everything, autoscale, heal or upgrade", arg)
			}
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if pool != "" && node != "" {
			return usagef("pause: give --pool or --node, not both")
		}
		a := asked{Request: string(cluster.PauseRequest), Pool: pool, Node: node, Reason: why, By: r.who(c.Context()), Asked: o.Now().UTC().Format(time.RFC3339)}
		for _, arg := range args {
			job := jobs[strings.ToLower(arg)]
			if job == "" {
				a.Jobs = nil
				break
			}
			if !slices.Contains(a.Jobs, job) {
				a.Jobs = append(a.Jobs, job)
			}
		}
		ends, err := o.moment(until)
		if err != nil {
			return err
		}
		if !ends.IsZero() {
			a.Until = ends.Format(time.RFC3339)
		}
		if name != "" && !nameLike.MatchString(name) {
			return usagef("pause: --name is %q: use letters, digits, dashes and dots", name)
		}
		if err := r.known(c.Context(), pool, node); err != nil {
			return err
		}
		key, namespace, err := r.write(c.Context(), or(name, "pause-"+or(or(pool, node), "cluster")), a)
		if err != nil {
			return err
		}
		what := "everything"
		if len(a.Jobs) > 0 {
			what = strings.Join(a.Jobs, " and ")
		}
		fmt.Fprintf(o.Out, "Paused %s %s (request %s in %s/%s), %s. The daemon reads it within ten seconds.\n", what, scope(pool, node), key, namespace, cluster.RequestsName,
			or(untilText(ends), "until: "+o.Name+" resume "+key))
		return nil
	}
	return c
}

// nameLike is a key that a ConfigMap takes.
var nameLike = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)

func scope(pool, node string) string {
	switch {
	case pool != "":
		return "on pool " + pool
	case node != "":
		return "on node " + node
	}
	return "on the whole cluster"
}

func untilText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return "until " + t.Format("2006-01-02 15:04:05 MST")
}

// moment reads --until.
func (o *Options) moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		d, err := time.ParseDuration(text)
		if err != nil {
			return time.Time{}, usagef("--until: %q is neither a moment nor a duration: write it as 2026-11-22T06:00:00Z or as 2h30m", text)
		}
		at = o.Now().Add(d)
	}
	if !at.After(o.Now()) {
		return time.Time{}, usagef("--until: %q is over already: give a moment to come", text)
	}
	return at.UTC().Truncate(time.Second), nil
}

// known refuses a name that nobody has: a request about it would hold nothing, in silence. Where the daemon can't be asked, a pool is believed.
func (r *reach) known(ctx context.Context, pool, node string) error {
	if node != "" {
		_, err := r.node(ctx, node)
		return err
	}
	if pool == "" {
		return nil
	}
	_, err := r.explain(ctx, "pool", pool)
	if no := new(refusal); errors.As(err, &no) {
		return usagef("--pool: %w", err)
	}
	return nil
}

func (r *reach) node(ctx context.Context, name string) (*corev1.Node, error) {
	client, err := r.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("there is no node %s; see kubectl get nodes", name)
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("you may not read nodes: the right is get on nodes: %w", err)
	case err != nil:
		return nil, r.away(err)
	}
	return node, nil
}

// resume takes pauses back.
func resume(o *Options) *cobra.Command {
	var pool, node string
	var all, whole bool
	c := &cobra.Command{
		Use: "resume [REQUEST...]", Short: "Take pauses back, by their names or by what they are about",
		Example: fmt.Sprintf("  %[1]s resume pause-web\n  %[1]s resume --pool web\n  %[1]s resume --all", o.Name),
	}
	r := addReach(o, c)
	fs := c.Flags()
	fs.StringVar(&pool, "pool", "", "the pauses of this pool")
	fs.StringVar(&node, "node", "", "the pauses of this node")
	fs.BoolVar(&whole, "whole-cluster", false, "the pauses of the whole cluster")
	fs.BoolVar(&all, "all", false, "all pauses")
	completePools(r, c)
	completeNodes(r, c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 && pool == "" && node == "" && !all && !whole {
			return usagef("resume: say which: names (%s requests lists them), --pool, --node, --whole-cluster or --all", o.Name)
		}
		var gone []string
		namespace, err := r.edit(c.Context(), func(data map[string]string) error {
			gone = nil
			for _, q := range cluster.ReadRequests(data) {
				named := slices.Contains(args, q.Key)
				if q.Kind != cluster.PauseRequest && !named {
					continue
				}
				if named || all || pool != "" && q.Pool == pool || node != "" && q.Node == node || whole && q.Pool == "" && q.Node == "" {
					gone = append(gone, q.Key)
					delete(data, q.Key)
				}
			}
			for _, arg := range args {
				if !slices.Contains(gone, arg) {
					return usagef("resume: there is no request %q; %s requests lists them", arg, o.Name)
				}
			}
			return nil
		})
		switch {
		case err != nil:
			return err
		case len(gone) == 0:
			fmt.Fprintf(o.Out, "No pause is about that in %s/%s.\n", namespace, cluster.RequestsName)
			return nil
		}
		fmt.Fprintf(o.Out, "Taken back: %s. The daemon reads it within ten seconds.\n", strings.Join(gone, ", "))
		return nil
	}
	return c
}

// requests lists what people have asked for.
func requests(o *Options) *cobra.Command {
	var output string
	c := &cobra.Command{Use: "requests", Short: "What people have asked for: pauses, repairs", Args: noArgs}
	r := addReach(o, c)
	addOutput(c.Flags(), &output)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := checkOutput(c, output); err != nil {
			return err
		}
		namespace, err := r.namespace(c.Context())
		if err != nil {
			return err
		}
		client, err := r.client()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Context(), r.timeout)
		defer cancel()
		cm, err := client.CoreV1().ConfigMaps(namespace).Get(ctx, cluster.RequestsName, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			cm = &corev1.ConfigMap{}
		case apierrors.IsForbidden(err):
			return fmt.Errorf("you may not read requests: the right is get on ConfigMaps in namespace %s: %w", namespace, err)
		case err != nil:
			return r.away(err)
		}
		all := cluster.ReadRequests(cm.Data)
		return o.print(output, all, func(p *page) { o.showRequests(p, all) })
	}
	return c
}

func (o *Options) showRequests(p *page, all []cluster.Request) {
	if len(all) == 0 {
		p.linef("Nobody has asked for anything.")
		return
	}
	var rows [][]cell
	for _, q := range all {
		ends := "when it is resumed"
		switch {
		case q.Kind == cluster.HealNowRequest:
			ends = "when the node is replaced"
		case q.Ended(o.Now()):
			ends = "over"
		case !q.Until.IsZero():
			ends = "in " + o.ago(o.Now().Add(-q.Until.Sub(o.Now())))
		}
		if q.Problem != "" {
			rows = append(rows, []cell{{q.Key, strong}, {"unreadable", red}, text("everything"), text("whole cluster"), text("when it is mended"), text(""), {q.Problem, red}})
			continue
		}
		what := "everything"
		if names := jobNames(q); len(names) > 0 && len(names) < 3 {
			what = strings.Join(names, ", ")
		}
		if q.Kind == cluster.HealNowRequest {
			what = ""
		}
		where := "whole cluster"
		if q.Pool != "" || q.Node != "" {
			where = strings.TrimPrefix(scope(q.Pool, q.Node), "on ")
		}
		rows = append(rows, []cell{{q.Key, strong}, text(string(q.Kind)), text(what), text(where), text(ends), text(q.By), text(q.Reason)})
	}
	p.table([]string{"NAME", "REQUEST", "JOBS", "WHERE", "ENDS", "BY", "WHY"}, rows)
}

func jobNames(q cluster.Request) []string {
	var names []string
	for _, job := range q.Jobs {
		names = append(names, map[string]string{"autoscaler": "autoscale", "healer": "heal", "upgrader": "upgrade"}[string(job)])
	}
	return names
}

func completeNodes(r *reach, c *cobra.Command) {
	_ = c.RegisterFlagCompletionFunc("node", func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return r.names(c, "node"), cobra.ShellCompDirectiveNoFileComp
	}) // the flag is there
}
