#include "provisioner/provision.hpp"

int main(int argc, char** argv) { return driverext::provision_main(argc, argv); }
