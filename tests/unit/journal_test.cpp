#include "log/journal.hpp"

#include <gtest/gtest.h>

#include <set>

namespace driverext {
namespace {

TEST(Journal, FieldNamesAreUniqueAndAcceptableToTheJournal) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(FieldName::duration_usec); ++i) {
    const std::string_view name = field_text(static_cast<FieldName>(i));
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_TRUE(name.starts_with("DRIVEREXT_")) << name;
    // systemd.journal-fields(7): upper case, digits and underscores, at most 64 characters.
    EXPECT_EQ(name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"), std::string_view::npos) << name;
    EXPECT_LE(name.size(), 64U);
  }
}

}  // namespace
}  // namespace driverext
