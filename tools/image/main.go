// Image packs static programs and other files into an image without Docker: one layer on nothing, as an archive that container runtimes import.
//
//	image -out poolkeeper.tar -name ghcr.io/poolkeeper/poolkeeper:v0.1.0 -entrypoint /usr/local/bin/poolkeeper /usr/local/bin/poolkeeper=bin/poolkeeper
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	file := flags.String("out", "", "the archive to write")
	called := flags.String("name", "", "the image's name, with its tag")
	entrypoint := flags.String("entrypoint", "", "the program that a container runs")
	user := flags.String("user", "65532:65532", "who runs it, as UID:GID")
	arch := flags.String("arch", runtime.GOARCH, "the programs' architecture")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *file == "" || *called == "" || *entrypoint == "" || flags.NArg() == 0 {
		return fmt.Errorf("-out, -name, -entrypoint and at least one PATH=FILE are needed")
	}
	tag, err := name.NewTag(*called)
	if err != nil {
		return err
	}
	content, err := layer(flags.Args())
	if err != nil {
		return err
	}
	packed, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
	if err != nil {
		return err
	}
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: *arch, OS: "linux", RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{Entrypoint: []string{*entrypoint}, User: *user},
	})
	if err != nil {
		return err
	}
	if image, err = mutate.AppendLayers(image, packed); err != nil {
		return err
	}
	if err := tarball.WriteToFile(*file, tag, image); err != nil {
		return err
	}
	size, err := packed.Size()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d bytes compressed\n", *called, size)
	return nil
}

// layer is the tar of a layer with the files, each given as PATH=FILE: where it is in the image, and here.
func layer(files []string) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	made := map[string]bool{}
	for _, f := range files {
		target, source, ok := strings.Cut(f, "=")
		if !ok || !path.IsAbs(target) {
			return nil, fmt.Errorf("%q: want PATH=FILE, with an absolute path in the image", f)
		}
		if err := folders(w, made, path.Dir(target)); err != nil {
			return nil, err
		}
		content, err := os.ReadFile(source)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(source)
		if err != nil {
			return nil, err
		}
		mode := int64(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(target, "/"), Mode: mode, Size: int64(len(content))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// folders makes the folder and those above it, once.
func folders(w *tar.Writer, made map[string]bool, folder string) error {
	var missing []string
	for ; folder != "/"; folder = path.Dir(folder) {
		if !made[folder] {
			made[folder] = true
			missing = append(missing, folder)
		}
	}
	for _, f := range slices.Backward(missing) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(f, "/") + "/", Mode: 0o755}); err != nil {
			return err
		}
	}
	return nil
}
