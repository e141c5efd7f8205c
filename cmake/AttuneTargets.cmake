# What every folder's CMakeLists.txt uses. One target per folder:
#
#   attune_library(jobs DEPS attune_base SQLite::SQLite3)      -> attune_jobs from server/jobs/*.cc
#   attune_object_library(training_models TORCH DEPS ...)      -> keeps self-registering objects
#   attune_test(jobs LABEL unit DEPS attune_jobs)              -> attune_jobs_test from tests/.../*.cc

find_program(ATTUNE_CCACHE ccache)
if(ATTUNE_CCACHE)
  # Precompiled headers and several checkouts of the same sources share one cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${ATTUNE_CCACHE})
endif()
find_program(ATTUNE_MOLD mold)
if(ATTUNE_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Torch translation units take over 1 GB each: as many at once as memory allows, and no more than the cores.
cmake_host_system_information(RESULT attune_memory_mb QUERY TOTAL_PHYSICAL_MEMORY)
cmake_host_system_information(RESULT attune_cores QUERY NUMBER_OF_LOGICAL_CORES)
math(EXPR attune_torch_jobs "${attune_memory_mb} / 2500")
if(attune_torch_jobs LESS 1)
  set(attune_torch_jobs 1)
elseif(attune_torch_jobs GREATER attune_cores)
  set(attune_torch_jobs ${attune_cores})
endif()
set_property(GLOBAL PROPERTY JOB_POOLS torch_compile=${attune_torch_jobs})

add_library(attune_flags INTERFACE)
target_include_directories(attune_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(attune_flags INTERFACE -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -fno-omit-frame-pointer)
if(ATTUNE_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
elseif(ATTUNE_SANITIZE STREQUAL "fuzz")
  # Clang's: libFuzzer is linked by attune_fuzz_target, and everything else tells it where it has been.
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
elseif(ATTUNE_SANITIZE STREQUAL "thread")
  # Undefined, because Protobuf's headers lay out map fields differently where it is defined, and Debian's library was compiled without.
  add_compile_options(-fsanitize=thread -U__SANITIZE_THREAD__ -DATTUNE_THREAD_SANITIZER)
  add_link_options(-fsanitize=thread)
  # Debian's Abseil is not instrumented: without this every access under an absl::Mutex looks like a race.
  add_library(attune_tsan_sync OBJECT ${CMAKE_SOURCE_DIR}/tests/sanitizers/absl_sync_for_tsan.cc)
  target_link_libraries(attune_tsan_sync PRIVATE absl::synchronization)
  target_link_libraries(attune_flags INTERFACE $<TARGET_OBJECTS:attune_tsan_sync> absl::synchronization)
endif()

function(attune_library name)
  cmake_parse_arguments(A "TORCH" "" "DEPS;SOURCES" ${ARGN})
  if(NOT A_SOURCES)
    file(GLOB A_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  endif()
  if(NOT A_SOURCES)
    add_library(attune_${name} INTERFACE)  # headers only, so far
    target_link_libraries(attune_${name} INTERFACE attune_flags ${A_DEPS})
    return()
  endif()
  add_library(attune_${name} STATIC ${A_SOURCES})
  target_link_libraries(attune_${name} PUBLIC attune_flags ${A_DEPS})
  if(A_TORCH)
    attune_use_torch(attune_${name})
  endif()
endfunction()

# For folders whose files register themselves: a static library would drop such objects at link time.
# Link it as usual (target_link_libraries(x attune_NAME)); its objects travel along.
function(attune_object_library name)
  cmake_parse_arguments(A "TORCH" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  add_library(attune_${name}_objects OBJECT ${sources})
  target_link_libraries(attune_${name}_objects PUBLIC attune_flags ${A_DEPS})
  if(A_TORCH)
    attune_use_torch(attune_${name}_objects)
  endif()
  add_library(attune_${name} INTERFACE)
  target_link_libraries(attune_${name} INTERFACE attune_${name}_objects $<TARGET_OBJECTS:attune_${name}_objects> ${A_DEPS})
endfunction()

function(attune_use_torch target)
  target_link_libraries(${target} PUBLIC attune_torch)
  set_property(TARGET ${target} PROPERTY JOB_POOL_COMPILE torch_compile)
endfunction()

# One test binary per folder; every *.cc in the current folder unless SOURCES says otherwise.
# LABEL is the tier: unit, training, integration, gpu.
function(attune_test name)
  cmake_parse_arguments(A "TORCH;SERIAL" "LABEL;TIMEOUT" "DEPS;SOURCES;ENV" ${ARGN})
  if(NOT A_SOURCES)
    file(GLOB A_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  add_executable(attune_${name}_test ${A_SOURCES})
  target_link_libraries(attune_${name}_test PRIVATE attune_flags ${A_DEPS} GTest::gmock GTest::gtest_main)
  if(A_TORCH)
    attune_use_torch(attune_${name}_test)
  endif()
  add_test(NAME ${name} COMMAND attune_${name}_test)
  set_tests_properties(${name} PROPERTIES LABELS ${A_LABEL} TIMEOUT ${A_TIMEOUT}
    ENVIRONMENT "ATTUNE_SOURCE_DIR=${CMAKE_SOURCE_DIR};ATTUNE_BUILD_DIR=${CMAKE_BINARY_DIR};ATTUNE_DEPS_DIR=${ATTUNE_DEPS_DIR};${A_ENV}")
  if(A_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

# A fuzz target NAME from NAME_fuzz.cc in the current folder. In preset fuzz it is a program of libFuzzer's, which tools/fuzz runs. In all other builds a test gives it
# its seeds, what once broke it, and some thousand mutants of these: see tests/fuzz/README.md. SEEDS: folders beside seeds/NAME. MUTANTS: how many, for half a second or so.
function(attune_fuzz_target name)
  cmake_parse_arguments(A "" "MUTANTS" "DEPS;SEEDS" ${ARGN})
  add_executable(attune_fuzz_${name} ${name}_fuzz.cc)
  target_link_libraries(attune_fuzz_${name} PRIVATE attune_flags attune_fuzz ${A_DEPS})
  set(folders ${CMAKE_CURRENT_SOURCE_DIR}/seeds/${name} ${A_SEEDS})
  string(REPLACE ";" "\n" lines "${folders}")
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${name}.seeds "${lines}\n")  # for tools/fuzz
  if(ATTUNE_SANITIZE STREQUAL "fuzz")
    target_link_options(attune_fuzz_${name} PRIVATE -fsanitize=fuzzer)
    return()
  endif()
  target_link_libraries(attune_fuzz_${name} PRIVATE attune_fuzz_replay)
  if(NOT A_MUTANTS)
    set(A_MUTANTS 20000)
  endif()
  add_test(NAME fuzz_${name} COMMAND attune_fuzz_${name} --mutants=${A_MUTANTS} ${folders})
  set_tests_properties(fuzz_${name} PROPERTIES LABELS unit TIMEOUT 300)
endfunction()
