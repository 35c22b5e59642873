// The node's own key: signs what the node built, made when it is first needed.
#pragma once

#include "base/result.hpp"
#include "crypto/signing_key.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// From var/lib/driverext/keys, where it is made if it is not there: node.key (0600), node.crt.
Result<SigningKey> open_node_key(const Dir& root);

}  // namespace driverext
