package scheduling

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

func (t *trial) packs() *packer {
	if t.packer == nil {
		t.packer = newPacker()
	}
	return t.packer
}

func (t *trial) addOf(shape *Shape, name string) {
	node := newNode(shape, name)
	info := newInfo(shape.Node, shape.Pods)
	info.SetNode(node)
	t.setNode(name, info)
	if shape.CSINode != nil {
		csi := *shape.CSINode
		csi.Name = name
		t.setCSINode(&csi)
	}
}

func (t *trial) amountsOn(name string, k *packer) (has, room []int64) {
	info := t.nodes.get(name)
	if info == nil {
		return make([]int64, 4), make([]int64, 4)
	}
	alloc, _ := info.GetAllocatable().(*framework.Resource)
	req, _ := info.GetRequested().(*framework.Resource)
	has = k.amount(alloc, int64(alloc.AllowedPodNumber))
	used := k.amount(req, int64(len(info.Pods)))
	room = append([]int64(nil), has...)
	for r, n := range used {
		for len(room) <= r {
			room = append(room, 0)
		}
		room[r] -= n
	}
	return has, room
}

func (t *trial) nodeNamed(name string) *corev1.Node {
	if info := t.nodes.get(name); info != nil {
		return info.Node()
	}
	return nil
}
