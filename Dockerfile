# Server, worker and command line. Three stages build; the runtime is made of nothing but what the programs load: deploy/image/README.md says what that is, and how large.
#
#   docker build -t attune .                           the CPU image (target cpu)
#   docker build -t attune:cuda --target cuda .        with CUDA's libraries
#   docker run --read-only --tmpfs /tmp -p 127.0.0.1:50051:50051 -v attune-data:/var/lib/attune attune
#   deploy/image/build --demo                          with buildah, also without a registry; prints sizes and runs a job inside
#
# The digest is that of the tag on the day in its name. Debian's packages come from the archive's snapshot of the same day, which the base image names; wheels and crates have
# versions and checksums (tools/versions.sh, tools/cuda-requirements.txt, Cargo.lock).
ARG BASE_IMAGE=debian:bookworm-20260918-slim@sha256:3783cc01769c7b2b1b83a5c5ad96c815348e28ed7da68e2e3687004faa906251

# Set-up first: it changes seldom, and its layers are the expensive ones.
FROM ${BASE_IMAGE} AS setup
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# 0: the newest packages of the base's own sources, where there is no snapshot.
ARG APT_SNAPSHOT=1
RUN if [ "$APT_SNAPSHOT" = 1 ]; then \
      sed -i -e '/^URIs:/d' -e 's|^# *http|URIs: http|' /etc/apt/sources.list.d/debian.sources; \
      grep -q '^URIs:' /etc/apt/sources.list.d/debian.sources; \
      echo 'Acquire::Check-Valid-Until "false";' > /etc/apt/apt.conf.d/80snapshot; \
    fi
# The snapshot decides the version.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends busybox && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/attune
COPY tools/setup tools/versions.sh tools/build_tokenizers.sh tools/cuda-requirements.txt tools/
COPY server/tokenizers/capi/ server/tokenizers/capi/
RUN tools/setup --build-only && rm -rf .deps/cargo-target /root/.cargo /var/lib/apt/lists/*

FROM setup AS build
COPY CMakeLists.txt CMakePresets.json ./
COPY cmake/ cmake/
COPY proto/ proto/
COPY client/CMakeLists.txt client/
COPY client/cpp/ client/cpp/
COPY client/cli/ client/cli/
COPY server/ server/
# With the same cache, a build after a change takes minutes. The worker looks for LibTorch where the image has it.
RUN --mount=type=cache,id=attune-ccache,target=/root/.cache/ccache \
    cmake --preset full -DATTUNE_TESTS=OFF -DCMAKE_EXE_LINKER_FLAGS=-Wl,-rpath,/usr/lib/attune/torch/lib && \
    cmake --build --preset full --target attune-server attune-worker attune
COPY deploy/image/image_root.py deploy/image/sbom.py deploy/image/
RUN deploy/image/image_root.py --libtorch .deps/libtorch --out /image \
      build/full/server/main/attune-server build/full/server/main/attune-worker build/full/client/cli/attune && \
    deploy/image/sbom.py --version "$(sed -n 's/^project(attune VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)" --root /image/torch --root /image/system --root /image/attune \
      --pins tools/versions.sh --crates server/tokenizers/capi/Cargo.lock --compiled-in libarchive-dev nlohmann-json3-dev libcli11-dev \
      --out /image/attune/usr/share/doc/attune/sbom.cdx.json && \
    mkdir /image/data

# Beside the set-up, not on the build: a change in our sources fetches nothing anew.
FROM setup AS cuda-libraries
RUN tools/setup --build-only --cuda
COPY deploy/image/image_root.py deploy/image/sbom.py deploy/image/
RUN deploy/image/image_root.py --libtorch .deps/libtorch --out /image --cuda
COPY --from=build /image/attune/usr/share/doc/attune/sbom.cdx.json /cpu.cdx.json
RUN deploy/image/sbom.py --extend /cpu.cdx.json --root /image --pins tools/versions.sh --pins tools/cuda-requirements.txt --out /sbom.cdx.json

FROM scratch AS runtime
# By how seldom they change.
COPY --from=build /image/torch/ /
COPY --from=build /image/system/ /
COPY --from=build /image/attune/ /
COPY --from=build --chown=10001:10001 /image/data/ /var/lib/attune/
ENV PATH=/usr/local/bin:/usr/bin
USER 10001:10001
VOLUME /var/lib/attune
EXPOSE 50051 9464
# Ready to take work, as Kubernetes' readiness probe asks: exit code 0 when it is.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["/usr/local/bin/attune", "-q", "server", "health"]
# Inside a container the port is published by whoever runs it: publish it on loopback unless something before it authenticates.
ENTRYPOINT ["/usr/local/bin/attune-server", "--listen", "0.0.0.0:50051", "--allow-insecure-network", "--data-dir", "/var/lib/attune"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="attune" \
      org.opencontainers.image.description="Fine-tuning as a service: server, worker and command line" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM runtime AS cuda
COPY --from=cuda-libraries /image/ /
COPY --from=cuda-libraries /sbom.cdx.json /usr/share/doc/attune/sbom.cdx.json
# For NVIDIA's container runtime, which brings the driver's libraries.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
LABEL org.opencontainers.image.title="attune, with CUDA"

# The last stage is what is built when no target is named.
FROM runtime AS cpu
