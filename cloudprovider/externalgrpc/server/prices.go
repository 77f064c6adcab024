package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// PricingNodePrice implements [protos.CloudProviderServer].
func (u *usual) PricingNodePrice(ctx context.Context, q *protos.PricingNodePriceRequest) (*protos.PricingNodePriceResponse, error) {
	pricer, ok := cloudprovider.As[cloudprovider.Pricer](u.provider)
	if !ok {
		return nil, externalgrpc.Status(errNotTold)
	}
	start, end := moment(q.GetStartTimestamp(), q.GetStartTime()), moment(q.GetEndTimestamp(), q.GetEndTime())
	node := ourNode(q.GetNode())
	price, err := pricer.NodePrice(ctx, node, start, end)
	if err != nil {
		if hourly, known := u.priceLike(ctx, node); known { // a template, which is nobody's node
			price, err = hourly*end.Sub(start).Hours(), nil
		}
	}
	if err != nil {
		return nil, externalgrpc.Status(err)
	}
	return &protos.PricingNodePriceResponse{Price: price}, nil
}

// priceLike is the hourly price of the group whose template the node's labels come from.
func (u *usual) priceLike(ctx context.Context, node *corev1.Node) (price float64, known bool) {
	most := 0
	for _, group := range u.provider.NodeGroups() {
		template, err := group.TemplateNodeInfo(ctx)
		if err != nil || template == nil || template.Node == nil || template.Price <= 0 || len(template.Node.Labels) <= most {
			continue
		}
		if hasAll(node.Labels, template.Node.Labels) {
			price, known, most = template.Price, true, len(template.Node.Labels)
		}
	}
	return price, known
}

func hasAll(labels, wanted map[string]string) bool {
	for key, value := range wanted {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// PricingPodPrice implements [protos.CloudProviderServer].
func (u *usual) PricingPodPrice(ctx context.Context, q *protos.PricingPodPriceRequest) (*protos.PricingPodPriceResponse, error) {
	pricer, ok := cloudprovider.As[cloudprovider.Pricer](u.provider)
	if !ok {
		return nil, externalgrpc.Status(errNotTold)
	}
	encoded := q.GetPodBytes()
	if len(encoded) == 0 {
		encoded = q.GetPod()
	}
	pod := &corev1.Pod{}
	if err := pod.Unmarshal(encoded); err != nil {
		return nil, externalgrpc.Status(cloudprovider.Errorf(cloudprovider.ClassInvalid, "", "this is no Kubernetes Pod: %w", err))
	}
	price, err := pricer.PodPrice(ctx, pod, moment(q.GetStartTimestamp(), q.GetStartTime()), moment(q.GetEndTimestamp(), q.GetEndTime()))
	if err != nil {
		return nil, externalgrpc.Status(err)
	}
	return &protos.PricingPodPriceResponse{Price: price}, nil
}

// moment is a time by today's field, or by the one of old clients.
func moment(t *timestamppb.Timestamp, old *protos.OldTime) time.Time {
	if t != nil {
		return t.AsTime()
	}
	return time.Unix(old.GetSeconds(), int64(old.GetNanos()))
}
