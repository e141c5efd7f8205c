#include "server/training/worker/devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

TEST(Devices, TheCpuComesFirstAndIsUsable) {
  const auto devices = ListDevices();
  ASSERT_FALSE(devices.empty());
  EXPECT_EQ(devices[0].name, "cpu");
  EXPECT_TRUE(devices[0].usable);
  EXPECT_GT(devices[0].cores, 0);
  EXPECT_GT(devices[0].memory_bytes, 1 << 20);
  EXPECT_TRUE(PrepareDevice("cpu").ok());
}

TEST(Devices, EveryOtherOneIsUsableOrSaysWhyNot) {
  for (const DeviceInfo& device : ListDevices()) {
    EXPECT_NE(device.usable, !device.unusable_reason.empty()) << device.name;
    EXPECT_EQ(PrepareDevice(device.name).ok(), device.usable) << device.name << ": " << PrepareDevice(device.name);
  }
}

TEST(Devices, UnknownNamesAreRefused) {
  for (const char* name : {"", "gpu", "cuda:x", "cuda:-1", "cpu:0"}) EXPECT_EQ(PrepareDevice(name).code(), absl::StatusCode::kInvalidArgument) << name;
  EXPECT_EQ(PrepareDevice("cuda:99").code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace attune::training
