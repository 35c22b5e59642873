// The acquire service's entry.
#pragma once

namespace driverext {

/// Gets an image for the running kernel if the store has none, and lets the pipeline run again. Returns the exit code:
/// that of the reason it ended with; 75 means that systemd tries again.
int acquire_main(int argc, char** argv);

}  // namespace driverext
