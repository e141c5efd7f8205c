#include "server/artifacts/background_sync.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"

namespace attune::artifacts {
namespace {

TEST(BackgroundSyncTest, RunsTakeTogetherWhatCameMeanwhile) {
  absl::Notification first_began, go_on;
  std::vector<int64_t> runs;  // only touched by the thread, and read once it is idle
  BackgroundSync sync(10, [&](int64_t up_to) {
    runs.push_back(up_to);
    if (runs.size() == 1) {
      first_began.Notify();
      go_on.WaitForNotification();
    }
    return absl::OkStatus();
  });
  EXPECT_EQ(sync.done(), 10);
  sync.Request(20);
  first_began.WaitForNotification();
  for (int64_t up_to : {30, 40, 35}) sync.Request(up_to);
  EXPECT_EQ(sync.done(), 10);
  EXPECT_EQ(sync.requested(), 40);
  go_on.Notify();
  EXPECT_TRUE(sync.WaitFor(40).ok());
  sync.Quiesce();
  EXPECT_EQ(runs, (std::vector<int64_t>{20, 40}));
  EXPECT_EQ(sync.done(), 40);
}

TEST(BackgroundSyncTest, ErrorsEndIt) {
  int runs = 0;
  BackgroundSync sync(0, [&](int64_t) {
    ++runs;
    return absl::InternalError("disk");
  });
  sync.Request(5);
  EXPECT_EQ(sync.WaitFor(5).message(), "disk");
  sync.Request(6);
  EXPECT_EQ(sync.WaitFor(6).message(), "disk");
  EXPECT_EQ(sync.RunNow(7).message(), "disk");
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(sync.done(), 0);
}

TEST(BackgroundSyncTest, QuiesceWaitsForTheRunAndDropsTheRest) {
  absl::Notification began, go_on;
  int runs = 0;
  BackgroundSync sync(0, [&](int64_t) {
    if (++runs == 1) {
      began.Notify();
      go_on.WaitForNotification();
    }
    return absl::OkStatus();
  });
  sync.Request(5);
  began.WaitForNotification();
  sync.Request(9);
  std::thread other([&] { go_on.Notify(); });
  sync.Quiesce();
  other.join();
  // Whether the second run began before Quiesce came is open; nothing of it may be under way now.
  EXPECT_EQ(sync.done(), sync.requested());
  EXPECT_EQ(sync.done(), runs == 1 ? 5 : 9);
}

TEST(BackgroundSyncTest, RunNowNeedsNoThread) {
  std::thread::id ran_on;
  BackgroundSync sync(0, [&](int64_t) {
    ran_on = std::this_thread::get_id();
    return absl::OkStatus();
  });
  EXPECT_TRUE(sync.RunNow(5).ok());
  EXPECT_EQ(ran_on, std::this_thread::get_id());
  EXPECT_EQ(sync.done(), 5);
}

TEST(BackgroundSyncTest, DestructionWaitsForTheRun) {
  bool finished = false;
  absl::Notification began;
  {
    BackgroundSync sync(0, [&](int64_t) {
      began.Notify();
      finished = true;
      return absl::OkStatus();
    });
    sync.Request(1);
    began.WaitForNotification();
  }
  EXPECT_TRUE(finished);
}

}  // namespace
}  // namespace attune::artifacts
