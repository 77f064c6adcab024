module github.com/poolkeeper/poolkeeper/tools/image

go 1.26.0

tool (
	github.com/poolkeeper/poolkeeper/tools/image
	github.com/poolkeeper/poolkeeper/tools/image/pause
)

require github.com/google/go-containerregistry v0.21.9

require (
	github.com/klauspost/compress v1.19.1 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
	github.com/opencontainers/image-spec v1.1.1 // indirect
)
