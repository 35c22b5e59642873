// What doctor says of the node: configuration, service, images, trust, room, channel.
#include <gtest/gtest.h>

#include "provisioner/acquisition.hpp"
#include "support/doctor_host.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::DoctorHost;
using test::must;

class DoctorNode : public ::testing::Test {
 protected:
  [[nodiscard]] std::string verdict(std::string_view check) const {
    const std::string look = host_.look(check);
    return look.substr(0, look.find(':'));
  }
  [[nodiscard]] NodeImage& image() { return host_.input.images.front(); }
  [[nodiscard]] KernelMemory& memory() { return host_.input.state.kernels[host_.input.facts->kernel_release]; }
  DoctorHost host_;
};

TEST_F(DoctorNode, IsNotConfigured) {
  EXPECT_EQ(verdict("configuration"), "fine");
  host_.input.config.reset();
  host_.input.config_error = "there is no driverext.toml";
  EXPECT_EQ(host_.look("configuration"), "problem: there is no driverext.toml");
}

TEST_F(DoctorNode, NothingStartsTheService) {
  EXPECT_EQ(verdict("service-enabled"), "fine");
  host_.remove("etc/systemd/system/multi-user.target.wants");
  EXPECT_EQ(host_.look("service-enabled"), "problem: nothing starts driverext.service at boot");
  host_.link("/dev/null", "etc/systemd/system/driverext.service");
  EXPECT_EQ(host_.look("service-enabled"), "problem: driverext.service is masked");
  host_.remove("etc/systemd/system/driverext.service");
  host_.remove("usr/lib/systemd");
  EXPECT_EQ(verdict("service-enabled"), "unknown");
}

TEST_F(DoctorNode, LastProvisionFailed) {
  EXPECT_EQ(verdict("last-provision"), "fine");
  host_.fail("no-image");
  EXPECT_EQ(host_.look("last-provision"), "problem: degraded (no-image): it does not work");
  host_.input.status = {{"outcome", "building"}, {"reason", "building"}, {"message", "half way"}};
  EXPECT_EQ(verdict("last-provision"), "fine");
  host_.input.status = nullptr;
  EXPECT_EQ(host_.look("last-provision"), "problem: nothing was provisioned since this boot");
}

TEST_F(DoctorNode, LastAcquisitionFailed) {
  EXPECT_EQ(verdict("last-acquisition"), "not-applicable");
  host_.fail("no-image");
  must(write_acquisition(host_.input.root, {Reason::build_failed, "the compiler says no", "6.12.0", 0}));
  EXPECT_EQ(host_.look("last-acquisition"), "problem: build-failed: the compiler says no");
  must(write_acquisition(host_.input.root, {Reason::building, "3 of 5", "6.12.0", 0}));
  EXPECT_EQ(host_.look("last-acquisition"), "fine: in progress: 3 of 5");
}

TEST_F(DoctorNode, DiskIsAlmostFull) {
  EXPECT_EQ(verdict("disk-space"), "fine");
  host_.input.facts->free_bytes = uint64_t{100} << 20;
  EXPECT_EQ(host_.look("disk-space"),
            "problem: only 100.0 MiB are free below /var/lib/driverext; another image may take 256.0 MiB");
  host_.input.facts->free_bytes.reset();
  EXPECT_EQ(verdict("disk-space"), "unknown");
}

TEST_F(DoctorNode, RunIsAlmostFull) {
  EXPECT_EQ(verdict("run-space"), "fine");
  host_.input.run_free_bytes = 4096;
  EXPECT_EQ(host_.look("run-space"), "problem: only 4.0 KiB are free below /run");
}

TEST_F(DoctorNode, ChannelIsAskedOnlyIfThereIsOne) {
  size_t asked = 0;
  bool answers = true;
  host_.input.ask_channel = [&](const std::string& url) -> Result<void> {
    ++asked;
    if (answers) return {};
    return make_error(Errc::transient, Reason::channel_unreachable, url + " does not answer");
  };
  EXPECT_EQ(verdict("channel-reachable"), "not-applicable");
  EXPECT_EQ(asked, 0U);
  host_.input.config->channel_url = "https://channel.example/x";
  EXPECT_EQ(verdict("channel-reachable"), "fine");
  answers = false;
  EXPECT_EQ(host_.look("channel-reachable"), "problem: https://channel.example/x does not answer");
}

TEST_F(DoctorNode, StoreHasNoImageForThisKernel) {
  EXPECT_EQ(verdict("image-for-kernel"), "fine");
  host_.fail("no-image-for-kernel");
  image().manifest.kernel_release = "6.99.0";
  EXPECT_EQ(verdict("image-for-kernel"), "problem");
  host_.input.inventory_error = "the store cannot be read";
  EXPECT_EQ(host_.look("image-for-kernel"), "unknown: the store cannot be read");
}

TEST_F(DoctorNode, NewerKernelIsInstalledWithoutAnImage) {
  EXPECT_EQ(verdict("image-for-coming-kernel"), "fine");
  host_.write("usr/lib/modules/5.10.1/kernel/x.ko", "an old kernel's");
  host_.write("usr/lib/modules/99.1.0/driverext/testgpu/x.ko", "an extension's, and no kernel");
  EXPECT_EQ(verdict("image-for-coming-kernel"), "fine");
  host_.write("usr/lib/modules/99.1.0/kernel/x.ko", "a kernel's");
  EXPECT_EQ(host_.look("image-for-coming-kernel"), "problem: kernel 99.1.0 is installed, with no image for it");
  host_.input.images.push_back(image());
  host_.input.images.back().manifest.kind = Kind::source;
  EXPECT_EQ(verdict("image-for-coming-kernel"), "fine") << "it can be built";
  host_.input.images.back() = image();
  host_.input.images.back().manifest.kernel_release = "99.1.0";
  host_.input.config->build = false;
  EXPECT_EQ(verdict("image-for-coming-kernel"), "fine");
}

TEST_F(DoctorNode, ModulesLackTheirUserland) {
  EXPECT_EQ(verdict("userland-for-modules"), "fine");
  image().manifest.kind = Kind::modules;
  image().manifest.userland = "1.0";
  EXPECT_EQ(verdict("userland-for-modules"), "problem");
  host_.input.images.push_back(image());
  host_.input.images.back().manifest.kind = Kind::userland;
  EXPECT_EQ(verdict("userland-for-modules"), "fine");
}

TEST_F(DoctorNode, ImageIsRefused) {
  EXPECT_EQ(verdict("refused-images"), "fine");
  host_.input.refused = {{Place::quarantine, "var/lib/driverext/quarantine/x.raw", "it is not signed"}};
  EXPECT_EQ(host_.look("refused-images"), "problem: /var/lib/driverext/quarantine/x.raw: it is not signed");
}

TEST_F(DoctorNode, ImageWaitsInTheInbox) {
  EXPECT_EQ(verdict("waiting-images"), "fine");
  host_.input.images.push_back(image());
  host_.input.images.back().place = Place::inbox;
  EXPECT_EQ(verdict("waiting-images"), "problem");
}

TEST_F(DoctorNode, ImageThatIsHereIsPutAside) {
  EXPECT_EQ(verdict("images-put-aside"), "fine");
  FailedImage failed{"1.0", "check-failed", "no devices were found"};
  failed.attempts = 1;
  memory().failed[test::kDoctorRootHash] = failed;
  EXPECT_EQ(verdict("images-put-aside"), "fine") << "it will be tried once more";
  failed.attempts = kMaxAttempts;
  memory().failed = {{"anotherhash", failed}};
  EXPECT_EQ(verdict("images-put-aside"), "fine") << "it is not here any more";
  memory().failed[test::kDoctorRootHash] = failed;
  EXPECT_EQ(host_.look("images-put-aside"), "problem: version 1.0 (check-failed): no devices were found");
}

TEST_F(DoctorNode, BootEndedWhileLoading) {
  EXPECT_EQ(verdict("interrupted-load"), "fine");
  memory().attempt = Attempt{"1.0", test::kDoctorRootHash, "this-boot"};
  EXPECT_EQ(verdict("interrupted-load"), "fine") << "it goes on";
  memory().attempt->boot_id = "another-boot";
  EXPECT_EQ(host_.look("interrupted-load"), "problem: a boot ended while version 1.0 was being loaded");
}

TEST_F(DoctorNode, TrustsNobody) {
  EXPECT_EQ(verdict("trust-anchors"), "fine");
  host_.input.trust_anchors = 0;
  EXPECT_EQ(verdict("trust-anchors"), "problem");
  host_.input.trust_error = "publisher.crt is no certificate";
  EXPECT_EQ(host_.look("trust-anchors"), "problem: publisher.crt is no certificate");
}

TEST_F(DoctorNode, SignersCertificateEndsSoon) {
  EXPECT_EQ(verdict("signer-validity"), "fine");
  image().signer_valid_until = host_.input.now + 30 * 86'400;
  EXPECT_EQ(verdict("signer-validity"), "fine");
  image().signer_valid_until = host_.input.now + 86'400;
  EXPECT_EQ(verdict("signer-validity"), "problem");
}

TEST_F(DoctorNode, OthersCanSayWhomItTrusts) {
  EXPECT_EQ(verdict("trust-folder"), "fine");
  host_.write("etc/driverext/trust/publisher.crt", "a certificate", 0666);
  EXPECT_EQ(host_.look("trust-folder"),
            "problem: /etc/driverext/trust/publisher.crt can be written by others than its owner");
}

TEST_F(DoctorNode, KeyOfTheNodeIsOpenToOthers) {
  EXPECT_EQ(verdict("node-key"), "not-applicable");
  host_.write("var/lib/driverext/keys/node.key", "a key", 0600);
  host_.write("var/lib/driverext/keys/node.crt", "a certificate", 0644);
  EXPECT_EQ(verdict("node-key"), "fine");
  host_.write("var/lib/driverext/keys/node.key", "a key", 0640);
  EXPECT_EQ(host_.look("node-key"), "problem: /var/lib/driverext/keys/node.key is open to others");
}

TEST_F(DoctorNode, ClockIsBehind) {
  EXPECT_EQ(verdict("clock"), "fine");
  host_.input.now = 86'400;
  EXPECT_EQ(verdict("clock"), "problem") << "the OS was built later";
  host_.remove("usr/lib/os-release");
  EXPECT_EQ(verdict("clock"), "problem") << "the image was made later";
  host_.input.images.clear();
  host_.write("var/lib/driverext/clock", "1750000000\n");
  EXPECT_EQ(verdict("clock"), "problem") << "it was later before";
}

}  // namespace
}  // namespace driverext
