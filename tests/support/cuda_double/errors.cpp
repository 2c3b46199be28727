// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/errors.cpp: the names and texts of the errors that cohort may meet.
#include <cublasLt.h>
#include <cuda_runtime_api.h>

namespace {
struct Text {
  cudaError_t error;
  const char *name, *text;
};
#define COHORT_ERROR(name, text) \
  { name, #name, text }
constexpr Text texts[] = {
    COHORT_ERROR(cudaSuccess, "no error"),
    COHORT_ERROR(cudaErrorInvalidValue, "invalid argument"),
    COHORT_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    COHORT_ERROR(cudaErrorInitializationError, "initialization error"),
    COHORT_ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    COHORT_ERROR(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    COHORT_ERROR(cudaErrorInsufficientDriver,
                 "CUDA driver version is insufficient for CUDA runtime version"),
    COHORT_ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
    COHORT_ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    COHORT_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    COHORT_ERROR(cudaErrorNoKernelImageForDevice,
                 "no kernel image is available for execution on the device"),
    COHORT_ERROR(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered"),
    COHORT_ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    COHORT_ERROR(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    COHORT_ERROR(cudaErrorNotReady, "device not ready"),
    COHORT_ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    COHORT_ERROR(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    COHORT_ERROR(cudaErrorAssert, "device-side assert triggered"),
    COHORT_ERROR(cudaErrorMisalignedAddress, "misaligned address"),
    COHORT_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    COHORT_ERROR(cudaErrorNotPermitted, "operation not permitted"),
    COHORT_ERROR(cudaErrorNotSupported, "operation not supported"),
    COHORT_ERROR(cudaErrorStreamCaptureUnsupported,
                 "operation not permitted when stream is capturing"),
    COHORT_ERROR(cudaErrorStreamCaptureInvalidated,
                 "operation failed due to a previous error during capture"),
    COHORT_ERROR(cudaErrorStreamCaptureMerge,
                 "operation would result in a merge of separate capture sequences"),
    COHORT_ERROR(cudaErrorStreamCaptureUnmatched,
                 "capture was not ended in the same stream as it began"),
    COHORT_ERROR(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    COHORT_ERROR(cudaErrorStreamCaptureIsolation,
                 "dependency created on uncaptured work in another stream"),
    COHORT_ERROR(cudaErrorStreamCaptureImplicit,
                 "operation would make the legacy stream depend on a capturing blocking stream"),
    COHORT_ERROR(cudaErrorCapturedEvent,
                 "operation not permitted on an event last recorded in a capturing stream"),
    COHORT_ERROR(cudaErrorStreamCaptureWrongThread,
                 "attempt to terminate a thread-local capture sequence from another thread"),
    COHORT_ERROR(cudaErrorUnknown, "unknown error"),
};
struct Status {
  cublasStatus_t status;
  const char *name, *text;
};
constexpr Status statuses[] = {
    COHORT_ERROR(CUBLAS_STATUS_SUCCESS, "success"),
    COHORT_ERROR(CUBLAS_STATUS_NOT_INITIALIZED, "the library was not initialized"),
    COHORT_ERROR(CUBLAS_STATUS_ALLOC_FAILED, "the resource allocation failed"),
    COHORT_ERROR(CUBLAS_STATUS_INVALID_VALUE,
                 "an unsupported value or parameter was passed to the function"),
    COHORT_ERROR(CUBLAS_STATUS_ARCH_MISMATCH,
                 "the function requires an architectural feature absent from the device"),
    COHORT_ERROR(CUBLAS_STATUS_EXECUTION_FAILED, "the function failed to launch on the GPU"),
    COHORT_ERROR(CUBLAS_STATUS_INTERNAL_ERROR, "an internal operation failed"),
    COHORT_ERROR(CUBLAS_STATUS_NOT_SUPPORTED, "the functionality requested is not supported"),
};
#undef COHORT_ERROR
const Status& text(cublasStatus_t status) {
  for (const Status& known : statuses) {
    if (known.status == status) return known;
  }
  static constexpr Status unknown{CUBLAS_STATUS_INTERNAL_ERROR, "unknown cuBLAS status",
                                  "unknown cuBLAS status"};
  return unknown;
}
const Text& text(cudaError_t error) {
  for (const Text& known : texts) {
    if (known.error == error) return known;
  }
  static constexpr Text unknown{cudaErrorUnknown, "unrecognized error code",
                                "unrecognized error code"};
  return unknown;
}
}  // namespace

extern "C" const char* cudaGetErrorName(cudaError_t error) { return text(error).name; }
extern "C" const char* cudaGetErrorString(cudaError_t error) { return text(error).text; }
extern "C" const char* cublasLtGetStatusName(cublasStatus_t status) { return text(status).name; }
extern "C" const char* cublasLtGetStatusString(cublasStatus_t status) { return text(status).text; }
