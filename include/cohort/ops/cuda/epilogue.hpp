// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/epilogue.hpp: what cuBLASLt can do to a product while it writes it, and with which operands.
#pragma once
#include <cublasLt.h>

#include <cstdint>

namespace cohort::cuda {

/// What a product does beside c, in one pass. z = op(a) op(b) below.
enum class Epilogue : std::uint32_t {
  none = CUBLASLT_EPILOGUE_DEFAULT,
  bias = CUBLASLT_EPILOGUE_BIAS,                    // c = z + vector[n]
  gelu = CUBLASLT_EPILOGUE_GELU,                    // c = gelu(z), tanh form, here and below
  gelu_bias = CUBLASLT_EPILOGUE_GELU_BIAS,          // c = gelu(z + vector[n])
  gelu_aux = CUBLASLT_EPILOGUE_GELU_AUX,            // aux = z, c = gelu(z)
  gelu_aux_bias = CUBLASLT_EPILOGUE_GELU_AUX_BIAS,  // aux = z + vector[n], c = gelu(aux unrounded)
  dgelu = CUBLASLT_EPILOGUE_DGELU,                  // c = z gelu'(aux)
  dgelu_sums = CUBLASLT_EPILOGUE_DGELU_BGRAD,       // the same and vector[n] = its column sums
  sums_of_b = CUBLASLT_EPILOGUE_BGRADA,             // vector[n] = sum over k of op(b)[k, n]
  sums_of_a = CUBLASLT_EPILOGUE_BGRADB,             // vector[m] = sum over k of op(a)[m, k]
};

/// For tables: "bias", "gelu and its input"; "" for none.
constexpr const char* name(Epilogue what) {
  switch (what) {
    case Epilogue::none:
      return "";
    case Epilogue::bias:
      return "bias";
    case Epilogue::gelu:
      return "gelu";
    case Epilogue::gelu_bias:
      return "bias, gelu";
    case Epilogue::gelu_aux:
      return "gelu and its input";
    case Epilogue::gelu_aux_bias:
      return "bias, gelu and its input";
    case Epilogue::dgelu:
      return "gelu's slope";
    case Epilogue::dgelu_sums:
      return "gelu's slope, column sums";
    case Epilogue::sums_of_b:
      return "sums of b";
    case Epilogue::sums_of_a:
      return "sums of a";
  }
  return "another epilogue";
}

/// The operands of an epilogue. `vector` is read as T by bias, written as O by sums; aux is [m, n] of O.
/// `addend`, as c is [m, n] of O, is what beta multiplies instead of c.
struct Fused {
  Epilogue what = Epilogue::none;
  void* vector = nullptr;
  void* aux = nullptr;
  int aux_stride = 0;
  const void* addend = nullptr;
};

}  // namespace cohort::cuda
