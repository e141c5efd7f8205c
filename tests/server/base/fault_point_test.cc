#include "server/base/fault_point.h"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "server/base/files.h"

namespace attune {
namespace {

class FaultPointDeathTest : public ::testing::Test {
 protected:
  // Runs in a process of its own, which says "alive" where nothing kills it.
  void Arrive(const char* plan, int times) {
    setenv("ATTUNE_FAULT_POINT", plan, 1);
    setenv("ATTUNE_FAULT_TOKEN", token_.c_str(), 1);
    ArmFaultPoints("server");
    for (int i = 0; i < times; ++i) FaultPoint("rename.after");
    std::_Exit(0);
  }
  void Allow() { std::ofstream(token_) << "once"; }
  bool Used() const { return !FileExists(token_); }

  TemporaryDirectory directory_;
  const std::string token_ = directory_.path() + "/token";
};

TEST_F(FaultPointDeathTest, TheNthArrivalDies) {
  Allow();
  EXPECT_EXIT(Arrive("server/rename.after#3", 2), ::testing::ExitedWithCode(0), "");
  EXPECT_FALSE(Used());
  EXPECT_EXIT(Arrive("server/rename.after#3", 3), ::testing::KilledBySignal(SIGKILL), "");
  EXPECT_TRUE(Used());
  EXPECT_EXIT(Arrive("server/rename.after#3", 3), ::testing::ExitedWithCode(0), "") << "once";
}

TEST_F(FaultPointDeathTest, AnyPointAndOtherPrograms) {
  Allow();
  EXPECT_EXIT(Arrive("worker/*#1", 5), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(Arrive("server/rename.before#1", 5), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(Arrive("nonsense", 5), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(Arrive("server/*#5", 5), ::testing::KilledBySignal(SIGKILL), "");
}

TEST(FaultPointTest, NothingHappensUnlessMainAsksForIt) {
  setenv("ATTUNE_FAULT_POINT", "server/*#1", 1);
  EXPECT_FALSE(FaultPointsArmed());
  FaultPoint("rename.after");
  unsetenv("ATTUNE_FAULT_POINT");
}

}  // namespace
}  // namespace attune
