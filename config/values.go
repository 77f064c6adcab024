package config

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/drain"
	"github.com/poolkeeper/poolkeeper/window"
)

// Values as they are written in flags and in the file. Each error says what is wrong and how it is written.

// share is a number, or a percentage up to 100.
var share = regexp.MustCompile(`^([0-9]{1,6}|(100|[0-9]{1,2})%)$`)

// parseShare reads a number or a percentage.
func parseShare(text string) (intstr.IntOrString, error) {
	if !share.MatchString(text) {
		return intstr.IntOrString{}, fmt.Errorf("%q is neither a number nor a percentage: write it as in \"1\" or \"25%%\"", text)
	}
	return intstr.Parse(text), nil
}

// parseVersion reads a Kubernetes version with its patch; empty leaves it to the provider.
func parseVersion(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	v, err := version.ParseGeneric(text)
	if err != nil {
		return "", fmt.Errorf("%q is not a version: write it as in \"v1.36.3\"", text)
	}
	if len(v.Components()) < 3 {
		return "", fmt.Errorf("%q lacks its patch version: write it as in \"v1.36.3\"", text)
	}
	return text, nil
}

// parseWindow reads a window; empty or "never" is none.
func parseWindow(text string) (window.Window, error) {
	if text == "" || strings.EqualFold(text, "never") {
		return nil, nil //nolint:nilnil // nil is the window that never opens
	}
	return window.Parse(text)
}

func parseSwitch(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", text)
}

func parseCount(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n > math.MaxInt32 {
		return 0, fmt.Errorf("%q is not a whole number: write it as in 3", text)
	}
	if n < 0 {
		return 0, fmt.Errorf("%q is negative: give 0 or a positive number", text)
	}
	return n, nil
}

func parseThreshold(text string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0 && n <= 1) {
		return 0, fmt.Errorf("%q is not a number from 0 to 1: write it as in 0.5", text)
	}
	return n, nil
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: write it as in 90s, 10m or 1h30m", text)
	}
	if d < 0 {
		return 0, fmt.Errorf("%q is negative: give a duration that is not", text)
	}
	return d, nil
}

// parseLimit reads a duration within which something is to happen: none at all would never do.
func parseLimit(text string) (time.Duration, error) {
	d, err := parseDuration(text)
	if err == nil && d == 0 {
		err = fmt.Errorf("%q is no time at all: give a duration above 0", text)
	}
	return d, err
}

// parseTurns reads the turns in which pods leave a node, as in 0:60,1000:100, and gives them with the lowest priority first; empty is none.
func parseTurns(text string) ([]drain.Turn, error) {
	if text == "" {
		return nil, nil
	}
	var turns []drain.Turn
	for part := range strings.SplitSeq(text, ",") {
		priority, seconds, found := strings.Cut(strings.TrimSpace(part), ":")
		least, err := strconv.ParseInt(priority, 10, 32)
		wait, errWait := strconv.ParseInt(seconds, 10, 32)
		if !found || err != nil || errWait != nil || wait < 0 {
			return nil, fmt.Errorf("%q is not priority:seconds: write it as in 0:60", part)
		}
		turns = append(turns, drain.Turn{Priority: int32(least), Wait: time.Duration(wait) * time.Second})
	}
	slices.SortFunc(turns, func(a, b drain.Turn) int { return cmp.Compare(a.Priority, b.Priority) })
	for i := 1; i < len(turns); i++ {
		if turns[i].Priority == turns[i-1].Priority {
			return nil, fmt.Errorf("priority %d is there twice: leave one of them out", turns[i].Priority)
		}
	}
	return turns, nil
}

// parseTotal reads a least and a most amount.
func parseTotal(text string) (autoscaler.Total, error) {
	least, most, ok := strings.Cut(text, ":")
	low, errLow := strconv.ParseInt(least, 10, 64)
	high, errHigh := strconv.ParseInt(most, 10, 64)
	switch {
	case !ok || errLow != nil || errHigh != nil:
		return autoscaler.Total{}, fmt.Errorf("%q is not a least and a most: write it as in \"0:1000\"", text)
	case low < 0 || high < low || high > 1<<33:
		return autoscaler.Total{}, fmt.Errorf("%q can't be kept to: give two numbers that are not negative, the lower one first", text)
	}
	return autoscaler.Total{Min: low, Max: high}, nil
}

// parseGPUTotal reads a kind of GPU with a least and a most number.
func parseGPUTotal(text string) (autoscaler.GPUTotal, error) {
	kind, rest, ok := strings.Cut(text, ":")
	if !ok || kind == "" {
		return autoscaler.GPUTotal{}, fmt.Errorf("%q is not a kind with a least and a most: write it as in \"nvidia-tesla-t4:0:8\"", text)
	}
	total, err := parseTotal(rest)
	if err != nil {
		return autoscaler.GPUTotal{}, fmt.Errorf("%q: %w", text, err)
	}
	return autoscaler.GPUTotal{Kind: kind, Total: total}, nil
}

// parseChannel reads a channel; empty follows the provider's template.
func parseChannel(text string) (cluster.Channel, error) {
	switch c := cluster.Channel(text); c {
	case "", cluster.ChannelNone, cluster.ChannelPatch, cluster.ChannelMinor, cluster.ChannelPinned:
		return c, nil
	}
	return "", fmt.Errorf("%q is no channel: take none, patch, minor or pinned", text)
}

// parseRoom reads room for so many pods of a size.
func parseRoom(text string) (cluster.Room, error) {
	number, size, ok := strings.Cut(text, "x")
	cpu, memory, okSize := strings.Cut(size, "/")
	n, err := strconv.Atoi(number)
	if !ok || !okSize || err != nil || n < 1 || n > 100000 {
		return cluster.Room{}, fmt.Errorf("%q is not a number of pods with their size: write it as in \"10x500m/1Gi\"", text)
	}
	room := cluster.Room{Pods: n, Asks: corev1.ResourceList{}}
	for name, text := range map[corev1.ResourceName]string{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory} {
		amount, err := resource.ParseQuantity(text)
		if err != nil || amount.Sign() < 0 {
			return cluster.Room{}, fmt.Errorf("%q is not an amount: write it as in 500m or 1Gi", text)
		}
		room.Asks[name] = amount
	}
	return room, nil
}

// parseRooms reads rooms that are separated by commas; empty is none.
func parseRooms(text string) ([]cluster.Room, error) {
	if text == "" {
		return nil, nil
	}
	var rooms []cluster.Room
	for part := range strings.SplitSeq(text, ",") {
		room, err := parseRoom(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		rooms = append(rooms, room)
	}
	return rooms, nil
}
