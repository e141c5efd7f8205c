#include "server/scheduler/policy/device_room.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace attune::scheduler {

DeviceRoom::DeviceRoom(const std::vector<DeviceMemory>& devices, const std::vector<RunningJob>& running) {
  for (const DeviceMemory& device : devices) {
    Device& added = devices_[device.name];
    if (device.bytes > 0) added.bytes = device.bytes;
  }
  for (const RunningJob& job : running) devices_[job.device].guests.push_back({job.id, job.memory_bytes});
}

// Of known ones; at most kWholeDevice.
int64_t DeviceRoom::Sum(const std::vector<Guest>& guests, const std::set<std::string>& gone) {
  int64_t sum = 0;
  for (const Guest& guest : guests) {
    if (gone.count(guest.id) == 0) sum += std::min(guest.memory_bytes.value_or(0), kWholeDevice - sum);
  }
  return sum;
}

DeviceRoom::Fit DeviceRoom::FitOn(const Device& device, const std::optional<int64_t>& memory_bytes, const std::set<std::string>& gone) {
  const auto stays = [&](const Guest& guest) { return gone.count(guest.id) == 0; };
  if (!device.bytes.has_value() || std::none_of(device.guests.begin(), device.guests.end(), stays)) return Fit::kFits;
  const int64_t left = *device.bytes - std::min(*device.bytes, Sum(device.guests, gone));
  if (memory_bytes.value_or(0) > left || left == 0) return Fit::kFull;  // whatever the others are
  const bool known = std::all_of(device.guests.begin(), device.guests.end(), [&](const Guest& guest) { return guest.memory_bytes.has_value() || !stays(guest); });
  return known && memory_bytes.has_value() ? Fit::kFits : Fit::kUnknown;
}

std::vector<std::string> DeviceRoom::Candidates(const QueuedJob& job) const {
  std::vector<std::string> names;
  if (job.device == "cuda") {
    for (const auto& [name, device] : devices_) {
      if (name.rfind("cuda:", 0) == 0) names.push_back(name);
    }
  }
  if (names.empty()) names.push_back(job.device);
  return names;
}

DeviceRoom::Answer DeviceRoom::Find(const QueuedJob& job) const {
  static const Device kEmpty;
  std::optional<std::tuple<Fit, size_t, int64_t, std::string>> best;  // fit, jobs there, less room, name
  for (const std::string& name : Candidates(job)) {
    const auto found = devices_.find(name);
    const Device& device = found == devices_.end() ? kEmpty : found->second;
    const Fit fit = device.closed ? Fit::kOvertakes : FitOn(device, job.memory_bytes, {});
    const std::tuple<Fit, size_t, int64_t, std::string> candidate = {fit, device.guests.size(), -Free(name), name};
    if (!best.has_value() || candidate < *best) best = candidate;
  }
  return {std::get<Fit>(*best), std::get<std::string>(*best)};
}

void DeviceRoom::Take(const QueuedJob& job, const std::string& device) { devices_[device].guests.push_back({job.id, job.memory_bytes}); }

void DeviceRoom::Close(const QueuedJob& job) {
  for (const std::string& name : Candidates(job)) devices_[name].closed = true;
}

std::vector<std::string> DeviceRoom::Unknown(const std::string& device) const {
  std::vector<std::string> ids;
  const auto found = devices_.find(device);
  if (found == devices_.end()) return ids;
  for (const Guest& guest : found->second.guests) {
    if (!guest.memory_bytes.has_value()) ids.push_back(guest.id);
  }
  return ids;
}

std::optional<int64_t> DeviceRoom::Total(const std::string& device) const {
  const auto found = devices_.find(device);
  return found == devices_.end() ? std::nullopt : found->second.bytes;
}

int64_t DeviceRoom::Free(const std::string& device) const {
  const auto found = devices_.find(device);
  if (found == devices_.end() || !found->second.bytes.has_value()) return 0;
  return *found->second.bytes - std::min(*found->second.bytes, Sum(found->second.guests, {}));
}

bool DeviceRoom::FitsWithout(const QueuedJob& job, const std::string& device, const std::set<std::string>& gone) const {
  const auto found = devices_.find(device);
  return found == devices_.end() || FitOn(found->second, job.memory_bytes, gone) == Fit::kFits;
}

}  // namespace attune::scheduler
