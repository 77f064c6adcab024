package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/api"
)

// slowSave is from when on a write of the ledger that went well is told as an answer of the API server: those that don't take long are many, and say
// nothing that the probes don't.
const slowSave = time.Second

// probe asks the API server what people request. That is a small read at a fixed place: how long it takes, and whether it is answered, tells how the
// API server is also when there is nothing else to ask. The daemon never writes what it reads here.
func (d *Daemon) probe(now time.Time) {
	d.wake.inProbe, d.wake.probeAt = true, now.Add(d.parts.Timing.ProbeInterval)
	aside := d.parts.Aside
	if aside == nil {
		aside = d.parts.Spawn
	}
	aside(func(ctx context.Context) Delivery {
		ctx, cancel := context.WithTimeout(ctx, d.parts.Timing.ProbeTimeout)
		defer cancel()
		begun := d.parts.Now()
		requests, err := d.parts.Probe(ctx)
		took := d.parts.Now().Sub(begun)
		return func(at time.Time) {
			d.wake.inProbe = false
			d.answered(at, took, err)
			if err == nil {
				d.Apply(at, cluster.RequestsSeen{Requests: requests})
			}
		}
	})
}

// answered tells the picture how the API server answered.
func (d *Daemon) answered(now time.Time, took time.Duration, err error) {
	a := cluster.Answer{At: now, Took: took}
	if isTrouble(err) {
		a.Err = err.Error()
	}
	d.Apply(now, cluster.APIAnswered{Answer: a})
}

// isTrouble tells an API server that fails, is overloaded or away from one that merely says no, and from a mistake in what it said.
func isTrouble(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code := status.Status().Code
		return code >= http.StatusInternalServerError || code == http.StatusTooManyRequests
	}
	var network net.Error // what a connection says that fails, and a deadline that has passed
	return errors.As(err, &network)
}

// requestsOf reads the requests, live. That there are none is a good answer, and so is a plain no: it tells of rights, and not of trouble.
func requestsOf(configMaps api.ConfigMaps, namespace string) func(ctx context.Context) ([]cluster.Request, error) {
	return func(ctx context.Context) ([]cluster.Request, error) {
		cm, err := configMaps.GetConfigMap(ctx, namespace, cluster.RequestsName)
		switch {
		case apierrors.IsNotFound(err):
			return nil, nil
		case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
			problem := fmt.Sprintf("ConfigMap %s/%s may not be read: let the daemon's role get it: %v", namespace, cluster.RequestsName, err)
			return []cluster.Request{{Key: cluster.RequestsName, Problem: problem}}, nil
		case err != nil:
			return nil, err
		}
		return cluster.ReadRequests(cm.Data), nil
	}
}

// mayBegin tells whether one more step may be begun within this minute; 0 is no limit.
func (d *Daemon) mayBegin(now time.Time, perMinute int) bool {
	if perMinute <= 0 {
		d.begun = nil
		return true
	}
	for len(d.begun) > 0 && (now.Sub(d.begun[0]) >= time.Minute || now.Before(d.begun[0])) {
		d.begun = d.begun[1:]
	}
	if len(d.begun) >= perMinute {
		return false
	}
	d.begun = append(d.begun, now)
	return true
}
