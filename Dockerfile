# Two stages: `make setup` and the build on Debian 12, then the programs with only the libraries that they load.
#
#   docker build -t attune .
#   docker run -p 127.0.0.1:50051:50051 -v attune-data:/var/lib/attune attune
#
# Both stages use the path /opt/attune, because the worker finds LibTorch by the path that it was linked with.
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git make && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/attune
# Set-up first: it changes seldom, and its layer is the expensive one.
COPY Makefile ./
COPY tools/ tools/
COPY server/tokenizers/capi/ server/tokenizers/capi/
RUN make setup
COPY . .
RUN cmake --preset full && cmake --build --preset full --target attune-server attune-worker attune
# What the worker loads of LibTorch's wheel: the CPU library (the large one, 430 MB), its OpenMP, and two small CUDA libraries that it is linked to.
RUN mkdir -p /stage/torch /stage/cuda && cd .deps/libtorch && \
    cp -a torch/lib/libtorch_cpu.so torch/lib/libc10.so torch/lib/libgomp*.so* /stage/torch/ && \
    cp -a nvidia/cu13/lib/libcudart.so.13 nvidia/cu13/lib/libcupti.so.13 /stage/cuda/

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      ca-certificates libgrpc++1.51 libprotobuf32 libabsl20220623 libprometheus-cpp-core1.0 libcivetweb1 libsqlite3-0 libyaml-cpp0.7 zlib1g libzstd1 libssl3 libcurl4 libjpeg62-turbo libpng16-16 libwebp7 libarchive13 \
    && rm -rf /var/lib/apt/lists/* && useradd --system --uid 10001 --home-dir /var/lib/attune --create-home attune
COPY --from=build /stage/torch/ /opt/attune/.deps/libtorch/torch/lib/
COPY --from=build /stage/cuda/ /opt/attune/.deps/libtorch/nvidia/cu13/lib/
COPY --from=build /opt/attune/build/full/server/main/attune-server /opt/attune/build/full/server/main/attune-worker /opt/attune/build/full/client/cli/attune /usr/local/bin/
USER 10001
VOLUME /var/lib/attune
EXPOSE 50051
# Inside a container the port is published by whoever runs it: publish it on loopback unless something before it authenticates.
ENTRYPOINT ["/usr/local/bin/attune-server", "--listen", "0.0.0.0:50051", "--allow-insecure-network", "--data-dir", "/var/lib/attune"]
