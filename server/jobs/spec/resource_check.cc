// The part of the spec check that looks at spec.resources: where to run.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "server/base/nearest.h"
#include "server/jobs/spec/spec_context.h"

namespace attune::jobs {
namespace {

bool IsGpu(const v1::Device& device) { return absl::StartsWith(device.name(), "cuda"); }

const v1::Device* FirstUsable(const std::vector<v1::Device>& devices, bool gpu) {
  for (const v1::Device& device : devices) {
    if (device.usable() && IsGpu(device) == gpu) return &device;
  }
  return nullptr;
}

// "cuda:0: no driver; cpu: ..."
std::string WhyUnusable(const std::vector<v1::Device>& devices, bool gpus_only) {
  std::vector<std::string> reasons;
  for (const v1::Device& device : devices) {
    if (!device.usable() && (IsGpu(device) || !gpus_only)) reasons.push_back(StrCat(device.name(), ": ", device.unusable_reason()));
  }
  return absl::StrJoin(reasons, "; ");
}

void ResolveNamed(SpecContext& context, const std::string& asked) {
  const std::vector<v1::Device>& devices = context.input.devices;
  for (const v1::Device& device : devices) {
    if (device.name() != asked) continue;
    if (!device.usable()) {
      context.Fault("resources.device", StrCat(asked, " cannot be used: ", device.unusable_reason(), "; \"auto\" takes one that can"));
    }
    return;
  }
  std::vector<std::string> valid = {"auto", "cuda"};
  for (const v1::Device& device : devices) {
    if (device.name() != "cuda") valid.push_back(device.name());  // that one stands for a missing driver
  }
  std::string nearest = Nearest(asked, valid);
  context.Fault("resources.device", StrCat("there is no device \"", asked, "\" here; ", nearest.empty() ? "" : StrCat("did you mean \"", nearest, "\"? "),
                                           "Valid are ", absl::StrJoin(valid, ", ")));
}

void ResolveDevice(SpecContext& context) {
  const std::vector<v1::Device>& devices = context.input.devices;
  std::string asked = context.input.spec.resources().device();
  if (asked.empty()) asked = "auto";
  std::string& resolved = *context.effective.mutable_resources()->mutable_device();
  if (asked != "auto" && asked != "cuda") {
    ResolveNamed(context, asked);
    return;
  }
  const v1::Device* device = FirstUsable(devices, /*gpu=*/true);
  if (device == nullptr && asked == "cuda") {
    std::string reasons = WhyUnusable(devices, /*gpus_only=*/true);
    context.Fault("resources.device", StrCat("no GPU can be used here", reasons.empty() ? " (none was found)" : StrCat(" (", reasons, ")"),
                                             "; use \"auto\" or \"cpu\""));
    return;
  }
  if (device != nullptr && std::count_if(devices.begin(), devices.end(), [](const v1::Device& each) { return each.usable() && IsGpu(each); }) > 1) {
    resolved = "cuda";  // which one is decided when it starts
    return;
  }
  if (device == nullptr) device = FirstUsable(devices, /*gpu=*/false);
  if (device == nullptr) {
    context.Fault("resources.device", StrCat("no device can be used here: ", WhyUnusable(devices, /*gpus_only=*/false)));
    return;
  }
  resolved = device->name();
}

}  // namespace

void CheckResources(SpecContext& context) {
  ResolveDevice(context);
  int cores = 0;
  for (const v1::Device& device : context.input.devices) cores = std::max(cores, static_cast<int>(device.cores()));
  v1::ResourceSpec& resources = *context.effective.mutable_resources();
  if (!resources.has_threads()) {
    resources.set_threads(std::max(1, context.input.default_threads > 0 ? context.input.default_threads : cores));
  } else if (cores > 0) {
    context.InRange("resources.threads", resources.threads(), 1, cores);
  } else {
    context.AtLeast("resources.threads", resources.threads(), 1);
  }
  if (resources.has_memory_bytes()) context.AtLeast<int64_t>("resources.memory_bytes", resources.memory_bytes(), 1);
}

}  // namespace attune::jobs
