#include "doctor/channel_probe.hpp"

#include "channel/index.hpp"

namespace driverext {
namespace {

// Ends the transfer as soon as something has come.
class FirstBytes final : public Sink {
 public:
  Result<void> begin(uint64_t /*offset*/) override {
    answered_ = true;
    return {};
  }
  Result<void> write(ByteSpan /*bytes*/) override {
    answered_ = true;
    return make_error(Errc::transient, "enough was seen");
  }
  [[nodiscard]] bool answered() const { return answered_; }

 private:
  bool answered_ = false;
};

}  // namespace

Result<void> probe_channel(Fetcher& fetcher, const std::string& channel_url) {
  TRY_VOID(check_channel_url(channel_url));
  FirstBytes sink;
  Result<void> fetched = fetcher.fetch(url_of(channel_url, kIndexFile), 0, sink);
  // What it serves is judged where it is fetched.
  if (sink.answered()) return {};
  return fetched;
}

}  // namespace driverext
