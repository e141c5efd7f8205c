// DeviceRoom: which jobs fit beside those that a device has. Not thread-safe; lives as long as one placement.
//
//   DeviceRoom room(state.devices, running);
//   const DeviceRoom::Answer answer = room.Find(job);
//   if (answer.fit == DeviceRoom::Fit::kFits) room.Take(job, answer.device);
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "server/scheduler/policy/placement_policy.h"

namespace attune::scheduler {

class DeviceRoom {
 public:
  enum class Fit {
    kFits,
    kUnknown,   // it would, if what is not known were little enough
    kFull,
    kOvertakes  // a job before it waits for that device
  };
  struct Answer {
    Fit fit = Fit::kFits;
    std::string device;  // of the first three
  };

  DeviceRoom(const std::vector<DeviceMemory>& devices, const std::vector<RunningJob>& running);

  // The device where it goes: the one with the fewest jobs, and of those the one with the most room.
  Answer Find(const QueuedJob& job) const;
  void Take(const QueuedJob& job, const std::string& device);
  // No job goes any more where this one could: it is the first that waits.
  void Close(const QueuedJob& job);
  // Jobs on the device whose memory is not known.
  std::vector<std::string> Unknown(const std::string& device) const;
  // Bytes that the jobs of a device leave; 0 when they leave none, or that is not known.
  int64_t Free(const std::string& device) const;
  std::optional<int64_t> Total(const std::string& device) const;
  // Whether the job would fit if these jobs went.
  bool FitsWithout(const QueuedJob& job, const std::string& device, const std::set<std::string>& gone) const;

 private:
  struct Guest {
    std::string id;
    std::optional<int64_t> memory_bytes;
  };
  struct Device {
    std::optional<int64_t> bytes;  // none: whatever is asked fits
    std::vector<Guest> guests;
    bool closed = false;
  };
  static Fit FitOn(const Device& device, const std::optional<int64_t>& memory_bytes, const std::set<std::string>& gone);
  static int64_t Sum(const std::vector<Guest>& guests, const std::set<std::string>& gone);
  std::vector<std::string> Candidates(const QueuedJob& job) const;

  std::map<std::string, Device> devices_;
};

}  // namespace attune::scheduler
