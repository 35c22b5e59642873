// The names of JSON values, for headers that only hand them on: what they are takes a compiler seconds to read.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace driverext {

using Json = nlohmann::json;
/// Keeps members in the order they were written: for output.
using OrderedJson = nlohmann::ordered_json;

}  // namespace driverext
