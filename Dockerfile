# Two images from one build: --target operator and --target ingester.
# The build commands are the Makefile's, so that a binary is the same here and
# there. GO_IMAGE may name any image with Go, make and CA certificates.
ARG GO_IMAGE=golang:1.26
FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN make build BUILD=/out VERSION=${VERSION}

FROM scratch AS base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
USER 65532:65532

FROM base AS operator
COPY --from=build /out/bin/operator /operator
ENTRYPOINT ["/operator"]

FROM base AS ingester
COPY --from=build /out/bin/ingester /ingester
ENTRYPOINT ["/ingester"]
