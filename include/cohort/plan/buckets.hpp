// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/buckets.hpp: what Replicate reduces together: contiguous ranges in reverse order of
// forward.
#pragma once
#include <cohort/plan/layout.hpp>

namespace cohort {

/// Elements [begin, end) of the flat gradient; complete once backward of `unit` has ended.
struct Bucket {
  std::size_t begin = 0, end = 0;
  int unit = 0, num_params = 0;
  constexpr std::size_t count() const { return end - begin; }
};

/// Up to one bucket a parameter.
template <int Most> struct BucketTable {
  std::array<Bucket, Most> at{};
  int count = 0;
  constexpr const Bucket& operator[](int i) const { return at[i]; }
};

/// Buckets in the order in which backward completes them. A bucket is closed when its bytes reach
/// the limit after a parameter was appended (so it may overshoot by one parameter): the first limit
/// once, then the cap. Final from step 1: the order is the type's, nothing is rebuilt at run time.
/// Frozen parameters are in none.
///
/// Source   PyTorch DDP, compute_bucket_assignment_by_size, in its rebuilt state.
template <class Model, class Cut>
constexpr auto make_buckets(const Layout<Model, Cut>& layout, std::size_t first_bytes,
                            std::size_t cap_bytes, std::size_t element_bytes) {
  BucketTable<Layout<Model, Cut>::num_params> table;
  std::size_t bytes = 0, end = layout.size, limit = first_bytes;
  int params = 0, first = 0;
  while (!layout.params[first].trains) ++first;
  for (int i = layout.num_params; i-- > 0;) {
    const ParamInfo& p = layout.params[i];
    if (!p.trains) continue;
    bytes += p.padded * element_bytes;
    ++params;
    if (bytes < limit && i > first) continue;
    table.at[table.count++] = {p.offset, end, p.unit, params};
    end = p.offset;
    bytes = 0;
    params = 0;
    limit = cap_bytes;
  }
  return table;
}

}  // namespace cohort
