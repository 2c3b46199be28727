// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/device_view.hpp: gradients by name in the memory of a device that the host cannot write to.
#pragma once
#include <cohort/core/view.hpp>

namespace cohort {

/// GradView for a device: add-only; map() says that the host cannot go there. data() zeroes the buffer at
/// the first contribution, in the order of the device's stream.
template <class T, class P, class Device> class DeviceGradView : public Borrowed {
 public:
  static constexpr auto extents = P::extents;
  static constexpr bool wanted = P::trains || P::averages;
  DeviceGradView(T* at, std::uint8_t* touched, const Device* device)
      : at_(at), touched_(touched), device_(device) {}

  Contribution<T> contribute() const {
    if constexpr (P::averages) {
      return {at_, false};
    } else if constexpr (!P::trains) {
      detail::said<detail::FrozenGradient<T, P>>();
      return {nullptr, true};
    } else {
      const bool first = *touched_ == 0;
      *touched_ = 1;
      return {at_, first};
    }
  }
  T* data() const {
    const Contribution<T> to = contribute();
    if (to.first && to.data != nullptr) device_->zero(to.data, P::numel * sizeof(T));
    return to.data;
  }
  static auto map() {
    detail::said<detail::NotOnTheHost<place_of<Device>>>();
    return Eigen::Map<detail::ParamMatrix<T, P>>(nullptr);
  }

 private:
  T* at_;
  std::uint8_t* touched_;
  const Device* device_;
};

/// Where a subtree's gradients begin in a device's memory; flags of contributions are the host's.
template <class T, class Device> struct DeviceGradCursor {
  using scalar = T;
  template <class P> using view = DeviceGradView<T, P, Device>;
  T* at = nullptr;
  std::uint8_t* touched = nullptr;
  const Device* device = nullptr;
  T* sums = nullptr;  // of averages
  DeviceGradCursor advanced(const FlatCount& by) const {
    return {at + by.trained, touched + by.params, device, sums + by.averaged};
  }
  template <class P> view<P> open() const {
    return view<P>(P::averages ? sums : at, touched, device);
  }
};

namespace detail {
template <class T, class Device, class Where> struct GradCursorOn {
  using type = DeviceGradCursor<T, Device>;
};
template <class T, class Device> struct GradCursorOn<T, Device, OnHost> {
  using type = GradCursor<T>;
};
}  // namespace detail

/// Where p of a layer begins on a device, for parameters of T.
template <class T, class Device> using param_cursor_on = ParamCursor<T, place_of<Device>>;
/// The same of gradients.
template <class D, class Device>
using grad_cursor_on = typename detail::GradCursorOn<D, Device, place_of<Device>>::type;

}  // namespace cohort
