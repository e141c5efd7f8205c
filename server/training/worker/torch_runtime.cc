#include "server/training/worker/torch_runtime.h"

#include <cstdlib>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/embedding.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros_like.h>
#include <torch/version.h>

#include "absl/strings/match.h"

namespace attune::training {

void InitializeTorch() {
  // cuBLAS needs a fixed workspace to be reproducible, and reads this when CUDA starts.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  // Large tensors on huge pages: gradients of embeddings are mapped anew in each step, and a page fault for every 4 KiB of them took a tenth of a step. Read at the
  // first allocation.
  setenv("THP_MEM_ALLOC_ENABLE", "1", /*overwrite=*/0);
  at::set_num_interop_threads(1);  // operators run one after the other; their threads are what counts
}

void WarmUp() {
  constexpr int64_t kHidden = 64, kTokens = 32, kWords = 100;
  at::Tensor words = at::randn({kWords, kHidden}).requires_grad_();
  at::Tensor weight = at::randn({kHidden, kHidden}).requires_grad_();
  const at::Tensor bias = at::zeros_like(weight[0].detach());
  const at::Tensor ids = at::randint(kWords, {kTokens}, at::TensorOptions().dtype(at::kLong));
  at::Tensor x = at::embedding(words, ids);
  x = at::dropout(at::layer_norm(x, {kHidden}, bias, bias), 0.1, /*train=*/true);
  const at::Tensor heads = at::linear(x, weight, bias).view({1, kTokens, 2, kHidden / 2}).transpose(1, 2);
  x = at::scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).reshape({kTokens, kHidden});
  x = at::gelu(at::linear(x, weight, bias));
  at::cross_entropy_loss(x, ids.remainder(kHidden)).backward();
  const at::Tensor first = at::zeros_like(weight), second = at::zeros_like(weight), step = at::full({}, 1.0, at::TensorOptions().dtype(at::kFloat));
  at::NoGradGuard no_grad;
  at::_fused_adamw_({weight}, {weight.grad()}, {first}, {second}, {}, {step}, 1e-3, 0.9, 0.999, 0, 1e-8, false, false);
}

void ApplySettings(int threads, const std::string& device) {
  if (threads > 0) at::set_num_threads(threads);
  if (!absl::StartsWith(device, "cuda")) return;
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  at::globalContext().setDeterministicFillUninitializedMemory(false);  // nothing reads what was not written
  at::globalContext().setBenchmarkCuDNN(false);
}

std::string LibtorchVersion() { return TORCH_VERSION; }

}  // namespace attune::training
