package machine

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// Repository and Tag name the image that [Images] packs.
const (
	Repository = "poolkeeper.io/e2e/poolkeeper"
	Tag        = "test"
)

// Images packs the project's image as it is in the tree, as `make image` does, and the one that holds a pod's namespaces. They are archives in the folder.
func Images(ctx context.Context, folder string) ([]string, error) {
	tree, err := controlplane.Tree()
	if err != nil {
		return nil, err
	}
	ours, pause := filepath.Join(folder, "poolkeeper.tar"), filepath.Join(folder, "pause.tar")
	build := exec.CommandContext(ctx, "make", "-s", "-C", tree, "image", "IMAGE="+Repository+":"+Tag, "ARCHIVE="+ours)
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("packing the image: %w\n%s", err, out)
	}
	packer, err := controlplane.Tool(ctx, "image", "image")
	if err != nil {
		return nil, err
	}
	program, err := controlplane.Tool(ctx, "image", "pause")
	if err != nil {
		return nil, err
	}
	_, err = run(ctx, packer, "-out", pause, "-name", PauseImage, "-entrypoint", "/pause", "/pause="+program)
	return []string{ours, pause}, err
}
