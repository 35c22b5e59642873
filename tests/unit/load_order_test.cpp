#include "modules/load_order.hpp"

#include <gtest/gtest.h>

#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::verdict;
using Names = std::vector<std::string>;

TEST(LoadOrder, EachModuleComesBehindWhatItNeeds) {
  const LoadOrder order = must(order_modules({{"nvidia_drm", {"nvidia_modeset", "drm"}},
                                              {"nvidia_modeset", {"nvidia"}},
                                              {"nvidia", {"i2c_core"}},
                                              {"nvidia_uvm", {"nvidia"}}}));
  EXPECT_EQ(order.own, (Names{"nvidia", "nvidia_modeset", "nvidia_drm", "nvidia_uvm"}));
  EXPECT_EQ(order.external, (Names{"i2c_core", "drm"}));
}

TEST(LoadOrder, ExternalDependencyIsNamedOnce) {
  EXPECT_EQ(must(order_modules({{"a", {"x", "y"}}, {"b", {"y", "x"}}})).external, (Names{"x", "y"}));
}

TEST(LoadOrder, NothingNeedsNothing) {
  EXPECT_TRUE(must(order_modules({})).own.empty());
  EXPECT_EQ(must(order_modules({{"b", {}}, {"a", {}}})).own, (Names{"b", "a"}));
}

TEST(LoadOrder, CircleIsNamed) {
  EXPECT_NE(message(order_modules({{"a", {"b"}}, {"b", {"c"}}, {"c", {"a"}}})).find("a → b → c → a"),
            std::string::npos);
  EXPECT_EQ(verdict(order_modules({{"a", {"a"}}})), "invalid_input");
  EXPECT_EQ(verdict(order_modules({{"top", {"a"}}, {"a", {"b"}}, {"b", {"a"}}})), "invalid_input");
}

TEST(LoadOrder, NameGivenTwiceIsRefused) {
  EXPECT_NE(message(order_modules({{"a", {}}, {"a", {}}})).find("a is there twice"), std::string::npos);
}

TEST(LoadOrder, SharedDependencyIsLoadedOnce) {
  EXPECT_EQ(must(order_modules({{"d", {"b", "c"}}, {"b", {"a"}}, {"c", {"a"}}, {"a", {}}})).own,
            (Names{"a", "b", "c", "d"}));
}

TEST(LoadOrder, LongChainsAreFine) {
  std::vector<ModuleNode> chain;
  for (int i = 0; i < 1000; ++i) chain.push_back({"m" + std::to_string(i), {"m" + std::to_string(i + 1)}});
  const LoadOrder order = must(order_modules(chain));
  EXPECT_EQ(order.own.front(), "m999");
  EXPECT_EQ(order.external, Names{"m1000"});
}

}  // namespace
}  // namespace driverext
