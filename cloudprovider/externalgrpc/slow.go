package externalgrpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// readSlow reads what rarely changes. What could not be read stays as it was.
func (p *Provider) readSlow(ctx context.Context, v *view, able ability, now time.Time) slow {
	next := v.slow
	next.at = now
	p.readTemplate(ctx, v.id, &next)
	p.readOptions(ctx, v.id, &next)
	if next.template != nil {
		next.version = next.template.Node.Status.NodeInfo.KubeletVersion
		p.readPrice(ctx, &next, now)
	}
	if next.version == "" && able.groupHas(v.id, extension.Capability_CAPABILITY_TEMPLATE_VERSION) {
		answer, err := ask(ctx, p.server, "ask for the version of group "+v.id, p.server.more.TemplateVersion, &extension.TemplateVersionRequest{Group: v.id})
		if err == nil {
			next.version = clip(answer.GetVersion())
		}
	}
	return next
}

// readTemplate keeps a former template while the server only has trouble, and lets go of it when the server says that it has none.
func (p *Provider) readTemplate(ctx context.Context, id string, next *slow) {
	doing := "ask for the template of group " + id
	answer, err := ask(ctx, p.server, doing, p.server.usual.NodeGroupTemplateNodeInfo, &protos.NodeGroupTemplateNodeInfoRequest{Id: id})
	if err == nil {
		var template *cloudprovider.Template
		if template, err = readTemplate(answer.GetNodeBytes(), answer.GetNodeInfo(), nil); err == nil {
			next.template, next.templateErr = template, nil
			return
		}
		if !errors.Is(err, cloudprovider.ErrNotImplemented) {
			err = cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "%w", err)
		}
	}
	if errors.Is(err, cloudprovider.ErrNotImplemented) {
		next.template = nil
	}
	if next.template == nil {
		next.templateErr = err
	}
	if errors.Is(err, cloudprovider.ErrTransient) {
		next.at = time.Time{} // again at the next Refresh
	}
}

func (p *Provider) readOptions(ctx context.Context, id string, next *slow) {
	p.mutex.RLock()
	sent := wireOptions(p.defaults)
	p.mutex.RUnlock()
	answer, err := ask(ctx, p.server, "ask for the options of group "+id, p.server.usual.NodeGroupGetOptions,
		&protos.NodeGroupAutoscalingOptionsRequest{Id: id, Defaults: sent})
	switch {
	case err == nil:
		next.options = readOptions(sent, answer.GetNodeGroupAutoscalingOptions())
	case errors.Is(err, cloudprovider.ErrNotImplemented):
		next.options = nil
	case errors.Is(err, cloudprovider.ErrTransient):
		next.at = time.Time{}
	}
}

// readPrice asks what a node like the template costs for an hour. Few servers know.
func (p *Provider) readPrice(ctx context.Context, next *slow, now time.Time) {
	if p.Lacks((*cloudprovider.Pricer)(nil)) {
		return
	}
	price, err := p.NodePrice(ctx, next.template.Node, now, now.Add(time.Hour))
	if err == nil {
		priced := *next.template
		priced.Price = price
		next.template = &priced
	}
}

// groupHas tells whether a group has a capability.
func (p *Provider) groupHas(id string, c extension.Capability) bool {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	return p.able.groupHas(id, c)
}

// NodePrice implements [cloudprovider.Pricer].
func (p *Provider) NodePrice(ctx context.Context, node *corev1.Node, start, end time.Time) (float64, error) {
	doing := "ask for the price of node " + nameOf(node)
	answer, err := ask(ctx, p.server, doing, p.server.usual.PricingNodePrice, &protos.PricingNodePriceRequest{
		Node: wireNode(node), StartTime: oldTime(start), EndTime: oldTime(end), StartTimestamp: timestamppb.New(start), EndTimestamp: timestamppb.New(end),
	})
	if err != nil {
		p.notePrices(err)
		return 0, err
	}
	return readPrice(answer.GetPrice()), nil
}

// PodPrice implements [cloudprovider.Pricer].
func (p *Provider) PodPrice(ctx context.Context, pod *corev1.Pod, start, end time.Time) (float64, error) {
	const doing = "ask for the price of a pod"
	encoded, err := pod.Marshal()
	if err != nil {
		return 0, cloudprovider.Errorf(cloudprovider.ClassInvalid, doing, "encode it: %w", err)
	}
	answer, err := ask(ctx, p.server, doing, p.server.usual.PricingPodPrice, &protos.PricingPodPriceRequest{
		Pod: encoded, StartTime: oldTime(start), EndTime: oldTime(end),
		PodBytes: encoded, StartTimestamp: timestamppb.New(start), EndTimestamp: timestamppb.New(end),
	})
	if err != nil {
		return 0, err
	}
	return readPrice(answer.GetPrice()), nil
}

func oldTime(t time.Time) *protos.OldTime {
	return &protos.OldTime{Seconds: t.Unix(), Nanos: int32(t.Nanosecond())}
}

// notePrices remembers that the server knows no prices, so that it is not asked for each template.
func (p *Provider) notePrices(err error) {
	if !errors.Is(err, cloudprovider.ErrNotImplemented) {
		return
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.noPrice = true
}
