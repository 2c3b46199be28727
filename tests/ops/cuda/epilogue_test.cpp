// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/epilogue_test.cpp: each epilogue has a name of its own.
#include <cohort/ops/cuda/epilogue.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string>

using cohort::cuda::Epilogue;

TEST_CASE("Epilogue: names for tables, each its own") {
  std::set<std::string> names;
  for (Epilogue e : {Epilogue::none, Epilogue::bias, Epilogue::gelu, Epilogue::gelu_bias,
                     Epilogue::gelu_aux, Epilogue::gelu_aux_bias, Epilogue::dgelu,
                     Epilogue::dgelu_sums, Epilogue::sums_of_b, Epilogue::sums_of_a})
    names.insert(name(e));
  CHECK(names.size() == 10);
  CHECK(name(Epilogue::none) == std::string());
  CHECK(name(static_cast<Epilogue>(0xffff)) == std::string("another epilogue"));
}
