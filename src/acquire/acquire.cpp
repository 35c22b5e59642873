#include "acquire/acquire.hpp"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "acquire/node_key.hpp"
#include "acquire/pack.hpp"
#include "base/text.hpp"
#include "channel/client.hpp"
#include "host/firmware.hpp"
#include "kbuild/builder.hpp"
#include "kbuild/compile.hpp"
#include "provisioner/steps/step.hpp"
#include "sys/cancellation.hpp"
#include "sys/undo.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBuildFolder = "var/lib/driverext/build";
constexpr const char* kBuildLog = "var/lib/driverext/build.log";
constexpr size_t kMaxLog = size_t{16} << 20;

class Acquirer {
 public:
  Acquirer(const Host& host, Fetcher& fetcher, const AcquireRequest& request)
      : host_(host), fetcher_(fetcher), request_(request), state_(StateFile::read(host.root)), trust_(host.root) {}

  Result<AcquireResult> run() {
    TRY_VOID(look());
    if (const KnownImage* there = fitting()) return keep(*there);
    std::optional<Error> failure;
    if (!config_.channel_url.empty()) {
      Result<AcquireResult> fetched = fetch();
      if (fetched) return fetched;
      failure = std::move(fetched).error();
      // Somebody may be at work there: no reason to go on as if nothing had been said.
      if (failure->code == Errc::untrusted) return *std::move(failure);
    }
    const auto input = find_build_input(selection());
    // Building what failed once more would only give it another root hash.
    if (input && !has_failed_here(inventory_.images[input->source].identity().version)) {
      if (failure) request_.remark("the channel gave nothing: " + failure->message());
      return build(inventory_.images[input->source], inventory_.images[input->builder]);
    }
    if (failure) return *std::move(failure);
    if (lacks_builder(selection())) {
      return make_error(Errc::not_found, Reason::builder_missing,
                        "the source of " + what() + " is here, but no builder image has headers of this kernel");
    }
    return make_error(Errc::not_found, Reason::no_image_for_kernel,
                      "there is no image of " + what() + ", no channel to fetch one from, and no source to build");
  }

 private:
  [[nodiscard]] std::string what() const { return config_.driver + " for " + facts_.kernel_release; }

  Result<void> look() {
    TRY(facts_, read_facts(host_.root, FactsRequest::everything(request_.kernel_release)));
    TRY(config_, read_config(host_.root));
    TRY(definition_, read_definition(host_.root, config_.driver, config_.definition));
    TRY(trusted_, trust_.get());
    TRY(inventory_, take_inventory(host_.root, trust_, host_.now));
    has_firmware_ = [&root = host_.root, release = facts_.kernel_release](const std::string& name) {
      return host_has_firmware(root, release, name);
    };
    return {};
  }

  [[nodiscard]] SelectionInput selection() const {
    return {facts_, config_, definition_, inventory_, state_.state(), nothing_tried_, has_firmware_, nothing_runs_};
  }

  // What a provision for that kernel would choose, but for what failed before: then it is worth looking further.
  const KnownImage* fitting() {
    const Choice choice = choose_image(selection());
    if (!choice.image) return nullptr;
    const KnownImage& known = inventory_.images[*choice.image];
    // What only will do for now is no reason to look no further.
    const bool will_do = choice.rung != Rung::exact && !config_.channel_url.empty();
    return will_do || has_failed(known.identity()) ? nullptr : &known;
  }

  [[nodiscard]] bool has_failed(const ImageIdentity& image) const {
    return state_.state().of(facts_.kernel_release).failure_of(image.root_hash) != nullptr;
  }

  [[nodiscard]] bool has_failed_here(const std::string& version) const {
    return std::any_of(inventory_.images.begin(), inventory_.images.end(), [&](const KnownImage& known) {
      const ImageIdentity& image = known.identity();
      return image.is_loadable() && image.driver == config_.driver && is_exact(facts_, image) &&
             image.version == version && has_failed(image);
    });
  }

  Result<AcquireResult> keep(const KnownImage& known) {
    AcquireResult result{Acquired::present, known.identity().version, known.identity().root_hash};
    if (known.place == Place::store) return result;
    TRY(const VerifiedImage* image, known.open());
    TRY_VOID(move_to_store(host_.root, known.name, *image, Origin::local));
    if (known.place == Place::quarantine) TRY_VOID(host_.root.remove_file(quarantine_note_name(known.name)));
    result.how = Acquired::imported;
    return result;
  }

  Result<AcquireResult> fetch() {
    request_.progress(Reason::fetching, "asking " + config_.channel_url + " for " + what());
    if (const KnownImage* half = modules_without_userland()) {
      Result<AcquireResult> userland = fetch_userland(half->identity());
      if (userland || userland.error().code == Errc::untrusted) return userland;
      request_.remark("no userland for the modules that are here: " + userland.error().message());
    }
    ChannelWish wish = wish_of_this_host();
    TRY(wish.node, read_node_id(host_.root));
    TRY(const Offer offer, ask_channel(wish));
    const std::string version = offer.version;
    const FailedImage* failed = state_.state().of(facts_.kernel_release).failure_of(offer.image.root_hash);
    if (failed != nullptr) {
      return make_error(Errc::incompatible, Reason::put_aside,
                        config_.driver + " " + version + " is what the channel has, and it has failed on this node (" +
                            failed->message + ")");
    }
    TRY_VOID(refuse_what_does_not_fit(offer));
    TRY(const VerifiedImage fetched, fetch_offer(offer));
    const ImageIdentity modules = identity_of(fetched);
    if (!modules.userland.empty() && !find_userland(facts_, inventory_, modules)) {
      TRY_VOID(fetch_userland(modules));
    }
    return AcquireResult{Acquired::fetched, version, modules.root_hash};
  }

  // What was fetched before and does not fit is not fetched again and again.
  Result<void> refuse_what_does_not_fit(const Offer& offer) {
    const std::optional<Pin>& pin = state_.state().pin;
    if (pin && pin->driver == config_.driver && !pin->root_hash.empty() && pin->root_hash != offer.image.root_hash) {
      return make_error(Errc::incompatible, Reason::not_wanted,
                        "the channel has another image of " + config_.driver + " " + offer.version +
                            " than the pinned one (" + pin->root_hash + ")");
    }
    for (const KnownImage& known : inventory_.images) {
      if (known.identity().root_hash != offer.image.root_hash) continue;
      TRY(const std::vector<Finding> findings, judge(selection(), known));
      const Finding* unmet = first_unmet(findings);
      if (unmet == nullptr || unmet->requirement == Requirement::userland) continue;
      return make_error(Errc::incompatible, unmet->reason,
                        "what the channel has, " + config_.driver + " " + offer.version +
                            ", is here and does not fit: " + unmet->sentence);
    }
    return {};
  }

  [[nodiscard]] ChannelAccess access() const {
    return {fetcher_, config_.channel_url, trusted_->publishers, host_.now, config_.channel_name};
  }

  [[nodiscard]] ChannelWish wish_of_this_host() const {
    ChannelWish wish;
    wish.driver = config_.driver;
    wish.kernel_release = facts_.kernel_release;
    wish.architecture = facts_.architecture;
    if (const std::optional<std::string> pinned = pinned_version(selection())) {
      wish.allows = [version = *pinned](std::string_view offered) { return offered == version; };
    } else {
      wish.allows = [wanted = config_.version](std::string_view version) { return wanted.allows(version); };
    }
    return wish;
  }

  Result<Offer> ask_channel(const ChannelWish& wish) {
    Remarks remarks;
    Result<ChannelCheck> check = check_channel(host_.root, access(), wish, remarks);
    for (const std::string& line : remarks) request_.remark(line);
    if (!check) return std::move(check).error();
    return std::move(check->offer);
  }

  // Downloads, verifies, and puts into the store.
  Result<VerifiedImage> fetch_offer(const Offer& offer) {
    const auto told = [&](uint64_t done, uint64_t total) {
      request_.progress(Reason::fetching, config_.driver + " " + offer.version + " (" + offer.image.kind +
                                              "): " + human_size(done) + " of " + human_size(total) + " from " +
                                              config_.channel_url);
    };
    TRY(FetchedImage fetched, fetch_image(host_.root, access(), offer, told));
    TRY_VOID(move_to_store(host_.root, fetched.name, fetched.image, Origin::channel));
    return std::move(fetched.image);
  }

  // A fitting image that could be used at once if its userland were here.
  const KnownImage* modules_without_userland() {
    const Choice choice = choose_image(selection());
    if (choice.image || !choice.nearest || choice.nearest->finding.reason != Reason::userland_missing) return nullptr;
    const KnownImage& known = inventory_.images[choice.nearest->image];
    return is_exact(facts_, known.identity()) && !has_failed(known.identity()) ? &known : nullptr;
  }

  Result<AcquireResult> fetch_userland(const ImageIdentity& modules) {
    ChannelWish wish = wish_of_this_host();
    wish.kinds = {Kind::userland};
    wish.version = modules.userland;
    wish.allows = nullptr;  // it goes with modules that are here already
    TRY(wish.node, read_node_id(host_.root));
    TRY(const Offer offer, ask_channel(wish));
    TRY(const VerifiedImage userland, fetch_offer(offer));
    return AcquireResult{Acquired::fetched, userland.manifest().version, modules.root_hash};
  }

  Result<AcquireResult> build(const KnownImage& source, const KnownImage& builder) {
    TRY(const Manifest* source_manifest, source.manifest());
    const Manifest& manifest = *source_manifest;
    const std::string name = manifest.driver + " " + manifest.version;
    const auto told = [&](const std::string& how_far) {
      request_.progress(Reason::building, name + " for " + facts_.kernel_release + ": " + how_far);
    };
    told("attaching source and builder");
    TRY(const Cancellation cancellation, Cancellation::catch_signals());
    const std::string work = host_.root.path_of(kBuildFolder);
    std::error_code error;
    fs::remove_all(work, error);  // what a build that was killed left
    TRY_VOID(host_.root.make_dirs(kBuildFolder, 0700));
    const Undo remove_work([&] {
      std::error_code ignored;
      fs::remove_all(work, ignored);
    });
    Attached attached_source(*this, source);
    Attached attached_builder(*this, builder);
    TRY_VOID(attached_source.attach().with_context("source"));
    TRY_VOID(attached_builder.attach().with_context("builder"));
    const std::string builder_path = host_.root.path_of(mount_name(builder.identity()));

    CompileRequest compile;
    compile.kernel_release = facts_.kernel_release;
    compile.builder = builder_path;
    compile.source = host_.root.path_of(mount_name(source.identity()) + "/" + source_folder(manifest));
    compile.work = work;
    compile.cancel_fd = cancellation.fd();
    compile.timeout_sec = config_.budget.build_sec;
    compile.progress = told;
    const Result<void> compiled = keep_log(compile_modules(host_.programs, compile));
    if (compiled) told("packing and signing");
    Result<AcquireResult> result = compiled ? pack(source, builder, compile) : compiled.error();
    // Whatever the interruption made fail: it is no outcome.
    if (!result && cancellation.has_come()) {
      result = make_error(Errc::transient, Reason::building, "the build was interrupted; it begins anew");
    }
    for (Attached* attached : {&attached_builder, &attached_source}) {
      if (const Result<void> gone = attached->detach(); !gone) request_.remark(gone.error().message());
    }
    return result;
  }

  Result<AcquireResult> pack(const KnownImage& source_image, const KnownImage& builder,
                             const CompileRequest& compiled) {
    TRY(const Manifest* source_manifest, source_image.manifest());
    const Manifest& source = *source_manifest;
    PackInput input;
    input.kind = Kind::modules;
    input.manifest.driver = source.driver;
    input.manifest.version = source.version;
    input.manifest.flavor = source.flavor;
    input.manifest.license = source.license;
    // If the driver's user part is here for this version, what was built belongs to it.
    ImageIdentity built;
    built.driver = source.driver;
    built.userland = source.version;
    built.architecture = facts_.architecture;
    if (find_userland(facts_, inventory_, built)) input.manifest.userland = source.version;
    input.manifest.os_id = facts_.os_id;
    input.manifest.os_version_id = facts_.os_version_id;
    input.modules = compiled.work + kCompiledModules;
    input.source_digest = source.source_sha256;
    // Whoever takes back the source or the builder takes back what was made of it.
    input.built_from = {source_image.identity().root_hash, builder.identity().root_hash};
    // A folder of its own: the container sees nothing else of the host.
    const std::string folder = std::string(kBuildFolder) + "/pack";
    TRY_VOID(host_.root.make_dirs(folder, 0700));
    const std::string file = folder + "/built.raw";
    input.output = host_.root.path_of(file);
    TRY(PackResult packed, collect_image(input).with_context("what was built"));
    BuildRequest& request = packed.request;
    if (request.manifest.kernel_release != facts_.kernel_release) {
      return make_error(Errc::incompatible, Reason::build_failed,
                        "the builder made modules for " + request.manifest.kernel_release);
    }
    TRY(const SigningKey key, open_node_key(host_.root));
    request.key = &key;
    request.cancel_fd = compiled.cancel_fd;
    std::error_code error;
    // Immutable hosts have no mksquashfs; a builder image can bring one.
    if (fs::exists(fs::path(compiled.builder) / kBuilderPacker, error)) {
      const std::string shared = host_.root.path_of(folder);
      request.run_in = container_command(compiled.builder, shared, shared);
    }
    TRY_VOID(build_image(request).with_context("what was built"));
    TRY(const Trust trust, load_trust(host_.root));
    TRY(UniqueFd fd, host_.root.open_no_follow(file, O_RDONLY));
    TRY(ImageFile opened, ImageFile::open(std::move(fd), host_.root.path_of(file)));
    TRY(const VerifiedImage image, VerifiedImage::verify(std::move(opened), trust.node, host_.now));
    TRY_VOID(move_to_store(host_.root, file, image, Origin::built));
    return AcquireResult{Acquired::built, source.version, image.root_hash_hex()};
  }

  // A failure then says where the log is.
  Result<void> keep_log(Result<void> compiled) {
    const auto log = host_.root.read_if_there(std::string(kBuildFolder) + kCompileLog, kMaxLog);
    if (!log || !*log) return compiled;
    if (const Result<void> kept = host_.root.write_atomic(kBuildLog, **log, 0644); !kept) {
      request_.remark("the build's log was not kept: " + kept.error().message());
      return compiled;
    }
    if (compiled) return compiled;
    Error error = std::move(compiled).error();
    error.what += "; the whole log is in " + host_.root.path_of(kBuildLog);
    return error;
  }

  // An image that is attached while something is built, by the same steps as a driver's.
  class Attached {
   public:
    Attached(Acquirer& owner, const KnownImage& image)
        : context_{owner.host_.root, owner.host_.kernel, owner.host_.host_modules, owner.host_.programs, owner.facts_,
                   owner.config_,    owner.definition_,  owner.inventory_,         owner.state_,         &image},
          verify_(make_verify_step(context_)),
          attach_(make_attach_step(context_)) {}
    Attached(const Attached&) = delete;
    Attached& operator=(const Attached&) = delete;
    ~Attached() { (void)detach(); }

    Result<void> attach() {
      TRY(const Probe verified, verify_->probe());
      if (verified == Probe::needed) TRY_VOID(verify_->apply());
      TRY(const Probe attached, attach_->probe());  // something else that is in the way stays there
      attached_ = true;
      return attached == Probe::satisfied ? Result<void>() : attach_->apply();
    }
    // Also what an acquisition that was killed had attached: nobody else uses sources and builders.
    Result<void> detach() {
      if (!std::exchange(attached_, false)) return {};
      TRY_VOID(attach_->undo());
      const std::string mount = mount_name(context_.image->identity());
      TRY(const auto mounted, context_.kernel.find_mount(context_.root.path_of(mount)));
      if (mounted) TRY_VOID(context_.kernel.unmount(context_.root.path_of(mount)));
      TRY(const auto device, context_.kernel.find_verity(verity_name(context_.image->identity())));
      if (device) TRY_VOID(context_.kernel.close_verity(verity_name(context_.image->identity())));
      return context_.root.remove_dir(mount);
    }

   private:
    StepContext context_;
    std::unique_ptr<Step> verify_;
    std::unique_ptr<Step> attach_;
    bool attached_ = false;
  };

  const Host& host_;
  Fetcher& fetcher_;
  const AcquireRequest& request_;
  StateFile state_;
  Facts facts_;
  Config config_;
  Definition definition_;
  LazyTrust trust_;
  const Trust* trusted_ = nullptr;
  Inventory inventory_;
  FirmwareLookup has_firmware_;
  const std::set<std::string> nothing_tried_;
  const std::string nothing_runs_;
};

}  // namespace

Result<AcquireResult> acquire_image(const Host& host, Fetcher& fetcher, const AcquireRequest& request) {
  TRY_VOID(check_name("kernel release", request.kernel_release));
  Result<UniqueFd> lock = host.root.lock_folder(kAcquireLock, "an image is being fetched or built already");
  if (!lock && lock.error().code == Errc::transient) lock.error().reason = Reason::fetching;
  if (!lock) return std::move(lock).error();
  Result<AcquireResult> result = Acquirer(host, fetcher, request).run();
  // Not remembered is only less strict.
  if (result) (void)remember_synchronised(host.root, host.now, host.clock);
  return result;
}

}  // namespace driverext
