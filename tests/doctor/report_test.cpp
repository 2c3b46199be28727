// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/report_test.cpp: the table at several widths, without what a terminal would obey; JSON.
#include <cohort/doctor/report.hpp>

#include <doctest/doctest.h>

#include <cohort/io/json.hpp>
#include <map>
#include <sstream>

using namespace cohort;

namespace {

const std::vector<Finding> some{
    {"cores", "CPUs", "3 of 64 allowed", Verdict::note, "Use at most 3 ranks."},
    {"cores", "quota", "none", Verdict::ok, ""},
    {"network", "port 29500", "taken by python3 (process 4711)", Verdict::problem,
     "Take another one, the same for all ranks: MASTER_PORT=40001 is free now."}};

std::size_t widest(const std::string& text) {
  std::istringstream in(text);
  std::size_t most = 0;
  for (std::string line; std::getline(in, line);) most = std::max(most, line.size());
  return most;
}

}  // namespace

TEST_CASE("report: a block for each area, fixes below their lines, a count at the end") {
  CHECK(report(some) ==
        "cores\n"
        "  note     CPUs        3 of 64 allowed\n"
        "           -> Use at most 3 ranks.\n"
        "  ok       quota       none\n"
        "\n"
        "network\n"
        "  problem  port 29500  taken by python3 (process 4711)\n"
        "           -> Take another one, the same for all ranks: MASTER_PORT=40001 is free now.\n"
        "\n"
        "1 problem, 0 warnings, 1 note: what to do stands behind ->\n");
  CHECK(report({some[1]}) == "cores\n  ok       quota  none\n\nno problem, 0 warnings, 0 notes\n");
}

TEST_CASE("report: no line is wider than the terminal") {
  for (const int width : {50, 71, 72, 80}) {
    CAPTURE(width);
    CHECK(widest(report(some, {.width = width})) <= static_cast<std::size_t>(width));
  }
  CHECK(report(some, {.width = 50})
            .find("problem  port 29500: taken by python3 (process\n           4711)") !=
        std::string::npos);
}

TEST_CASE(
    "report: colours only when asked for; nothing of a name or value reaches the terminal's ear") {
  CHECK(report(some).find('\033') == std::string::npos);
  CHECK(report(some, {.colour = true}).find("\033[1;31mproblem\033[0m") != std::string::npos);
  const std::string text = report({{"a", "b", "x\033[2Jy\xff\xc3\xa4", Verdict::ok, ""}});
  CHECK(text.find("x?[2Jy?\xc3\xa4") != std::string::npos);
}

TEST_CASE("report: JSON that says the same") {
  std::vector<std::map<std::string, std::string>> read;
  std::string worst_one;
  const auto tricky = Finding{"a", "b", "say \"x\\y\"\n\xff", Verdict::warning, "Do."};
  const std::string text = report_json({some[0], some[2], tricky});
  io::JsonReader json(text, "report");
  json.object([&](io::JsonString name) {
    if (name == "worst")
      worst_one = json.string().text();
    else if (name != "findings")
      json.skip_value();
    else
      json.array([&] {
        auto& finding = read.emplace_back();
        json.object([&](io::JsonString key) { finding[key.text()] = json.string().text(); });
      });
  });
  json.end();
  CHECK(worst_one == "problem");
  REQUIRE(read.size() == 3);
  CHECK(read[0] == std::map<std::string, std::string>{{"area", "cores"},
                                                      {"name", "CPUs"},
                                                      {"verdict", "note"},
                                                      {"found", "3 of 64 allowed"},
                                                      {"fix", "Use at most 3 ranks."}});
  CHECK(read[2]["found"] == "say \"x\\y\"\n\xef\xbf\xbd");
  CHECK(report_json({}).find("\"worst\": \"ok\"") != std::string::npos);
}
