// Images that a finished provision has left without a use: of another version, or of an earlier run.
#pragma once

#include "provisioner/steps/step.hpp"

namespace driverext {

/// They are mounted no more, and their devices go when their last user does. Only this driver's own, and none that the
/// host's /usr shows; what an acquisition works with is none of these. What cannot be released is left: it does no
/// harm.
void release_other_images(const StepContext& context);

}  // namespace driverext
