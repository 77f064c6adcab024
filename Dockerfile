# The daemon's image: one static binary, no shell, not root.
#   docker build --build-arg VERSION=v0.1.0 -t poolkeeper .
# Both bases can be replaced by mirrors of your own. The first one needs Go 1.26, make, bash, git and CA certificates; the second one nothing at all.
ARG BUILD_IMAGE=golang:1.26-bookworm
ARG RUNTIME_IMAGE=scratch

FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS build
WORKDIR /src
# The modules change less often than the code: they have a layer of their own.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
ARG TARGETOS
ARG TARGETARCH
RUN GOOS=${TARGETOS} GOARCH=${TARGETARCH} make build VERSION="${VERSION}" BUILD_FLAGS=-trimpath LINK_FLAGS="-s -w"
RUN mkdir /out && cp bin/poolkeeper /etc/ssl/certs/ca-certificates.crt "$(go env GOROOT)/lib/time/zoneinfo.zip" /out/

FROM ${RUNTIME_IMAGE}
# Maintenance windows name time zones, and the clouds' APIs are spoken to over TLS.
ENV ZONEINFO=/usr/share/zoneinfo.zip
COPY --from=build /out/zoneinfo.zip /usr/share/zoneinfo.zip
COPY --from=build /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/poolkeeper /usr/local/bin/poolkeeper
COPY LICENSE /LICENSE
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/poolkeeper"]
