// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cuda/mma.hpp: the GPU's own instructions: tensor cores, what feeds them, fast exp2.
#pragma once
#include <cmath>
#include <cohort/core/float16.hpp>
#include <cohort/core/host_device.hpp>
#include <cohort/device/cuda/architecture.hpp>
#include <cstdint>
#include <cstring>
#include <type_traits>

// Each function is PTX where a GPU runs it and plain C++ over the block's collectives elsewhere, so
// that index maps are tested without a GPU. Legend: g = lane / 4, t = lane % 4.
namespace cohort::cuda {

namespace detail {
#if defined(__CUDA_ARCH__)
__device__ inline unsigned shared_address(const void* at) {
  return static_cast<unsigned>(__cvta_generic_to_shared(at));
}
#endif
}  // namespace detail

/// Two numbers rounded to T, low in the lower half.
template <class T> COHORT_DEVICE inline std::uint32_t pack2(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  std::uint32_t out;
  if constexpr (std::is_same_v<T, bf16>)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  return out;
#else
  return std::uint32_t{T(low).bits} | std::uint32_t{T(high).bits} << 16;
#endif
}

/// 2^x; on a GPU within 2 units of float, and 0 instead of subnormals.
COHORT_DEVICE inline float exp2_fast(float x) {
#if defined(__CUDA_ARCH__)
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return std::exp2(x);
#endif
}

/// c += a b for one warp: c[16, 8], a[16, 16], b[16, 8].
///
/// Shapes   c: (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1). a: pairs (g, 2t), (g+8, 2t), (g, 2t+8),
///          (g+8, 2t+8) with the column after each. b: pairs (2t, g), (2t+8, g) with the row below.
template <class T, class Block>
COHORT_DEVICE inline void mma_16816(const Block& block, float (&c)[4], const std::uint32_t (&a)[4],
                                    std::uint32_t b0, std::uint32_t b1) {
  static_assert(detail::says_tensor_core_type<T>());
#if defined(__CUDA_ARCH__)
#if __CUDA_ARCH__ >= 800
  if constexpr (std::is_same_v<T, bf16>)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else  // sm_75 multiplies by halves of k
  if constexpr (std::is_same_v<T, bf16>) {
    __trap();
  } else {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[2]), "r"(a[3]), "r"(b1));
  }
#endif
  (void)block;
#else
  const auto both = [](std::uint32_t x, std::uint32_t y) { return std::uint64_t{y} << 32 | x; };
  const auto value = [](std::uint64_t word, int i) {
    return float(T::from_bits(static_cast<std::uint16_t>(word >> (16 * i))));
  };
  const int g = block.lane() / 4, t = block.lane() % 4;
  for (int s = 0; s < 4; ++s) {  // the lane of the four that holds columns 2s, 2s+1, 2s+8, 2s+9
    const std::uint64_t upper = block.shuffle(both(a[0], a[2]), g * 4 + s);
    const std::uint64_t lower = block.shuffle(both(a[1], a[3]), g * 4 + s);
    const std::uint64_t left = block.shuffle(both(b0, b1), 2 * t * 4 + s);
    const std::uint64_t right = block.shuffle(both(b0, b1), (2 * t + 1) * 4 + s);
    for (int i = 0; i < 4; ++i) {
      c[0] += value(upper, i) * value(left, i);
      c[1] += value(upper, i) * value(right, i);
      c[2] += value(lower, i) * value(left, i);
      c[3] += value(lower, i) * value(right, i);
    }
  }
#endif
}

/// Four 8 x 8 matrices of 16-bit elements from shared memory. Lane l says how many bytes after `from` row
/// l % 8 of matrix l / 8 begins (16 bytes, aligned so) and gets of matrix i the pair (g, 2t), (g, 2t+1)
/// as out[i]. `from` is the same for all lanes.
template <class Block>
COHORT_DEVICE inline void ldmatrix_x4(const Block& block, std::uint32_t (&out)[4],
                                      const std::uint16_t* from, unsigned offset) {
#if defined(__CUDA_ARCH__)
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(detail::shared_address(from) + offset)
               : "memory");
  (void)block;
#else
  const auto address = reinterpret_cast<std::uintptr_t>(from) + offset;
  for (int i = 0; i < 4; ++i) {
    const std::uintptr_t row = block.shuffle(address, 8 * i + block.lane() / 4);
    std::memcpy(&out[i], reinterpret_cast<const std::uint16_t*>(row) + block.lane() % 4 * 2, 4);
  }
#endif
}

/// The same, each matrix transposed: out[i] is the pair (2t, g), (2t+1, g).
template <class Block>
COHORT_DEVICE inline void ldmatrix_x4_trans(const Block& block, std::uint32_t (&out)[4],
                                            const std::uint16_t* from, unsigned offset) {
#if defined(__CUDA_ARCH__)
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(detail::shared_address(from) + offset)
               : "memory");
  (void)block;
#else
  const auto address = reinterpret_cast<std::uintptr_t>(from) + offset;
  const int g = block.lane() / 4, t = block.lane() % 4;
  for (int i = 0; i < 4; ++i) {
    const std::uintptr_t first = block.shuffle(address, 8 * i + 2 * t);
    const std::uintptr_t second = block.shuffle(address, 8 * i + 2 * t + 1);
    out[i] = std::uint32_t{reinterpret_cast<const std::uint16_t*>(first)[g]} |
             std::uint32_t{reinterpret_cast<const std::uint16_t*>(second)[g]} << 16;
  }
#endif
}

/// Bytes (4 or 16, aligned so) from global to shared memory, seen after cp_async_wait and sync(); zeros
/// when not `there` (`from` is not read then). sm_75 has no such copy: it loads and stores.
template <int Bytes> COHORT_DEVICE inline void cp_async(void* to, const void* from, bool there) {
  static_assert(Bytes == 4 || Bytes == 16);
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  const int read = there ? Bytes : 0;
  if constexpr (Bytes == 16)  // 16 bytes go past the first cache, 4 cannot
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(detail::shared_address(to)),
                 "l"(from), "r"(read)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(detail::shared_address(to)),
                 "l"(from), "r"(read)
                 : "memory");
#else
  struct alignas(Bytes) Words {
    std::uint32_t words[Bytes / 4];
  };
  *static_cast<Words*>(to) = there ? *static_cast<const Words*>(from) : Words{};
#endif
}
/// Ends a group of this thread's copies.
COHORT_DEVICE inline void cp_async_commit() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// All groups of this thread but the last Pending have arrived.
template <int Pending> COHORT_DEVICE inline void cp_async_wait() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
#endif
}

}  // namespace cohort::cuda
