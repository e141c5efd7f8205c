# System packages (tools/setup installs them with apt) and what tools/setup unpacks into ATTUNE_DEPS_DIR.
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC REQUIRED)
find_package(GTest REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(CURL REQUIRED)  # keys of token issuers (server/auth/jwt)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(civetweb REQUIRED)  # HTTP for the metrics
find_package(prometheus-cpp REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
# libarchive's static library: the shared one loads libxml2, and with it 38 MB of ICU, for xar archives, which nothing here reads or writes. Our own function
# comes first, so that the linker leaves its member of the archive where it is.
find_package(LibArchive REQUIRED)
find_library(ATTUNE_ARCHIVE_STATIC libarchive.a REQUIRED)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/no_xar.c CONTENT "int archive_write_set_format_xar(void* archive) { (void)archive; return -30; /* ARCHIVE_FATAL */ }\n" @ONLY)
add_library(attune_archive STATIC ${CMAKE_BINARY_DIR}/no_xar.c)
target_include_directories(attune_archive SYSTEM PUBLIC ${LibArchive_INCLUDE_DIRS})
target_link_libraries(attune_archive PUBLIC ${ATTUNE_ARCHIVE_STATIC} nettle bz2 lzma PkgConfig::zstd ZLIB::ZLIB)

# Image files (server/images).
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
pkg_check_modules(webp REQUIRED IMPORTED_TARGET libwebp)

# The Rust tokenizers library behind a C ABI (server/tokenizers/capi), built by tools/setup.
add_library(attune_tokenizers_capi STATIC IMPORTED GLOBAL)
set_target_properties(attune_tokenizers_capi PROPERTIES
  IMPORTED_LOCATION ${ATTUNE_DEPS_DIR}/tokenizers/libattune_tokenizers.a
  INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")

if(ATTUNE_TRAINING)
  # The wheel's TorchConfig.cmake wants a CUDA toolkit; the libraries are named directly instead.
  set(torch_root ${ATTUNE_DEPS_DIR}/libtorch/torch)
  if(NOT EXISTS ${torch_root}/lib/libtorch_cpu.so)
    message(FATAL_ERROR "LibTorch is not in ${torch_root}: run 'make setup', or configure with -DATTUNE_TRAINING=OFF")
  endif()
  add_library(attune_torch INTERFACE)
  target_include_directories(attune_torch SYSTEM INTERFACE
    ${torch_root}/include ${torch_root}/include/torch/csrc/api/include)
  target_link_libraries(attune_torch INTERFACE
    ${torch_root}/lib/libtorch_cpu.so ${torch_root}/lib/libc10.so ${CMAKE_DL_LIBS})
  target_link_options(attune_torch INTERFACE
    -Wl,-rpath,${torch_root}/lib -Wl,-rpath,${ATTUNE_DEPS_DIR}/libtorch/nvidia/cu13/lib
    -Wl,--unresolved-symbols=ignore-in-shared-libs)
endif()
