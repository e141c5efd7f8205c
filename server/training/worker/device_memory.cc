#include "server/training/worker/device_memory.h"

#include <utility>

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Device.h>

#include "absl/strings/match.h"
#include "server/training/recipes/probe/process_memory.h"

namespace attune::training {
namespace {

class GpuMemory final : public MemoryMeter {
 public:
  explicit GpuMemory(c10::Device device) : device_(std::move(device)) {}

  int64_t InUseBytes() override { return Allocated().current; }
  int64_t PeakBytes() override { return Allocated().peak; }
  void ResetPeak() override {
    if (c10::DeviceAllocator* allocator = Allocator(); allocator != nullptr) allocator->resetPeakStats(device_.index());
  }
  int64_t LimitBytes() override {
    c10::DeviceAllocator* allocator = Allocator();
    if (allocator == nullptr) return 0;
    const size_t free = allocator->getMemoryInfo(device_.index()).first;
    const c10::CachingDeviceAllocator::DeviceStats stats = allocator->getDeviceStats(device_.index());
    // What the allocator keeps for later use is not free for others, but is for us.
    return static_cast<int64_t>(free) + stats.reserved_bytes[kAll].current;
  }
  bool CountsFiles() const override { return false; }

 private:
  static constexpr size_t kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);

  c10::DeviceAllocator* Allocator() const {
    auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(device_.type()));
    return allocator != nullptr && allocator->initialized() ? allocator : nullptr;
  }
  c10::CachingAllocator::Stat Allocated() const {
    c10::DeviceAllocator* allocator = Allocator();
    if (allocator == nullptr) return {};
    return allocator->getDeviceStats(device_.index()).allocated_bytes[kAll];
  }

  const c10::Device device_;
};

}  // namespace

std::unique_ptr<MemoryMeter> MeterOf(const std::string& device) {
  if (!absl::StartsWith(device, "cuda")) return std::make_unique<ProcessMemory>();
  const c10::Device named(device);
  return std::make_unique<GpuMemory>(named.has_index() ? named : c10::Device(named.type(), 0));
}

}  // namespace attune::training
