# A container image with the static program and nothing else: no shell, no libraries. Certificates are in the program.
#
#   docker build --tag longclip .
#   docker run --rm --user "$(id -u)" --volume "$PWD:/work" longclip classify photo.jpg --labels "a cat" "a dog"
#
# Downloaded models and embeddings of labels are kept in the volume /cache.
FROM rust:1.95-alpine AS build
# hadolint ignore=DL3018
RUN apk add --no-cache build-base
WORKDIR /source
COPY . .
RUN cargo build --release --locked && packaging/image-root target/release/longclip /root-of-image

FROM scratch
COPY --from=build /root-of-image /
COPY LICENSE NOTICE /usr/share/doc/longclip/
ENV HF_HOME=/cache XDG_CACHE_HOME=/cache
VOLUME /cache
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["/usr/bin/longclip"]
CMD ["--help"]
