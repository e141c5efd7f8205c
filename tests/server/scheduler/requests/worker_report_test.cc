#include "server/scheduler/requests/worker_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace attune::scheduler {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Message = worker::v1::ConnectRequest;

constexpr int64_t kLargest = std::numeric_limits<int64_t>::max(), kSmallest = std::numeric_limits<int64_t>::min();
constexpr int64_t kMostCounted = int64_t{1} << 53;

TEST(WorkerReport, WhatWorkersSayIsLeftAlone) {
  Message message;
  message.mutable_progress()->set_step(7);
  message.mutable_progress()->set_eta_seconds(12.5);
  message.mutable_work_done()->set_samples(96);
  const std::string before = message.SerializeAsString();
  EXPECT_THAT(Bound(message), IsEmpty());
  EXPECT_EQ(message.SerializeAsString(), before);
}

TEST(WorkerReport, CountsCanBeAddedUp) {
  for (const int64_t count : {kLargest, kSmallest, int64_t{-1}}) {
    Message message;
    worker::v1::WorkDone& done = *message.mutable_work_done();
    done.set_steps(count);
    done.set_samples(count);
    done.set_tokens(count);
    done.set_feature_cache_hits(count);
    done.set_feature_cache_misses(count);
    message.mutable_started()->set_resumed_from_step(count);
    EXPECT_THAT(Bound(message), IsEmpty());
    const int64_t bounded = count < 0 ? 0 : kMostCounted;
    for (const int64_t value : {done.steps(), done.samples(), done.tokens(), done.feature_cache_hits(),
                                done.feature_cache_misses(), message.started().resumed_from_step()}) {
      EXPECT_EQ(value, bounded);
    }
  }
}

TEST(WorkerReport, TimesAreFiniteAndNotNegative) {
  for (const double seconds : {std::nan(""), -1.0, std::numeric_limits<double>::infinity(), 1e300}) {
    Message message;
    message.mutable_progress()->set_eta_seconds(seconds);
    message.mutable_work_done()->set_step_seconds(seconds);
    EXPECT_THAT(Bound(message), IsEmpty());
    EXPECT_EQ(message.progress().eta_seconds(), seconds > 0 ? 1e9 : 0) << seconds;
    EXPECT_EQ(message.work_done().step_seconds(), seconds > 0 ? 1e9 : 0) << seconds;
    Message written;
    written.mutable_checkpoint_written()->set_seconds(seconds);
    EXPECT_THAT(Bound(written), IsEmpty());
    EXPECT_EQ(written.checkpoint_written().seconds(), seconds > 0 ? 1e9 : 0)
        << "a histogram's sum would be no number from then on";
  }
}

TEST(WorkerReport, CheckpointsHaveSteps) {
  Message message;
  message.mutable_checkpoint_written()->set_step(-4);
  EXPECT_THAT(Bound(message), HasSubstr("at step -4"));
}

TEST(WorkerReport, ChangesAreOnesThatWorkersMake) {
  const auto faulty = [](auto change) {
    Message message;
    message.mutable_adjusted()->set_after_step(3);
    change(*message.mutable_adjusted());
    return !Bound(message).empty();
  };
  EXPECT_FALSE(faulty([](v1::Adjustment& a) { a.set_batch_parts(4); }));
  EXPECT_FALSE(faulty([](v1::Adjustment& a) { a.mutable_live_settings(); })) << "all as created";
  EXPECT_FALSE(faulty([](v1::Adjustment& a) { a.mutable_live_settings()->set_learning_rate_scale(0.5); }));
  EXPECT_TRUE(faulty([](v1::Adjustment&) {}));
  EXPECT_TRUE(faulty([](v1::Adjustment& a) { a.set_after_step(-1), a.set_batch_parts(4); }))
      << "that is one that waits";
  EXPECT_TRUE(faulty([](v1::Adjustment& a) { a.set_batch_parts(0); }));
  EXPECT_TRUE(faulty([](v1::Adjustment& a) { a.set_batch_parts(std::numeric_limits<int32_t>::max()); }))
      << "twice that does not fit";
  EXPECT_TRUE(faulty([](v1::Adjustment& a) { a.mutable_live_settings()->set_learning_rate_scale(std::nan("")); }));
  EXPECT_TRUE(faulty([](v1::Adjustment& a) { a.mutable_live_settings()->set_n_epochs(0); }));
  EXPECT_TRUE(faulty([](v1::Adjustment& a) { a.mutable_live_settings()->set_early_stopping_patience(-1); }));
}

TEST(WorkerReport, FailuresHaveKnownCategoriesAndCodes) {
  worker::v1::Failed failed;
  failed.set_category(static_cast<v1::FailureInfo::Category>(77));
  failed.set_code(-5);
  failed.set_step(kSmallest);
  failed.set_message("as it was");
  failed = Bounded(failed);
  EXPECT_EQ(failed.category(), v1::FailureInfo::CATEGORY_SYSTEM);
  EXPECT_EQ(failed.code(), 13);
  EXPECT_EQ(failed.step(), 0);
  EXPECT_EQ(failed.message(), "as it was");
  failed.set_category(v1::FailureInfo::CATEGORY_DATA);
  failed.set_code(3);
  EXPECT_EQ(Bounded(failed).category(), v1::FailureInfo::CATEGORY_DATA);
  EXPECT_EQ(Bounded(failed).code(), 3);
}

}  // namespace
}  // namespace attune::scheduler
