// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/all_reduce_mpi.cpp: the twin of all_reduce.cpp over plain MPI, without cohort.
//
// Usage: mpirun -n 2 all_reduce_mpi [--milliseconds 200]    the time spent on each size
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

/// The median time in us of one all-reduce, each of an array just written and after a barrier.
double median_us(std::vector<float>& mine, double milliseconds) {
  std::vector<double> times;
  const double begin = MPI_Wtime();
  for (unsigned char more = 1; more != 0;) {
    for (int i = 0; i < 10; ++i) {
      std::fill(mine.begin(), mine.end(), 1.0f);
      MPI_Barrier(MPI_COMM_WORLD);
      const double start = MPI_Wtime();
      MPI_Allreduce(MPI_IN_PLACE, mine.data(), static_cast<int>(mine.size()), MPI_FLOAT, MPI_SUM,
                    MPI_COMM_WORLD);
      times.push_back(1e6 * (MPI_Wtime() - start));
    }
    more = 1e3 * (MPI_Wtime() - begin) < milliseconds ? 1 : 0;
    MPI_Bcast(&more, 1, MPI_UNSIGNED_CHAR, 0, MPI_COMM_WORLD);
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  double milliseconds = 200;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string_view(argv[i]) == "--milliseconds") milliseconds = std::atof(argv[i + 1]);
  }
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (std::size_t bytes = 4096; bytes <= (std::size_t{64} << 20); bytes *= 4) {
    std::vector<float> mine(bytes / sizeof(float));
    const double us = median_us(mine, milliseconds);
    if (rank != 0) continue;
    std::printf("{\"bench\":\"all_reduce_mpi\",\"metric\":\"time_%zu\",", bytes);
    std::printf("\"value\":%.3f,\"unit\":\"us\"}\n", us);
    std::fflush(stdout);
  }
  MPI_Finalize();
}
