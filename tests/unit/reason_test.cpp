// The reason codes of the program, the documentation and the journal catalog are one table.
#include "base/reason.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "base/text.hpp"
#include "support/temp_dir.hpp"

namespace driverext {
namespace {

// Line breaks are not part of what a catalog entry says.
std::string one_line(const std::string& text) {
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word;) line += (line.empty() ? "" : " ") + word;
  return line;
}

TEST(Reasons, TableIsInTheOrderOfItsEnum) {
  for (size_t i = 0; i < all_reasons().size(); ++i) EXPECT_EQ(static_cast<size_t>(all_reasons()[i].reason), i);
  EXPECT_EQ(static_cast<size_t>(Reason::step_failed) + 1, all_reasons().size()) << "a reason has no entry";
}

TEST(Reasons, CodesAndMessageIdsAreUniqueAndWellFormed) {
  std::set<std::string_view> codes;
  std::set<std::string_view> ids;
  for (const ReasonInfo& info : all_reasons()) {
    EXPECT_TRUE(codes.insert(info.code).second) << info.code;
    EXPECT_TRUE(ids.insert(info.message_id).second) << info.code;
    EXPECT_EQ(info.message_id.size(), 32U) << info.code;
    EXPECT_EQ(info.message_id.find_first_not_of("0123456789abcdef"), std::string_view::npos) << info.code;
    EXPECT_EQ(info.code.find_first_not_of("abcdefghijklmnopqrstuvwxyz-"), std::string_view::npos) << info.code;
    EXPECT_FALSE(info.summary.empty() || info.advice.empty()) << info.code;
  }
}

TEST(Reasons, UntrustedAlwaysHasItsOwnExitCode) {
  for (const ReasonInfo& info : all_reasons()) {
    EXPECT_EQ(info.outcome == Outcome::untrusted, info.exit_code == ExitCode::untrusted) << info.code;
    EXPECT_EQ(info.outcome == Outcome::provisioned, info.exit_code == ExitCode::done) << info.code;
  }
}

TEST(Reasons, DocumentationIsTheSameTable) {
  std::vector<std::string> rows;
  for (const std::string& line : split(test::source_file("docs/reasons.md"), '\n')) {
    if (line.starts_with("| `")) rows.push_back(line);
  }
  ASSERT_EQ(rows.size(), all_reasons().size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const ReasonInfo& info = all_reasons()[i];
    std::ostringstream row;
    row << "| `" << info.code << "` | " << outcome_name(info.outcome) << " | " << static_cast<int>(info.exit_code)
        << " | `" << info.message_id << "` | " << info.summary << " | " << info.advice << " |";
    EXPECT_EQ(rows[i], row.str());
  }
}

TEST(Reasons, JournalCatalogIsTheSameTable) {
  std::map<std::string, std::string> entries;  // text by message id
  std::string id;
  for (const std::string& line : split(test::source_file("units/driverext.catalog"), '\n')) {
    if (line.starts_with("-- ")) {
      id = line.substr(3);
      EXPECT_FALSE(entries.contains(id)) << id << " stands there twice";
      entries[id];
    } else if (!id.empty()) {
      entries[id] += line + "\n";
    }
  }
  EXPECT_EQ(entries.size(), all_reasons().size());
  for (const ReasonInfo& info : all_reasons()) {
    std::ostringstream text;
    text << "Subject: driverext: " << info.code << " Defined-By: driverext @DRIVEREXT_DETAIL@ " << info.summary
         << " What to do: " << info.advice;
    EXPECT_EQ(one_line(entries[std::string(info.message_id)]), text.str());
  }
}

}  // namespace
}  // namespace driverext
