// Reading what a CMS holds without asking who signed it: for showing and re-signing only.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace driverext {

/// The content of a DER CMS. Nothing about it has been verified.
Result<Bytes> unverified_content(ByteSpan cms);

}  // namespace driverext
