#include "server/metrics/gpu/gpu_gauges.h"

#include <map>

#include "gtest/gtest.h"
#include "server/metrics/metric_names.h"
#include "server/metrics/gpu/nvml.h"

namespace attune::metrics {
namespace {

TEST(NvmlTest, ReadsEachGpuAndLeavesOutWhatItDoesNotTell) {
  std::unique_ptr<Nvml> nvml = Nvml::Load(FAKE_NVML);
  ASSERT_NE(nvml, nullptr);
  const std::vector<GpuReading> readings = nvml->Read();
  ASSERT_EQ(readings.size(), 2u) << "the lost one is not there";
  EXPECT_EQ(readings[0].index, 0);
  EXPECT_EQ(readings[0].name, "Fake H200");
  EXPECT_EQ(readings[0].utilisation, 0.75);
  EXPECT_EQ(readings[0].memory_used_bytes, 400);
  EXPECT_EQ(readings[0].memory_bytes, 1000);
  EXPECT_EQ(readings[0].temperature_celsius, 61);
  EXPECT_EQ(readings[0].power_watts, 250.5);
  EXPECT_EQ(readings[1].memory_used_bytes, 500);
  EXPECT_FALSE(readings[1].power_watts.has_value());
}

TEST(NvmlTest, WithoutTheLibraryOrWithAnotherOneThereIsNothing) {
  EXPECT_EQ(Nvml::Load("libno-such-library.so.1"), nullptr);
  EXPECT_EQ(Nvml::Load("libm.so.6"), nullptr) << "has none of its functions";
}

TEST(GpuGaugesTest, ASeriesForEachGpuAndFigure) {
  GpuGauges gauges(Nvml::Load(FAKE_NVML));
  std::map<std::string, size_t> series;
  for (const prometheus::MetricFamily& family : gauges.Collect()) series[family.name] = family.metric.size();
  const std::map<std::string, size_t> expected = {{"attune_gpu_utilisation_ratio", 2}, {"attune_gpu_memory_used_bytes", 2}, {"attune_gpu_memory_bytes", 2},
                                                  {"attune_gpu_temperature_celsius", 2}, {"attune_gpu_power_watts", 1}};
  EXPECT_EQ(series, expected);
  EXPECT_TRUE(CheckMetricNames(gauges).ok()) << CheckMetricNames(gauges);
}

}  // namespace
}  // namespace attune::metrics
