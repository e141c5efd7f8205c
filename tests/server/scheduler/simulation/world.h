// World: a virtual clock, the things that will happen, and the random numbers that decide when and whether. One thread; two worlds of one seed live the same life.
//
//   World world(seed, /*tracing=*/false);
//   world.After(world.Latency(), [&] { ... });
//   while (world.Step()) {}
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/str_cat.h"

namespace attune::simulation {

// SplitMix64 (Steele, Lea and Flood 2014): the same numbers everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    return Mix(state_);
  }
  static uint64_t Mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  int64_t Between(int64_t low, int64_t high) { return low + static_cast<int64_t>(Next() % static_cast<uint64_t>(high - low + 1)); }  // both included
  bool Chance(double probability) { return static_cast<double>(Next() >> 11) * 0x1p-53 < probability; }
  absl::Duration Milliseconds(int64_t low, int64_t high) { return absl::Microseconds(Between(low * 1000, high * 1000)); }

 private:
  uint64_t state_;
};

class World final : public Clock {
 public:
  using Task = std::function<void()>;

  World(uint64_t seed, bool tracing) : random(seed), tracing_(tracing) {}

  absl::Time Now() const override { return now_; }
  // What happens whatever becomes of the server.
  void After(absl::Duration delay, Task task) { Schedule(delay, 0, std::move(task)); }
  // What happens in the server's process or in those of its workers: not at all once it is killed.
  void AfterInServer(absl::Duration delay, Task task) { Schedule(delay, server_, std::move(task)); }

  // The process of the server, from 1; what belongs to an earlier one is gone.
  int server() const { return server_; }
  void EndServer() { ++server_; }

  // The next thing happens. False when there is none, or a rule was broken.
  bool Step() {
    if (!failure_.empty() || queue_.empty()) return false;
    std::pop_heap(queue_.begin(), queue_.end(), Later);
    Event event = std::move(queue_.back());
    queue_.pop_back();
    now_ = std::max(now_, event.at);
    if (event.server != 0 && event.server != server_) return true;
    event.task();
    if (after_step) after_step();
    return true;
  }
  // When the next thing happens.
  absl::Time Next() const { return queue_.empty() || !failure_.empty() ? absl::InfiniteFuture() : queue_.front().at; }
  void AdvanceTo(absl::Time time) { now_ = std::max(now_, time); }

  // Mostly a moment, sometimes long.
  absl::Duration Latency() {
    const int64_t kind = random.Between(0, 99);
    return kind < 85 ? random.Milliseconds(0, 4) : kind < 98 ? random.Milliseconds(4, 200) : random.Milliseconds(200, faults ? 6000 : 500);
  }
  bool FaultChance(double probability) { return faults && random.Chance(probability); }

  template <typename... Args>
  void Trace(const Args&... args) {
    if (tracing_) trace_.push_back(StrCat(absl::FormatTime("%H:%M:%E6S", now_, absl::UTCTimeZone()), " ", args...));
  }
  // Breaks the run off; only the first is kept.
  template <typename... Args>
  void Fail(const Args&... args) {
    if (!failure_.empty()) return;
    failure_ = StrCat(args...);
    Trace("RULE BROKEN: ", failure_);
  }
  bool tracing() const { return tracing_; }
  const std::string& failure() const { return failure_; }
  const std::vector<std::string>& trace() const { return trace_; }

  Random random;
  bool faults = true;  // things go wrong
  Task after_step;

 private:
  struct Event {
    absl::Time at;
    uint64_t number;
    int server;  // 0: any
    Task task;
  };
  static bool Later(const Event& a, const Event& b) { return a.at != b.at ? a.at > b.at : a.number > b.number; }
  void Schedule(absl::Duration delay, int server, Task task) {
    queue_.push_back({now_ + delay, ++scheduled_, server, std::move(task)});
    std::push_heap(queue_.begin(), queue_.end(), Later);
  }

  const bool tracing_;
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  int server_ = 1;
  uint64_t scheduled_ = 0;
  std::vector<Event> queue_;  // a heap
  std::string failure_;
  std::vector<std::string> trace_;
};

}  // namespace attune::simulation
