# A container image with the static program and certificates, and nothing else: no shell, no package manager.
#
#   docker build --tag longclip .
#   docker run --rm --user "$(id -u)" --volume "$PWD:/work" longclip classify photo.jpg --labels "a cat" "a dog"
#
# Downloaded models are kept in the volume /cache.
FROM rust:1.95-alpine AS build
# hadolint ignore=DL3018
RUN apk add --no-cache build-base
WORKDIR /source
COPY . .
RUN cargo build --release --locked && \
    mkdir -p /root-of-image/usr/bin /root-of-image/cache /root-of-image/work && \
    chmod 1777 /root-of-image/cache && \
    cp target/release/longclip /root-of-image/usr/bin/

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /root-of-image /
COPY LICENSE NOTICE /usr/share/doc/longclip/
ENV HF_HOME=/cache
VOLUME /cache
WORKDIR /work
ENTRYPOINT ["/usr/bin/longclip"]
CMD ["--help"]
