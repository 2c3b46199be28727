// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/finding.hpp: where something that is no finite number was met first, and how that is said.
#pragma once
#include <cohort/ops/non_finite.hpp>
#include <cohort/plan/layout.hpp>
#include <cstdio>
#include <string>
#include <vector>

namespace cohort::detail {

/// Where to look, in the order in which a step comes by.
enum class Place : std::int64_t {
  none,
  parameter,  // as layers read it, before the step
  input,      // the rows that the caller gave
  target,
  output,  // of a unit; unit -1: of the model
  loss,
  loss_gradient,  // what the loss passes back
  gradient,       // of a parameter, on this rank alone
  average,        // what this rank adds to an averaged parameter
  passed_back     // by a unit to the one before it
};

/// A finding of one rank. Words of 64 bits, so that ranks can exchange it as numbers.
struct Finding {
  Place place = Place::none;
  std::int64_t micro_batch = 0;
  std::int64_t id = -1;  // of the parameter or the unit
  std::int64_t size = 0, nans = 0, infinities = 0, first = 0;
  double value = 0;

  explicit operator bool() const { return place != Place::none; }
};

inline Finding finding(Place place, std::int64_t micro_batch, std::int64_t id, std::size_t size,
                       const ops::NonFiniteCount& count) {
  return {place,
          micro_batch,
          id,
          static_cast<std::int64_t>(size),
          static_cast<std::int64_t>(count.nans),
          static_cast<std::int64_t>(count.infinities),
          static_cast<std::int64_t>(count.first),
          count.value};
}

/// "17 NaN of 65536 elements, the first at 12", "2 NaN and 1 infinity of 4 elements, the first (-inf) at 0".
inline std::string count_text(const Finding& f) {
  std::string text;
  if (f.nans > 0) text = std::to_string(f.nans) + " NaN";
  if (f.infinities > 0)
    text += (f.nans > 0 ? " and " : "") + std::to_string(f.infinities) +
            (f.infinities == 1 ? " infinity" : " infinities");
  char value[16];
  std::snprintf(value, sizeof value, " (%g)", f.value);
  return text + " of " + std::to_string(f.size) + " elements, the first" +
         (f.infinities > 0 ? value : "") + " at " + std::to_string(f.first);
}

/// Says one rank's finding without a full stop. `parameters` and `units`: their names.
inline std::string finding_text(const Finding& f, const std::vector<std::string>& parameters,
                                const std::vector<std::string>& units) {
  const auto parameter = [&] { return "'" + parameters[static_cast<std::size_t>(f.id)] + "'"; };
  const auto unit = [&]() -> std::string {
    if (f.id < 0 || units[static_cast<std::size_t>(f.id)].empty()) return "the model";
    return "'" + units[static_cast<std::size_t>(f.id)] + "'";
  };
  switch (f.place) {
    case Place::parameter:
      return "parameter " + parameter() + " had " + count_text(f) +
             " before the step: look at what wrote it, a load, set_parameter or the last update";
    case Place::input:
      return "the input has " + count_text(f) + ": check the data";
    case Place::target:
      return "the target has " + count_text(f) + ": check the data";
    case Place::output:
      return "the output of " + unit() + " has " + count_text(f);
    case Place::loss:
      return "the loss is " + std::to_string(f.value) + " while the model's output is finite";
    case Place::loss_gradient:
      return "the gradient that the loss passes back has " + count_text(f);
    case Place::gradient:
      return "the gradient of " + parameter() + " has " + count_text(f);
    case Place::average:
      return "what this rank adds to the average " + parameter() + " has " + count_text(f);
    case Place::passed_back:
      return "the gradient that " + unit() + " passes back has " + count_text(f);
    default:
      return "nothing";
  }
}

/// What all ranks found, in one sentence; `all` by rank. A parameter that was wrong before the step is
/// the cause of everything else.
inline std::string findings_text(const std::vector<Finding>& parameters_of,
                                 const std::vector<Finding>& all, int micro_batches,
                                 const std::vector<std::string>& parameters,
                                 const std::vector<std::string>& units) {
  const auto is_before = [](const Finding& a, const Finding& b) {
    return a && (!b || a.id < b.id || (a.id == b.id && a.first < b.first));
  };
  std::size_t first = 0, found = 0;
  for (std::size_t r = 1; r < parameters_of.size(); ++r)
    if (is_before(parameters_of[r], parameters_of[first])) first = r;
  if (parameters_of[first])
    return "rank " + std::to_string(first) + ": " +
           finding_text(parameters_of[first], parameters, units) + ".";
  constexpr std::size_t most = 4;
  std::string text;
  for (std::size_t r = 0; r < all.size(); ++r) {
    if (!all[r] || ++found > most) continue;
    text += (found > 1 ? "; rank " : "rank ") + std::to_string(r);
    if (micro_batches > 1) text += ", micro-batch " + std::to_string(all[r].micro_batch);
    text += ": " + finding_text(all[r], parameters, units);
  }
  if (found > most) text += "; " + std::to_string(found - most) + " more ranks";
  if (found == 0)
    text =
        "every rank's own loss, gradients and averages are finite: their sum over ranks "
        "overflowed. Reduce "
        "in a wider type (the third of MixedPrecision)";
  return text + ".";
}

}  // namespace cohort::detail
