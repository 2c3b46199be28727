// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/context.hpp: what a layer computes with: device, element type, and places for
// results.
#pragma once
#include <cohort/core/arena.hpp>
#include <cohort/core/error.hpp>
#include <cohort/core/random.hpp>
#include <cohort/core/said.hpp>
#include <cohort/core/tensor.hpp>

namespace cohort {

/// What a call of a layer is part of: the forward that keeps, the one that does not, or backward.
enum class Phase { train, evaluate, backward };

namespace detail {
template <Phase P> struct RandomInTraining {
  static void say() {
    static_assert(
        P == Phase::train,
        "cohort: ctx.random() is for the forward that trains. In evaluation leave out what is "
        "random (if constexpr (Ctx::train)); in backward read saved[\"random\"_p], which forward "
        "kept. [cohort/core/context.hpp]");
  }
};
}  // namespace detail

/// Passed as `ctx` to every forward and backward. Borrowed for the length of one call.
///
/// Shapes   make<C>(rows) is [rows, C] of the compute type T, uninitialised, 64-byte aligned.
/// Cost     a pointer bump; no call ever reaches the heap.
/// Errors   run time: ContractBroken when more is asked for than the types of the model announce.
template <class Device, class T, Phase P> class Context {
 public:
  using device_type = Device;
  using scalar = T;
  static constexpr bool train = P != Phase::evaluate;
  static constexpr Phase phase = P;
  using place = place_of<Device>;

  /// `arrays` is host memory for make_array, where results are in a device's: nullptr says they are not.
  /// `upcoming` is what random() returns next, and counts its calls.
  Context(const Device& device, Arena& results, Arena& scratch, Arena::End end = Arena::End::low,
          Arena* arrays = nullptr, Random* upcoming = nullptr)
      : device_(&device),
        results_(&results),
        scratch_(&scratch),
        arrays_(arrays),
        upcoming_(upcoming),
        end_(end) {}

  /// A fresh result: return it, or keep it. Forward's live until backward has passed; backward's dx
  /// until the layer before has used it.
  template <int C, class U = T> Tensor<U, C, place> make(Rows rows) const {
    return {results_->take<U>(static_cast<std::size_t>(rows.count()) * C, end_), rows};
  }
  template <class U, int C> Tensor<T, C, place> like(const Tensor<U, C, place>& x) const {
    return make<C>(x.rows);
  }

  /// One value a feature, uninitialised, for as long as what make() gives: statistics over rows.
  template <int C, class U = T> PerFeature<U, C, place> make_per_feature() const {
    return {results_->take<U>(C, end_)};
  }

  /// Temporary memory, gone when the layer returns. Declare its bytes: `template <class T> static
  /// constexpr std::size_t scratch_bytes(Rows rows)`.
  template <class U> U* scratch(std::size_t count) const { return scratch_->take<U>(count); }

  /// An array of saved values (trivially copyable), in the same memory as results: it counts there, also
  /// where the host cannot write there and keeps it elsewhere.
  template <class S> S* make_array(int count) const {
    const auto n = static_cast<std::size_t>(count);
    S* array = results_->take<S>(n, end_);
    return arrays_ == nullptr ? array : arrays_->take<S>(n);
  }

  /// The random numbers of this call, for forwards that train.
  Random random() const {
    if constexpr (P != Phase::train) {
      detail::said<detail::RandomInTraining<P>>();
      return {};
    } else {
      if (upcoming_ == nullptr)
        throw ContractBroken(-1, "random",
                             "this forward was begun without a source of random numbers: give its "
                             "Context a Random.");
      const Random now = *upcoming_;
      *upcoming_ = now.next();
      return now;
    }
  }
  /// What random() returns next; nullptr where nothing is drawn. For layers that run another's forward again.
  Random* upcoming() const { return upcoming_; }

  const Device& device() const { return *device_; }
  Arena& results() const { return *results_; }
  Arena& scratch_arena() const { return *scratch_; }
  Arena::End end() const { return end_; }

  /// This context with results at the other end of its arena: how chains in backward free as they
  /// go.
  Context opposite() const {
    return {*device_,  *results_,
            *scratch_, end_ == Arena::End::low ? Arena::End::high : Arena::End::low,
            arrays_,   upcoming_};
  }

 private:
  const Device* device_;
  Arena* results_;
  Arena* scratch_;
  Arena* arrays_;
  Random* upcoming_;
  Arena::End end_;
};

}  // namespace cohort
