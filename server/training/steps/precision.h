// What decides a step's arithmetic: autocast to bf16, and the seed of its dropout masks. Both act on the calling thread.
#pragma once

#include <cstdint>

#include <c10/core/Device.h>

#include "server/training/recipes/fine_tune_spec.h"

namespace attune::training {

// What a job that asks for `precision` gets on `device`: fp32 on a processor without bf16 instructions, where bf16 is several times slower than fp32.
Precision SupportedPrecision(const c10::Device& device, Precision precision);

// While it lives, matrix products on `device` take bf16 inputs; weights stay fp32, and their bf16 copies are kept until it ends. Nothing for kFp32. May be nested.
//
//   { AutocastGuard autocast(device, Precision::kBf16); loss = task.Loss(...); }
//   loss.backward();   // outside, as in torch
class AutocastGuard {
 public:
  AutocastGuard(const c10::Device& device, Precision precision);
  ~AutocastGuard();
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;

 private:
  const c10::DeviceType type_;
  const bool active_;
  bool enabled_before_ = false;
  int dtype_before_ = 0;
};

// Seeds torch's generators. Done before each micro-step from (seed, place), so that no generator's state needs saving.
void SeedGenerators(uint64_t seed);

}  // namespace attune::training
