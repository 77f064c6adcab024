package conformance

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// options are the checks about what a group asks of the daemon.
func options() []check {
	return []check{
		{
			name: "a group's own options are its own, and those of no other group", do: optionsAreTold,
			needs: hook("Options", func(f Fixture) bool { return f.Options != nil }),
		},
		{name: "JobHolder: a group at rest holds no job", do: restHoldsNothing},
		{
			name: "JobHolder: a job that is to be left alone is named once, with a reason, on that group alone", do: heldJobIsTold,
			needs: hook("Hold", func(f Fixture) bool { return f.Hold != nil }),
		},
	}
}

func optionsAreTold(p *probe) {
	for _, group := range p.Provider.NodeGroups() {
		got, err := group.GetOptions(p.ctx, cloudprovider.Options{})
		p.must(err, "GetOptions of "+group.Id())
		want := p.Options[group.Id()]
		if want == nil {
			want = &cloudprovider.Options{}
		}
		if got == nil {
			got = &cloudprovider.Options{}
		}
		if !reflect.DeepEqual(got, want) {
			p.Fatalf("GetOptions of %s gave %s, want %s", group.Id(), written(got), written(want))
		}
	}
}

// written is the options that have a value.
func written(o *cloudprovider.Options) string {
	var said []string
	for i, value := 0, reflect.ValueOf(*o); i < value.NumField(); i++ {
		if field := value.Field(i); !field.IsNil() {
			said = append(said, fmt.Sprintf("%s=%v", value.Type().Field(i).Name, field.Elem()))
		}
	}
	if len(said) == 0 {
		return "none"
	}
	return strings.Join(said, " ")
}

// holder is the named group as one that can hold jobs.
func (p *probe) holder(name string) cloudprovider.JobHolder {
	p.Helper()
	able, ok := cloudprovider.As[cloudprovider.JobHolder](p.named(name))
	if !ok {
		p.Skipf("the provider's groups have no JobHolder")
	}
	return able
}

func restHoldsNothing(p *probe) {
	for _, name := range []string{p.Group, p.Other} {
		if held := p.holder(name).HeldJobs(); len(held) > 0 {
			p.Fatalf("group %s is at rest and holds %+v", name, held)
		}
	}
}

func heldJobIsTold(p *probe) {
	p.holder(p.Group)
	wanted := p.Hold()
	p.refresh()
	var found []cloudprovider.Job
	for _, held := range p.holder(p.Group).HeldJobs() {
		if slices.Contains(found, held.Job) || held.Message == "" || held.Cause == "" {
			p.Fatalf("HeldJobs of %s has %+v; every job is named once, with its cause and a message for people", p.Group, held)
		}
		found = append(found, held.Job)
	}
	for _, job := range wanted {
		if !slices.Contains(found, job) {
			p.Fatalf("HeldJobs of %s has %v, and not %s", p.Group, found, job)
		}
	}
	if held := p.holder(p.Other).HeldJobs(); len(held) > 0 {
		p.Fatalf("group %s holds %+v, which only holds for %s", p.Other, held, p.Group)
	}
}
