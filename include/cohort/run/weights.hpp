// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/weights.hpp: values as whole tensors in files of other tools, each rank writing and reading its own elements.
#pragma once
#include <algorithm>
#include <cohort/io/safetensors_index.hpp>
#include <cohort/io/stored_name.hpp>
#include <cohort/run/agreement.hpp>
#include <cohort/run/full_files.hpp>
#include <cohort/run/loading.hpp>
#include <functional>
#include <optional>
#include <set>
#include <utility>

namespace cohort {

/// names: what the file calls each parameter and how it lies there (a StoredName does where it is one tensor);
/// empty: the model's own names, as they are. ignore: which tensors of a file load_full may leave unread;
/// empty: none. max_file_bytes: what one file may hold before another is begun, 0: all. type: of what is written
/// (F32, BF16, F16, F64); empty: the master's own.
struct FullOptions {
  std::function<io::StoredNames(const std::string&)> names{};
  std::function<bool(const std::string&)> ignore{};
  std::uint64_t max_file_bytes = 0;
  std::optional<io::StoredType> type{};
};

namespace detail {

/// Of the model's parameters, in forward order, what the file holds: a tensor each, or several.
inline std::vector<StoredParameter> stored_parameters(const StateList& list,
                                                      const FullOptions& options) {
  std::vector<StoredParameter> all;
  for (std::size_t i = 0; i < list.names.size(); ++i) {
    const std::string& own = list.names[i];
    const ParamInfo& param = list.params[i];
    const io::StoredNames parts = options.names ? options.names(own) : io::StoredName{own};
    parts.for_each(own, param.extents(),
                   [&](const io::StoredName& name, int first, std::span<const int> extents) {
                     StoredParameter p;
                     p.name = name;
                     p.shape = io::stored_shape(name, extents);
                     p.cols = static_cast<std::uint64_t>(param.extents().back());
                     for (const std::uint64_t extent : p.shape) p.numel *= extent;
                     p.first = static_cast<std::uint64_t>(first) * param.numel /
                               static_cast<std::uint64_t>(param.extents().front());
                     p.param = static_cast<int>(i);
                     all.push_back(std::move(p));
                   });
  }
  return all;
}
/// f(part) for those of a parameter.
template <class F> void for_each_part(const std::vector<StoredParameter>& all, int param, F f) {
  for (const StoredParameter& part : all)
    if (part.param == param) f(part);
}

/// What each tensor is written as.
inline std::vector<io::StoredType> full_types(const StateList& list, const FullOptions& options,
                                              const std::vector<StoredParameter>& parameters) {
  if (options.type && !is_real(*options.type))
    throw InvalidInput(-1, "save_full",
                       "weights are written as F32, BF16, F16 or F64, not as " +
                           std::string(io::name(*options.type)) + ".");
  std::vector<io::StoredType> types;
  for (const StoredParameter& p : parameters)
    types.push_back(
        options.type.value_or(list.type(state_value, static_cast<std::size_t>(p.param))));
  return types;
}

/// Cuts elements [first, end) of what the file holds into stretches that lie in one piece there: f(first element,
/// count, place in the file, distance between them here). A transposed matrix gives one stretch a column of
/// each block of rows.
template <class F>
void for_each_stretch(const StoredParameter& p, std::uint64_t first, std::uint64_t end, F f) {
  if (!p.name.transposed) return f(first, end - first, first, std::uint64_t{1});
  const std::uint64_t rows = p.numel / p.cols;
  for (std::uint64_t c = 0; c < p.cols; ++c) {
    const std::uint64_t low = first > c ? (first - c + p.cols - 1) / p.cols : 0;
    const std::uint64_t high = end > c ? (end - 1 - c) / p.cols + 1 : 0;
    if (low < high) f(low * p.cols + c, high - low, c * rows + low, p.cols);
  }
}
/// Elements of a run that one buffer holds: f(first, end of them in the file's part, first in the run).
inline constexpr std::uint64_t elements_at_once = std::uint64_t{1} << 19;
template <class F> void for_each_block(const StoredParameter& p, const HeldRun& run, F f) {
  const std::uint64_t begin = std::max<std::uint64_t>(run.first, p.first);
  const std::uint64_t end = std::min<std::uint64_t>(run.first + run.count, p.first + p.numel);
  for (std::uint64_t at = begin; at < end; at += elements_at_once)
    f(at - p.first, std::min(end, at + elements_at_once) - p.first, at - run.first);
}

/// Writes this rank's elements into the temporary files.
template <class Plan, class Device, class Storage>
void write_full(const Device& device, const Storage& storage, const FullFiles& files,
                const std::vector<StoredParameter>& parameters,
                const std::vector<io::StoredType>& types) {
  std::vector<std::optional<io::File>> open(files.paths.size());
  std::vector<std::byte> image, column;
  for_each_state<Plan>(storage, true, [&]<class T>(int kind, const HeldRun& run, const T* at) {
    if (kind != state_value) return;
    for_each_part(parameters, run.param, [&](const StoredParameter& p) {
      const auto i = static_cast<std::size_t>(&p - parameters.data());
      const auto [number, tensor] = files.place[i];
      if (!open[number])
        open[number] = io::File::to_change(FullFiles::temporary(files.paths[number]));
      const std::size_t size = static_cast<std::size_t>(io::bits(types[i])) / 8;
      for_each_block(p, run, [&](std::uint64_t first, std::uint64_t end, std::uint64_t here) {
        image.resize((end - first) * sizeof(T));
        fetch_bytes(device, reinterpret_cast<const std::byte*>(at + here), image);
        for_each_stretch(
            p, first, end,
            [&](std::uint64_t from, std::uint64_t n, std::uint64_t to, std::uint64_t apart) {
              column.resize(n * size);
              store_as(types[i], reinterpret_cast<const T*>(image.data()) + (from - first), apart,
                       n, column.data());
              open[number]->write(files.layouts[number].offset(tensor) + to * size, column);
            });
      });
    });
  });
  for (std::optional<io::File>& file : open) {
    if (!file) continue;
    file->sync();
    file->close();
  }
}

/// Every rank writes its elements into files that rank 0 makes, so that nothing is gathered. Collective.
template <class Plan, class World, class Device, class Storage>
void save_full(World& world, const Device& device, const Storage& storage,
               const std::filesystem::path& path, const FullOptions& options) {
  std::vector<StoredParameter> parameters;
  std::vector<io::StoredType> types;
  std::optional<FullFiles> files;
  const auto as_rank_0 = [&](auto f) {
    together(world, "save_full", [&] {
      if (world.rank() == 0) f();
    });
  };
  together(world, "save_full", [&] {
    const StateList list = state_list<Plan>();
    parameters = stored_parameters(list, options);
    types = full_types(list, options, parameters);
    files.emplace(parameters, types, path, options.max_file_bytes);
  });
  try {
    as_rank_0([&] { files->create(); });
    together(world, "save_full",
             [&] { write_full<Plan>(device, storage, *files, parameters, types); });
    as_rank_0([&] { files->publish(path, parameters); });
  } catch (const Error&) {
    if (world.rank() == 0) files->discard(path);
    throw;
  }
}

/// Files of whole tensors and what of them a model takes. Made by every rank.
class ChosenFiles {
 public:
  explicit ChosenFiles(StateList list) : list_(std::move(list)) {}
  void open(const std::filesystem::path& path, const FullOptions& options) {
    parameters_ = stored_parameters(list_, options);
    file_.emplace(path);
    loaded_.path = path.string();
    std::set<std::string> read;
    for (const StoredParameter& p : parameters_) read.insert(p.name.name);
    for (std::size_t i = 0; i < file_->size(); ++i) {
      const std::string name = (*file_)[i].tensor.name;
      if (!read.contains(name)) loaded_.unused.push_back(name);
    }
    std::sort(loaded_.unused.begin(), loaded_.unused.end());
    const bool mapped = options.names != nullptr;
    for (const StoredParameter& p : parameters_)
      check(list_.names[static_cast<std::size_t>(p.param)], p, mapped);
    std::vector<std::string> left;
    for (const std::string& name : loaded_.unused)
      if (!options.ignore || !options.ignore(name)) left.push_back(name);
    if (!left.empty())
      refuse("the model reads nothing of " + some_of(left) +
             ": it lacks layers or biases of the file" +
             (mapped ? ", or .names passes over them" : "") +
             "; .ignore says what may be left unread");
  }
  const Loaded& loaded() const { return loaded_; }

 protected:
  std::optional<io::SafetensorsSet> file_;
  std::vector<StoredParameter> parameters_;

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw InvalidInput(-1, "weights '" + loaded_.path + "'", why + ".");
  }
  /// The first of these names, and how many more there are.
  static std::string some_of(const std::vector<std::string>& names) {
    constexpr std::size_t most = 3;
    std::string text;
    for (std::size_t i = 0; i < names.size() && i < most; ++i)
      text += (i > 0 ? ", '" : "'") + names[i] + "'";
    return names.size() > most ? text + " and " + std::to_string(names.size() - most) + " more"
                               : text;
  }
  /// `mapped`: the names are the user's.
  void check(const std::string& own, const StoredParameter& p, bool mapped) const {
    const std::string both =
        own == p.name.name ? "'" + own + "'" : "'" + p.name.name + "' (" + own + " of the model)";
    const auto found = file_->find(p.name.name);
    if (!found)
      refuse("there is no " + both + ": the file is of another model, or " +
             (mapped ? ".names is wrong" : ".names must say what it is called there") +
             (loaded_.unused.empty() ? "" : "; it has " + some_of(loaded_.unused)));
    const io::StoredTensor& tensor = found->tensor;
    if (tensor.shape != p.shape)
      refuse(both + " is " + io::readable_shape(tensor.shape) + " there and must be " +
             io::readable_shape(p.shape) + " for this model: it is of a model of another size" +
             (mapped ? ", or .rows or .transposed of .names is wrong" : ""));
    if (!is_real(tensor.type))
      refuse(both + " is " + std::string(io::name(tensor.type)) +
             ": F64, F32, BF16 and F16 can be read");
  }

  StateList list_;
  Loaded loaded_;
};

/// Reads values from them.
template <class Plan> class FullLoad : public ChosenFiles {
 public:
  FullLoad() : ChosenFiles(state_list<Plan>()) {}

  /// Elements that this rank holds; those beyond the file's rows stay.
  template <class Device, class Storage> void read(const Device& device, const Storage& storage) {
    std::vector<std::byte> column, block, image;
    for_each_state<Plan>(storage, false, [&]<class T>(int kind, const HeldRun& run, T* at) {
      if (kind != state_value) return;
      for_each_part(parameters_, run.param, [&](const StoredParameter& p) {
        const auto [file, tensor] = *file_->find(p.name.name);
        const std::size_t size = static_cast<std::size_t>(io::bits(tensor.type)) / 8;
        for_each_block(p, run, [&](std::uint64_t first, std::uint64_t end, std::uint64_t here) {
          block.resize((end - first) * size);
          for_each_stretch(
              p, first, end,
              [&](std::uint64_t to, std::uint64_t n, std::uint64_t from, std::uint64_t apart) {
                column.resize(n * size);
                file->read(tensor, from * size, column);
                for (std::uint64_t k = 0; k < n; ++k)
                  std::memcpy(block.data() + (to - first + k * apart) * size,
                              column.data() + k * size, size);
              });
          store_elements(device, tensor.type, block, at + here, end - first, image);
        });
      });
    });
  }
};

}  // namespace detail
}  // namespace cohort
