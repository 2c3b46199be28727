// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/fuzz/safetensors.cpp: any bytes are a file of tensors or MalformedFile; what is read can be written.
#include <cohort/io/safetensors.hpp>
#include <cohort/io/safetensors_writer.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "fuzz.hpp"

using namespace cohort::io;

namespace {

/// A file without a name, in memory; empty at each use.
class Scratch {
 public:
  Scratch() : file_(::memfd_create("safetensors", 0)) { must(file_ >= 0); }
  const std::string& with(const void* bytes, std::size_t size) {
    must(::ftruncate(file_, 0) == 0);
    must(::pwrite(file_, bytes, size, 0) == static_cast<ssize_t>(size));
    return path_;
  }

 private:
  int file_;
  std::string path_ = "/proc/self/fd/" + std::to_string(file_);
};

/// Every byte belongs to the header or to exactly one tensor.
void covers(const Safetensors& file, std::size_t size) {
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < file.size(); ++i) {
    const StoredTensor t = file[i];
    must(t.begin == at && t.end >= at);
    at = t.end;
    must(file.view(t).size() == t.bytes());
    const auto found = file.find(t.name);
    must(found && found->begin == t.begin && found->end == t.end && found->shape == t.shape);
  }
  must(file.header().size() + at == size);
}

/// The same tensors and metadata, written anew.
std::string rewritten(const Safetensors& file) {
  std::vector<TensorSpec> specs;
  for (std::size_t i = 0; i < file.size(); ++i) {
    const StoredTensor t = file[i];
    specs.push_back({t.name, t.type, t.shape});
  }
  const SafetensorsLayout layout(specs, file.metadata());
  std::string out(layout.file_bytes(), '\0');
  std::copy(layout.header().begin(), layout.header().end(), out.begin());
  for (std::size_t i = 0; i < file.size(); ++i) {
    const auto bytes = file.view(file[i]);
    must(bytes.size() == layout.bytes(i));
    std::transform(bytes.begin(), bytes.end(),
                   out.begin() + static_cast<std::ptrdiff_t>(layout.offset(i)),
                   [](std::byte b) { return static_cast<char>(b); });
  }
  return out;
}

void same(const Safetensors& a, const Safetensors& b) {
  must(a.size() == b.size() && a.metadata() == b.metadata());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const StoredTensor t = a[i];
    const auto other = b.find(t.name);
    must(other && other->type == t.type && other->shape == t.shape);
    must(std::ranges::equal(a.view(t), b.view(*other)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Scratch first, second;
  refuses_only_with<MalformedFile>([&] {
    const Safetensors file(first.with(data, size));
    covers(file, size);
    const std::string again = rewritten(file);
    const Safetensors twin(second.with(again.data(), again.size()));
    covers(twin, again.size());
    same(file, twin);
    must(rewritten(twin) == again);  // once written, always the same bytes
  });
  return 0;
}
