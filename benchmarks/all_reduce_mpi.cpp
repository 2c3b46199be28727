// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/all_reduce_mpi.cpp: the twin of all_reduce.cpp over plain MPI, without cohort.
//
// Usage: mpirun -n 2 all_reduce_mpi [--milliseconds 200]   or   [--serve]   (see all_reduce.cpp)
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

/// The times in us of count all-reduces of so many bytes, each after a barrier.
std::vector<double> times_of(long long bytes, long long count) {
  std::vector<float> mine(static_cast<std::size_t>(bytes) / sizeof(float));
  std::vector<double> times;
  for (long long k = -1; k < count; ++k) {  // -1: pages and caches warm up
    std::fill(mine.begin(), mine.end(), 1.0f);
    MPI_Barrier(MPI_COMM_WORLD);
    const double start = MPI_Wtime();
    MPI_Allreduce(MPI_IN_PLACE, mine.data(), static_cast<int>(mine.size()), MPI_FLOAT, MPI_SUM,
                  MPI_COMM_WORLD);
    if (k >= 0) times.push_back(1e6 * (MPI_Wtime() - start));
  }
  return times;
}

/// Runs rank 0's order {bytes, count} on every rank; false for the order to quit, {0, 0}.
bool obey(long long bytes, long long count, std::vector<double>& times) {
  long long order[] = {bytes, count};
  MPI_Bcast(order, 2, MPI_LONG_LONG, 0, MPI_COMM_WORLD);
  if (order[0] == 0) return false;
  times = times_of(order[0], order[1]);
  return true;
}

double median(std::vector<double> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

void report(double milliseconds) {
  for (long long bytes = 4096; bytes <= (64 << 20); bytes *= 4) {
    std::vector<double> times;
    obey(bytes, 5, times);
    const double count = 1000 * milliseconds / (3 * median(times) + 1);  // filling takes time too
    obey(bytes, std::clamp(static_cast<long long>(count), 11LL, 20000LL), times);
    std::printf(
        "{\"bench\":\"all_reduce_mpi\",\"metric\":\"time_%lld\",\"value\":%.3f,\"unit\":\"us\"}\n",
        bytes, median(times));
    std::fflush(stdout);
  }
}

void serve(int ranks) {
  std::printf("ready {\"ranks\":%d}\n", ranks);
  std::fflush(stdout);
  char line[256];
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
    long long bytes = 0, count = 0;
    if (std::sscanf(line, "run %lld %lld", &bytes, &count) != 2) break;
    std::vector<double> times;
    obey(bytes, count, times);
    const char* separator = "[";
    for (double us : times) {
      std::printf("%s%.3f", separator, us);
      separator = ",";
    }
    std::printf("]\n");
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  double milliseconds = 200;
  bool serves = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--serve") serves = true;
    if (arg == "--milliseconds" && i + 1 < argc) milliseconds = std::atof(argv[i + 1]);
  }
  int rank = 0, ranks = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  std::vector<double> times;
  if (rank == 0) {
    serves ? serve(ranks) : report(milliseconds);
    obey(0, 0, times);  // quit
  } else {
    while (obey(0, 0, times)) {
    }
  }
  MPI_Finalize();
}
