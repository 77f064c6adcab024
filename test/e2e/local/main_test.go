package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

func TestThePoolsOfMakeLocalAreValid(t *testing.T) {
	content, err := os.ReadFile("pools.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kwok.ParseConfig("pools.yaml", content); err != nil {
		t.Error(err)
	}
}

// lines gathers what is printed, and can be read meanwhile.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestLocalPrintsAKubeconfigThatWorksAndStaysUntilItIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	printed, ended := make(lines, 100), make(chan error, 1)
	go func() { ended <- run(ctx, []string{"--daemon=false"}, printed) }()

	export, text, kubeconfig := regexp.MustCompile(`export KUBECONFIG=(\S+)`), "", ""
	for limit := time.After(5 * time.Minute); kubeconfig == ""; {
		select {
		case more := <-printed:
			text += more
			if found := export.FindStringSubmatch(text); found != nil {
				kubeconfig = found[1]
			}
		case err := <-ended:
			t.Fatalf("ended before it was interrupted: %v\n%s", err, text)
		case <-limit:
			t.Fatalf("no kubeconfig in: %s", text)
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	controlplane.Eventually(t, time.Minute, func(ctx context.Context) error {
		namespaces, err := kubernetes.NewForConfigOrDie(config).CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		if err == nil && len(namespaces.Items) == 0 {
			err = fmt.Errorf("no namespaces")
		}
		return err
	})

	interrupt()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(kubeconfig)); !os.IsNotExist(err) {
		t.Errorf("the folder of the control plane is still there (%v)", err)
	}
}

func TestAnUnknownFlagIsAnErrorBeforeAnythingStarts(t *testing.T) {
	err := run(t.Context(), []string{"--no-such-flag"}, make(lines, 100))
	if err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("error %v", err)
	}
}
