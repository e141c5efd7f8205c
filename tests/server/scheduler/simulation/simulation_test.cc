// Runs seeds. Environment: ATTUNE_SIMULATION_SEED (one seed, with its trace), or ATTUNE_SIMULATION_FIRST and ATTUNE_SIMULATION_COUNT (from 1; 200).
#include "tests/server/scheduler/simulation/simulation.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "gtest/gtest.h"
#include "server/base/files.h"
#include "server/base/log.h"
#include "server/base/str_cat.h"

namespace attune::simulation {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

volatile std::sig_atomic_t seed_under_way = 0;

// A seed that makes the scheduler crash is named too.
void NameSeed(int signal) {
  char text[64] = "\nthe process dies in seed ";
  size_t length = sizeof("\nthe process dies in seed ") - 1;
  char digits[20];
  size_t count = 0;
  for (auto rest = static_cast<unsigned>(seed_under_way); rest > 0 || count == 0; rest /= 10) digits[count++] = static_cast<char>('0' + rest % 10);
  while (count > 0) text[length++] = digits[--count];
  text[length++] = '\n';
  (void)!write(STDERR_FILENO, text, length);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

class SimulationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SetMinLogLevel(static_cast<LogLevel>(static_cast<int>(LogLevel::kError) + 1));
    // Checkpoints are real files, and many: in memory where that is to be had.
    if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", /*overwrite=*/0);
    for (const int signal : {SIGSEGV, SIGABRT}) std::signal(signal, NameSeed);
  }
  void TearDown() override { SetMinLogLevel(LogLevel::kInfo); }

  static std::string Replay(uint64_t seed, const std::string& directory) {
    const Outcome outcome = Simulate(seed, directory, /*tracing=*/true);
    std::string text;
    for (const std::string& line : outcome.trace) StrAppend(&text, line, "\n");
    return StrAppend(&text, "seed ", seed, ": ", outcome.failure.empty() ? "no rule was broken" : outcome.failure, "\n"), text;
  }
};

TEST_F(SimulationTest, NoSeedBreaksARule) {
  const TemporaryDirectory directory;
  if (const uint64_t seed = FromEnvironment("ATTUNE_SIMULATION_SEED", 0); seed != 0) {
    std::fputs(Replay(seed, directory.path()).c_str(), stdout);
    EXPECT_EQ(Simulate(seed, directory.path(), /*tracing=*/false).failure, "");
    return;
  }
  const uint64_t first = FromEnvironment("ATTUNE_SIMULATION_FIRST", 1), count = FromEnvironment("ATTUNE_SIMULATION_COUNT", 200);
  Outcome sum;
  int failures = 0;
  for (uint64_t seed = first; seed < first + count && failures < 5; ++seed) {
    seed_under_way = static_cast<std::sig_atomic_t>(seed);
    const Outcome outcome = Simulate(seed, directory.path(), /*tracing=*/false);
    sum.jobs += outcome.jobs;
    sum.succeeded += outcome.succeeded;
    sum.kills += outcome.kills;
    sum.shutdowns += outcome.shutdowns;
    sum.lasted += outcome.lasted;
    if (outcome.failure.empty()) continue;
    // The first with what led to it.
    ADD_FAILURE() << (++failures == 1 ? Replay(seed, directory.path()) : StrCat("seed ", seed, ": ", outcome.failure, "\n")) << "to repeat it: ATTUNE_SIMULATION_SEED=" << seed
                  << " ctest --test-dir build/full -R scheduler_simulation_1 -V";
  }
  std::printf("%llu seeds: %d jobs at the end, of which %d succeeded; %d kills and %d shutdowns of the server; %s of virtual time\n", static_cast<unsigned long long>(count),
              sum.jobs, sum.succeeded, sum.kills, sum.shutdowns, absl::FormatDuration(sum.lasted).c_str());
}

TEST_F(SimulationTest, ASeedIsAlwaysTheSameRun) {
  const TemporaryDirectory directory, elsewhere;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Outcome once = Simulate(seed, directory.path(), /*tracing=*/true), again = Simulate(seed, elsewhere.path(), /*tracing=*/true);
    EXPECT_EQ(once.last_number, again.last_number) << "seed " << seed;
    ASSERT_EQ(once.trace.size(), again.trace.size()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace attune::simulation
