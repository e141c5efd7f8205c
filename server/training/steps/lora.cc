#include "server/training/steps/lora.h"

#include <cmath>
#include <stdexcept>
#include <utility>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include "absl/strings/str_cat.h"
#include "server/base/counter_random.h"

namespace attune::training {
namespace {

constexpr uint64_t kLoraStream = 0x4C4F5241'00000000ull;

}  // namespace

Lora::Lora(const LoraOptions& options, const std::vector<Parameter>& parameters, const std::vector<bool>& targets)
    : scale_(options.alpha / static_cast<double>(options.rank)) {
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!targets[i]) continue;
    const at::Tensor& weight = parameters[i].tensor;
    if (weight.dim() < 2) throw std::invalid_argument(absl::StrCat("lora: ", parameters[i].name, " is no matrix and cannot have adapters"));
    // A stream for each weight: which others are targets does not change what it starts from.
    at::Generator generator = at::detail::createCPUGenerator(StreamKey(options.seed, kLoraStream + i));
    Adapter adapter = {parameters[i].name, weight, weight.detach().reshape({weight.size(0), -1}).clone(at::MemoryFormat::Contiguous), {}, {}};
    const int64_t in = adapter.base.size(1);
    const double bound = 1 / std::sqrt(static_cast<double>(in));
    adapter.a = at::empty({options.rank, in}).uniform_(-bound, bound, generator).requires_grad_();
    adapter.b = at::zeros({weight.size(0), options.rank}).requires_grad_();
    adapters_.push_back(std::move(adapter));
  }
}

const Lora::Adapter* Lora::Find(const std::string& weight) const {
  for (const Adapter& adapter : adapters_) {
    if (adapter.name == weight) return &adapter;
  }
  return nullptr;
}

std::vector<OptimizedParameter> Lora::Learning(const OptimizedParameter& weight) const {
  const Adapter* adapter = Find(weight.name);
  if (adapter == nullptr) throw std::logic_error(absl::StrCat(weight.name, " has no adapters"));
  return {{weight.name + ".lora_A", adapter->a, weight.rate, weight.decay}, {weight.name + ".lora_B", adapter->b, weight.rate, weight.decay}};
}

void Lora::TakeGradients() {
  at::NoGradGuard no_grad;
  for (Adapter& adapter : adapters_) {
    if (!adapter.weight.grad().defined()) continue;
    const at::Tensor gradient = adapter.weight.grad().reshape({adapter.base.size(0), -1});
    adapter.a.mutable_grad() = at::mm(adapter.b.t(), gradient).mul_(scale_);
    adapter.b.mutable_grad() = at::mm(gradient, adapter.a.t()).mul_(scale_);
    adapter.weight.mutable_grad() = at::Tensor();
  }
}

void Lora::WriteWeights() {
  at::NoGradGuard no_grad;
  for (Adapter& adapter : adapters_) {
    if (!adapter.weight.requires_grad()) continue;
    adapter.weight.copy_(at::addmm(adapter.base, adapter.b, adapter.a, /*beta=*/1, /*alpha=*/scale_).view(adapter.weight.sizes()));
  }
}

std::vector<NamedTensor> Lora::State() const {
  std::vector<NamedTensor> state;
  for (const Adapter& adapter : adapters_) {
    state.push_back({"lora_A." + adapter.name, adapter.a});
    state.push_back({"lora_B." + adapter.name, adapter.b});
  }
  return state;
}

void Lora::To(const c10::Device& device) {
  for (Adapter& adapter : adapters_) {
    for (at::Tensor* tensor : {&adapter.base, &adapter.a, &adapter.b}) tensor->set_data(tensor->detach().to(device));
  }
}

int64_t Lora::value_count() const {
  int64_t count = 0;
  for (const Adapter& adapter : adapters_) count += adapter.a.numel() + adapter.b.numel();
  return count;
}

}  // namespace attune::training
