// Drives a fuzz target where libFuzzer is not linked: `make test`, with any compiler. Gives it every file of the
// folders named, empty input, beginnings of these files, and as many mutants of them as --mutants says. A seed decides
// all of it, so what fails once fails again.
//
//   attune_fuzz_csv --mutants=5000 tests/fuzz/seeds/csv tests/fuzz/regressions/csv
//
// An input that ends the program, or takes half a minute, is left as fuzz-failure-NAME in the current folder.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "server/base/counter_random.h"
#include "server/base/str_cat.h"
#include "tests/fuzz/driver/fuzz.h"

namespace attune::fuzz {
namespace {

constexpr size_t kMaxInputBytes = 4096;  // of mutants
constexpr unsigned kMaxSeconds = 30;     // of one execution

// What the signal handler writes: set before each call of the target.
const char* failure_path = "";
const uint8_t* current_data = nullptr;
size_t current_size = 0;

void KeepInput() {
  const int fd = ::open(failure_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd >= 0 && ::write(fd, current_data, current_size) >= 0) {
    constexpr char kSaid[] = "fuzz: the input is in ";
    (void)!::write(STDERR_FILENO, kSaid, sizeof kSaid - 1);
    (void)!::write(STDERR_FILENO, failure_path, std::strlen(failure_path));
    (void)!::write(STDERR_FILENO, "\n", 1);
  }
}

void OnSignal(int signal) {
  KeepInput();
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

void WatchForTheEnd() {
  ::signal(SIGABRT, &OnSignal);
  ::signal(SIGALRM, &OnSignal);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_set_death_callback(&KeepInput);  // it has handlers of its own for the rest
#else
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::signal(signal, &OnSignal);
#endif
}

void Run(const std::string& input) {
  // Of its own memory, exactly as long: a sanitizer sees what is read behind it.
  const std::unique_ptr<uint8_t[]> data(new uint8_t[input.size()]);
  std::copy(input.begin(), input.end(), data.get());
  current_data = data.get();
  current_size = input.size();
  ::alarm(kMaxSeconds);
  LLVMFuzzerTestOneInput(data.get(), input.size());
}

// Numbers that lengths, counts and offsets are checked against.
constexpr uint64_t kInteresting[] = {0,
                                     1,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0x7fff,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     0xffffffffffffffff};

class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& seeds) : seeds_(seeds) {}

  std::string Next() {
    std::string input = Seed();
    if (input.size() > kMaxInputBytes) input = input.substr(Below(input.size() - kMaxInputBytes + 1), kMaxInputBytes);
    for (uint64_t changes = 1 + Below(6); changes > 0; --changes) Change(input);
    if (input.size() > kMaxInputBytes) input.resize(kMaxInputBytes);
    return input;
  }

 private:
  uint64_t Below(uint64_t bound) { return random_.Below(bound); }
  const std::string& Seed() { return seeds_[Below(seeds_.size())]; }

  void Change(std::string& input) {
    const size_t at = Below(input.size() + 1), length = Below(std::min<size_t>(input.size() - at, 64) + 1);
    switch (Below(7)) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ 1 << Below(8));
        break;
      case 1:
        if (at < input.size()) input[at] = static_cast<char>(Below(256));
        break;
      case 2:
        input.erase(at, length);
        break;
      case 3:
        input.insert(Below(input.size() + 1), input.substr(at, length));
        break;
      case 4: {  // a piece of another seed
        const std::string& other = Seed();
        const size_t from = Below(other.size() + 1);
        input.replace(at, length, other.substr(from, Below(128)));
        break;
      }
      case 5: {  // a number in the place of another, in either order of bytes
        const uint64_t number = kInteresting[Below(std::size(kInteresting))] + Below(3) - 1;
        const size_t bytes = size_t{1} << Below(4);
        const bool big_endian = Below(2) == 0;
        for (size_t i = 0; i < bytes && at + i < input.size(); ++i) {
          input[at + i] = static_cast<char>(number >> 8 * (big_endian ? bytes - 1 - i : i));
        }
        break;
      }
      default: {  // the same in decimal
        const uint64_t number = kInteresting[Below(std::size(kInteresting))];
        input.replace(at, std::min<size_t>(length, 4),
                      Below(2) == 0 ? StrCat(number) : StrCat(static_cast<int64_t>(number)));
      }
    }
  }

  const std::vector<std::string>& seeds_;
  CounterRandom random_{/*seed=*/1, /*stream=*/0};
};

std::vector<std::string> ReadFolders(const std::vector<std::string>& folders) {
  std::vector<std::string> paths;
  for (const std::string& folder : folders) {
    if (!std::filesystem::exists(folder)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> contents;
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    contents.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return contents;
}

int Main(int argc, char** argv) {
  uint64_t mutants = 0;
  std::vector<std::string> folders;
  for (int i = 1; i < argc; ++i) {
    constexpr char kMutants[] = "--mutants=";
    if (std::strncmp(argv[i], kMutants, sizeof kMutants - 1) == 0) {
      mutants = std::strtoull(argv[i] + sizeof kMutants - 1, nullptr, 10);
    } else {
      folders.emplace_back(argv[i]);
    }
  }
  const std::string path = StrCat("fuzz-failure-", std::filesystem::path(argv[0]).filename().string());
  failure_path = path.c_str();
  WatchForTheEnd();

  const auto begin = std::chrono::steady_clock::now();
  uint64_t executions = 0;
  const auto run = [&](const std::string& input) {
    Run(input);
    ++executions;
  };
  const std::vector<std::string> seeds = ReadFolders(folders);
  if (seeds.empty()) {
    std::fprintf(stderr, "fuzz: there are no seeds\n");
    return 1;
  }
  run("");
  for (const std::string& seed : seeds) {
    run(seed);
    for (size_t length = 1; length < seed.size(); length += 1 + seed.size() / 32) run(seed.substr(0, length));
  }
  Mutator mutator(seeds);
  for (uint64_t i = 0; i < mutants; ++i) run(mutator.Next());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf("%zu seeds, %llu executions in %.1f s\n", seeds.size(), static_cast<unsigned long long>(executions),
              seconds.count());
  return 0;
}

}  // namespace
}  // namespace attune::fuzz

int main(int argc, char** argv) { return attune::fuzz::Main(argc, argv); }
