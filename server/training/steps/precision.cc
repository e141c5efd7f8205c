#include "server/training/steps/precision.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <ATen/cpu/Utils.h>

namespace attune::training {
namespace {

bool CpuHasBf16() {
  const auto capabilities = at::cpu::get_cpu_capabilities();
  const auto found = capabilities.find("avx512_bf16");
  return found != capabilities.end() && found->second.isBool() && found->second.toBool();
}

}  // namespace

Precision SupportedPrecision(const c10::Device& device, Precision precision) {
  if (precision == Precision::kFp32 || !device.is_cpu()) return precision;
  static const bool cpu_has_bf16 = CpuHasBf16();
  return cpu_has_bf16 ? precision : Precision::kFp32;
}

AutocastGuard::AutocastGuard(const c10::Device& device, Precision precision) : type_(device.type()), active_(precision == Precision::kBf16) {
  if (!active_) return;
  enabled_before_ = at::autocast::is_autocast_enabled(type_);
  dtype_before_ = static_cast<int>(at::autocast::get_autocast_dtype(type_));
  at::autocast::set_autocast_dtype(type_, at::kBFloat16);
  at::autocast::set_autocast_enabled(type_, true);
  at::autocast::increment_nesting();
}

AutocastGuard::~AutocastGuard() {
  if (!active_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(type_, enabled_before_);
  at::autocast::set_autocast_dtype(type_, static_cast<at::ScalarType>(dtype_before_));
}

void SeedGenerators(uint64_t seed) { at::manual_seed(seed); }

}  // namespace attune::training
