// What the CPU blocks share: matrix products below autograd and autocast, and conversions to the type of products. Internal to this folder.
#pragma once

#include <ATen/autocast_mode.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

namespace attune::training::cpu {

// Inside a block, operators run bare: no graph, no casts that autocast would add.
struct BareOperators {
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  c10::impl::ExcludeDispatchKeyGuard no_autocast{c10::autocast_dispatch_keyset};
};

inline at::Tensor EmptyMatrix(int64_t rows, int64_t columns, at::ScalarType type) { return at::empty({rows, columns}, at::TensorOptions().dtype(type)); }
inline at::Tensor EmptyFloats(int64_t size) { return at::empty({size}, at::TensorOptions().dtype(at::kFloat)); }

// The values in the type of products, without a graph.
inline at::Tensor ForProducts(const at::Tensor& tensor, at::ScalarType type) { return tensor.detach().to(type).contiguous(); }

// x [T, in] times weight^T, for weight [out, in].
inline at::Tensor Project(const at::Tensor& x, const at::Tensor& weight) { return at::mm(x, weight.t()); }

// Gradient of the weight of y = x weight^T, in fp32.
inline at::Tensor WeightGradient(const at::Tensor& grad_y, const at::Tensor& x) { return at::mm(grad_y.t(), x).to(at::kFloat); }

// sum [T, in] (fp32) += grad_y [T, out] times weight [out, in].
inline void AddInputGradient(at::Tensor& sum, const at::Tensor& grad_y, const at::Tensor& weight) {
  if (sum.scalar_type() == grad_y.scalar_type()) {
    sum.addmm_(grad_y, weight);
  } else {
    sum.add_(at::mm(grad_y, weight));
  }
}

inline float* Floats(const at::Tensor& tensor) { return tensor.defined() ? tensor.mutable_data_ptr<float>() : nullptr; }
inline const float* ConstFloats(const at::Tensor& tensor) { return tensor.const_data_ptr<float>(); }

}  // namespace attune::training::cpu
