package conformance

import (
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// looks are the checks about what a group says of itself.
func looks() []check {
	return []check{
		{name: "a group says its limits, that it exists, and a line for people", do: groupsSpeak},
		{name: "a template has what pods are scheduled by", do: templateIsUsable},
		{name: "whoever changes what a group gave out changes nothing of the group's", do: answersBelongToTheCaller},
		{name: "a group's options change nothing that it has no opinion on", do: optionsKeepDefaults},
	}
}

func groupsSpeak(p *probe) {
	for _, group := range p.Provider.NodeGroups() {
		if group.MinSize() < 0 || group.MinSize() > group.MaxSize() {
			p.Errorf("group %s has min %d and max %d", group.Id(), group.MinSize(), group.MaxSize())
		}
		if !group.Exist() {
			p.Errorf("group %s has a target and says that it doesn't exist", group.Id())
		}
		if group.Debug() == "" || strings.Contains(group.Debug(), "\n") {
			p.Errorf("group %s: Debug gives %q, want one line", group.Id(), group.Debug())
		}
	}
}

func templateIsUsable(p *probe) {
	for _, group := range p.Provider.NodeGroups() {
		template, err := group.TemplateNodeInfo(p.ctx)
		p.must(err, "TemplateNodeInfo of "+group.Id())
		if template == nil || template.Node == nil {
			p.Fatalf("TemplateNodeInfo of %s gave no node", group.Id())
		}
		p.checkTemplate(group.Id(), template)
	}
}

func (p *probe) checkTemplate(name string, template *cloudprovider.Template) {
	p.Helper()
	node := template.Node
	if node.Name != "" || node.UID != "" || node.Spec.ProviderID != "" {
		p.Errorf("the template of %s has name %q, UID %q, provider ID %q; a template is nobody", name, node.Name, node.UID, node.Spec.ProviderID)
	}
	for _, key := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourcePods} {
		capacity, allocatable := node.Status.Capacity[key], node.Status.Allocatable[key]
		if allocatable.Sign() <= 0 || allocatable.Cmp(capacity) > 0 {
			p.Errorf("the template of %s has %s of %s allocatable and a capacity of %s", name, allocatable.String(), key, capacity.String())
		}
	}
	for _, taint := range node.Spec.Taints {
		if strings.HasPrefix(taint.Key, "poolkeeper.io/") {
			p.Errorf("the template of %s has Poolkeeper's own taint %s", name, taint.Key)
		}
	}
	if template.Price < 0 {
		p.Errorf("the template of %s has a price of %v", name, template.Price)
	}
}

func answersBelongToTheCaller(p *probe) {
	const mark = "conformance.poolkeeper.io/mark"
	template, err := p.group().TemplateNodeInfo(p.ctx)
	p.must(err, "TemplateNodeInfo")
	if template.Node.Labels == nil {
		template.Node.Labels = map[string]string{}
	}
	template.Node.Labels[mark] = "true"
	template.Node.Status.Allocatable[mark] = template.Node.Status.Allocatable[corev1.ResourceCPU]
	list := p.instances(p.Group)
	id := list[0].ID
	list[0].ID = mark
	again, err := p.group().TemplateNodeInfo(p.ctx)
	p.must(err, "TemplateNodeInfo")
	_, allocatable := again.Node.Status.Allocatable[mark]
	if again.Node.Labels[mark] != "" || allocatable {
		p.Fatalf("a caller changed the template that it got, and the next template has the change")
	}
	if !p.has(id) {
		p.Fatalf("a caller changed the list of instances that it got, and the next list has the change")
	}
}

// optionsKeepDefaults guards against options that are a zero where they should be nothing.
func optionsKeepDefaults(p *probe) {
	for _, group := range p.Provider.NodeGroups() {
		options, err := group.GetOptions(p.ctx, cloudprovider.Options{})
		if errors.Is(err, cloudprovider.ErrNotImplemented) {
			continue
		}
		p.must(err, "GetOptions of "+group.Id())
		if options == nil {
			continue
		}
		for name, value := range map[string]bool{
			"MaxNodeProvisionTime": options.MaxNodeProvisionTime != nil && *options.MaxNodeProvisionTime <= 0,
			"MaxNodeStartupTime":   options.MaxNodeStartupTime != nil && *options.MaxNodeStartupTime <= 0,
		} {
			if value {
				p.Errorf("GetOptions of %s: %s is zero or less, so that every new node would be too late; give nil for no opinion", group.Id(), name)
			}
		}
	}
}
