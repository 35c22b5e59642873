#include "base/error.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "base/result.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

TEST(Error, MessageGoesFromTheOutermostContextToTheCause) {
  Error error = os_failure(ENOSPC, "cannot write x");
  error.context = {"inner", "outer"};
  EXPECT_EQ(error.message(), "outer: inner: cannot write x: No space left on device");
}

TEST(Error, WithoutAFailedCallThereIsNoErrnoText) {
  EXPECT_EQ(make_error(Errc::conflict, "in the way").message(), "in the way");
}

TEST(Error, ErrnoDecidesWhatTheCallerMayDo) {
  EXPECT_EQ(os_failure(ENOENT, "").code, Errc::not_found);
  for (const int transient : {EAGAIN, EINTR, EBUSY}) EXPECT_EQ(os_failure(transient, "").code, Errc::transient);
  for (const int other : {EIO, EPERM, ENOSPC}) EXPECT_EQ(os_failure(other, "").code, Errc::system);
}

TEST(Error, MissingPermissionHasAReasonOfItsOwn) {
  for (const int error : {EPERM, EACCES}) {
    EXPECT_EQ(reason_of(os_failure(error, "")), Reason::not_permitted);
    EXPECT_EQ(test::verdict(os_failure(error, "")), "system");
  }
}

TEST(Error, KnowsWhereItWasNoticed) {
  const Error error = make_error(Errc::internal, "x");
  EXPECT_NE(std::string(error.where.file).find("error_test.cpp"), std::string::npos);
  EXPECT_GT(error.where.line, 0);
}

Result<std::unique_ptr<int>> number(bool fine) {
  if (!fine) return make_error(Errc::not_found, Reason::no_image, "none");
  return std::make_unique<int>(7);
}

Result<int> doubled(bool fine) {
  TRY(const auto value, number(fine).with_context("doubling"));
  TRY_VOID(Result<void>());
  return *value * 2;
}

TEST(Result, TryPassesTheErrorOnWithItsReasonAndContext) {
  EXPECT_EQ(test::must(doubled(true)), 14);
  const Result<int> failed = doubled(false);
  EXPECT_EQ(test::verdict(failed), "not_found/no-image");
  EXPECT_EQ(failed.error().message(), "doubling: none");
}

}  // namespace
}  // namespace driverext
