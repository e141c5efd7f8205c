// The host's memory as /proc tells it: a scripted one, and our own.
#include "server/training/recipes/probe/process_memory.h"

#include <cstdlib>
#include <cstring>
#include <memory>

#include <gtest/gtest.h>

#include "server/base/files.h"

namespace attune::training {
namespace {

constexpr int64_t kMebibyte = 1 << 20;

class ProcessMemoryTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    const std::string full = root_.path() + path;
    ASSERT_TRUE(Files::Posix().CreateDirectories(full.substr(0, full.rfind('/'))).ok());
    ASSERT_TRUE(WriteFileAtomically(Files::Posix(), full, text).ok());
  }
  void SetUp() override {
    Write("/proc/self/status", "Name:\tx\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\nVmData:\t  153600 kB\n");
    Write("/proc/meminfo", "MemTotal:  4096000 kB\nMemFree:  1 kB\nMemAvailable:  1024000 kB\n");
  }
  void TearDown() override { unsetenv(kWorkerMemoryVariable); }

  TemporaryDirectory root_;
};

TEST_F(ProcessMemoryTest, ReadsUseAndPeak) {
  ProcessMemory memory(root_.path());
  EXPECT_EQ(memory.InUseBytes(), 100 * kMebibyte);
  EXPECT_EQ(memory.PeakBytes(), 200 * kMebibyte);
}

TEST_F(ProcessMemoryTest, TheMachineIsTheLimit) { EXPECT_EQ(ProcessMemory(root_.path()).LimitBytes(), (100 + 1000) * kMebibyte); }

TEST_F(ProcessMemoryTest, AControlGroupIsTheLimit) {
  Write("/proc/self/cgroup", "0::/jobs/one\n");
  Write("/sys/fs/cgroup/jobs/one/memory.max", "max\n");
  Write("/sys/fs/cgroup/jobs/one/memory.current", "1\n");
  Write("/sys/fs/cgroup/jobs/memory.max", std::to_string(700 * kMebibyte));
  Write("/sys/fs/cgroup/jobs/memory.current", std::to_string(300 * kMebibyte));
  Write("/sys/fs/cgroup/jobs/memory.stat", "anon 5\ninactive_file " + std::to_string(50 * kMebibyte) + "\n");
  EXPECT_EQ(ProcessMemory(root_.path()).LimitBytes(), (100 + 450) * kMebibyte) << "that of the parent";
}

TEST_F(ProcessMemoryTest, SoIsOneOfTheFirstVersion) {
  Write("/proc/self/cgroup", "5:cpu:/\n4:memory:/\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", std::to_string(400 * kMebibyte));
  Write("/sys/fs/cgroup/memory/memory.usage_in_bytes", std::to_string(300 * kMebibyte));
  EXPECT_EQ(ProcessMemory(root_.path()).LimitBytes(), 200 * kMebibyte);
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(ProcessMemory(root_.path()).LimitBytes(), 1100 * kMebibyte) << "which means that there is none";
}

TEST_F(ProcessMemoryTest, AWorkersOwnLimitCountsWhatIsMappedAlready) {
  setenv(kWorkerMemoryVariable, std::to_string(400 * kMebibyte).c_str(), 1);
  EXPECT_EQ(ProcessMemory(root_.path()).LimitBytes(), (100 + 400 - 150) * kMebibyte);
  setenv(kWorkerMemoryVariable, std::to_string(90 * kMebibyte).c_str(), 1);
  EXPECT_EQ(ProcessMemory(root_.path()).LimitBytes(), 100 * kMebibyte) << "used up";
  setenv(kWorkerMemoryVariable, "nonsense", 1);
  EXPECT_EQ(ProcessMemory(root_.path()).LimitBytes(), 1100 * kMebibyte);
}

TEST_F(ProcessMemoryTest, WithoutProcNothingIsKnown) {
  ProcessMemory memory("/nowhere");
  EXPECT_EQ(memory.InUseBytes(), 0);
  EXPECT_EQ(memory.LimitBytes(), 0);
}

TEST(OwnMemory, ThePeakFollowsAResetAndAnAllocation) {
  ProcessMemory memory;
  memory.ResetPeak();
  const int64_t before = memory.PeakBytes();
  ASSERT_GT(before, 0);
  constexpr size_t kBytes = 64 << 20;
  {
    std::unique_ptr<char[]> block(new char[kBytes]);
    std::memset(block.get(), 1, kBytes);
    EXPECT_EQ(block[kBytes - 1], 1);
  }
  EXPECT_NEAR(static_cast<double>(memory.PeakBytes() - before), static_cast<double>(kBytes), 4 << 20);
  memory.ResetPeak();
  EXPECT_LT(memory.PeakBytes(), before + static_cast<int64_t>(kBytes) / 2) << "it was given back";
  EXPECT_GT(memory.LimitBytes(), memory.InUseBytes());
}

}  // namespace
}  // namespace attune::training
