// HttpFetcher against a server on this machine that says exactly what the test wants, and then hangs up.
#include "channel/http.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>
#include <thread>

#include "channel/download.hpp"
#include "support/sample_channel.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::verdict;

enum class After { hang_up, keep_silent };

// Answers one connection after the other, each with the next answer.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<std::string> answers, After after = After::hang_up)
      : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_.get(), generic, size) != 0 || ::listen(listener_.get(), 5) != 0 ||
        ::getsockname(listener_.get(), generic, &size) != 0) {
      throw std::runtime_error("cannot listen on 127.0.0.1");
    }
    url = "http://127.0.0.1:" + std::to_string(::ntohs(address.sin_port));
    thread_ = std::thread([this, answers = std::move(answers), after] { serve(answers, after); });
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;
  ~ScriptedServer() { stop(); }

  // What was asked, once the server has stopped.
  const std::vector<std::string>& requests() {
    stop();
    return requests_;
  }

  std::string url;

 private:
  void stop() {
    ::shutdown(listener_.get(), SHUT_RDWR);  // ends accept()
    if (thread_.joinable()) thread_.join();
  }

  void serve(const std::vector<std::string>& answers, After after) {
    std::vector<UniqueFd> silent;
    for (const std::string& answer : answers) {
      UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) return;
      std::string request(65536, '\0');
      const ssize_t n = ::recv(client.get(), request.data(), request.size(), 0);
      requests_.push_back(request.substr(0, static_cast<size_t>(std::max<ssize_t>(n, 0))));
      (void)::send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
      if (after == After::keep_silent) silent.push_back(std::move(client));
    }
    if (after == After::keep_silent) (void)::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
  }

  UniqueFd listener_;
  std::thread thread_;
  std::vector<std::string> requests_;
};

std::string answer(const std::string& status, std::string_view body, const std::string& headers = "") {
  return "HTTP/1.1 " + status + "\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         headers + "\r\n" + std::string(body);
}

std::string partial(std::string_view body, size_t from) {
  const std::string range = std::to_string(from) + "-" + std::to_string(body.size() - 1);
  return answer("206 Partial Content", body.substr(from),
                "Content-Range: bytes " + range + "/" + std::to_string(body.size()) + "\r\n");
}

class Http : public testing::Test {
 protected:
  Http() {
    for (const char* name : {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}) ::unsetenv(name);
    test::write_file(folder / "file", "");
  }

  Result<Bytes> read(const ScriptedServer& server, size_t most = 1000) {
    return download_to_memory(fetcher, server.url + "/x", most);
  }
  // Into the file, which keeps what it has.
  Result<Downloaded> load(const ScriptedServer& server) {
    const UniqueFd fd = must(folder.dir().open_file("file", O_RDWR));
    return download_to_file(fetcher, {server.url + "/x", fd.get(), "file", kText.size(), {}});
  }
  [[nodiscard]] std::string content() const { return test::read_whole(folder / "file"); }

  const std::string kText = "0123456789abcdefghijklmnopqrstuvwxyz";
  const std::string kHash = test::hash_of(kText);
  test::TempDir folder;
  HttpFetcher fetcher{{.connect_seconds = 2, .slow_bytes_per_second = 10, .slow_seconds = 1}};
};

TEST_F(Http, FileIsFetched) {
  ScriptedServer server({answer("200 OK", kText)});
  EXPECT_EQ(as_text(must(read(server))), kText);
  EXPECT_TRUE(server.requests().at(0).starts_with("GET /x HTTP/1.1\r\n")) << server.requests().at(0);
  EXPECT_NE(server.requests().at(0).find("User-Agent: driverext/"), std::string::npos);
  EXPECT_EQ(server.requests().at(0).find("Range:"), std::string::npos);
}

TEST_F(Http, CutConnectionIsResumedWhereItEnded) {
  std::string cut = answer("200 OK", kText);
  cut.resize(cut.size() - 26);
  ScriptedServer server({cut, partial(kText, 10)});
  EXPECT_EQ(verdict(load(server)), "transient/channel-unreachable");
  EXPECT_EQ(content(), kText.substr(0, 10));
  const Downloaded whole = must(load(server));
  EXPECT_EQ(to_hex(whole.sha256), kHash);
  EXPECT_EQ(whole.resumed_from, 10U);
  EXPECT_EQ(content(), kText);
  EXPECT_NE(server.requests().at(1).find("Range: bytes=10-\r\n"), std::string::npos) << server.requests().at(1);
}

TEST_F(Http, EndWithoutALengthIsNoEnd) {
  ScriptedServer server({"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + kText.substr(0, 10)});
  const auto result = load(server);
  EXPECT_EQ(verdict(result), "transient/channel-unreachable");
  EXPECT_NE(message(result).find("ended after 10 of 36 bytes"), std::string::npos) << message(result);
  EXPECT_EQ(content(), kText.substr(0, 10));
}

TEST_F(Http, ServerThatKnowsNoRangesSendsAllOfIt) {
  test::write_file(folder / "file", "0123456789");
  ScriptedServer server({answer("200 OK", kText)});
  const Downloaded whole = must(load(server));
  EXPECT_EQ(to_hex(whole.sha256), kHash);
  EXPECT_EQ(whole.resumed_from, 0U);
  EXPECT_EQ(content(), kText);
}

TEST_F(Http, PartThatWasNotAskedForIsRefused) {
  test::write_file(folder / "file", "0123456789");
  const std::string no_range = answer("206 Partial Content", "x");
  const std::string bad_range = answer("206 Partial Content", "x", "Content-Range: bytes */36\r\n");
  ScriptedServer server({partial(kText, 11), no_range, bad_range, answer("416 Range Not Satisfiable", "")});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(verdict(load(server)), "transient/channel-unreachable") << i;
  EXPECT_EQ(content(), "0123456789");
}

TEST_F(Http, BodyThatIsTooLargeIsRefused) {
  ScriptedServer server({answer("200 OK", kText), answer("200 OK", kText + "x")});
  EXPECT_EQ(verdict(read(server, 35)), "untrusted");
  EXPECT_EQ(verdict(load(server)), "untrusted/data-corrupt");
}

TEST_F(Http, StatusIsToldWithTheAddress) {
  ScriptedServer server(
      {answer("404 Not Found", "page"), answer("503 Service Unavailable", ""), answer("204 None", "")});
  const auto missing = read(server);
  EXPECT_EQ(verdict(missing), "transient/channel-unreachable");
  EXPECT_EQ(message(missing), server.url + "/x: HTTP 404, there is no such file");
  EXPECT_EQ(message(read(server)), server.url + "/x: HTTP 503");
  EXPECT_EQ(message(read(server)), server.url + "/x: HTTP 204");
}

TEST_F(Http, RedirectLeadsToHttpOnly) {
  ScriptedServer elsewhere({answer("200 OK", kText)});
  test::write_file(folder / "secret", "secret");
  ScriptedServer server({answer("302 Found", "page", "Location: " + elsewhere.url + "/y\r\n"),
                         answer("302 Found", "", "Location: file://" + (folder / "secret") + "\r\n"),
                         answer("302 Found", "", "Location: ftp://127.0.0.1/\r\n"),
                         answer("302 Found", "", "Location: http://user:word@127.0.0.1/\r\n"),
                         answer("302 Found", "")});
  EXPECT_EQ(as_text(must(read(server))), kText);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(verdict(read(server)), "transient/channel-unreachable") << i;
}

TEST_F(Http, SilentServerIsGivenUp) {
  const ScriptedServer server({answer("200 OK", kText).substr(0, 80)}, After::keep_silent);
  EXPECT_EQ(verdict(read(server)), "transient/channel-unreachable");
}

TEST_F(Http, NobodyThereIsUnreachable) {
  ScriptedServer server({});
  (void)server.requests();
  EXPECT_EQ(verdict(read(server)), "transient/channel-unreachable");
}

TEST_F(Http, OtherSchemesAreNotEvenTried) {
  for (const char* url : {"file:///etc/hostname", "ftp://127.0.0.1/x", "dict://127.0.0.1/x"}) {
    EXPECT_EQ(verdict(download_to_memory(fetcher, url, 1000)), "invalid_input/config-invalid") << url;
  }
}

}  // namespace
}  // namespace driverext
