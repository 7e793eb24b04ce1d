// TLS against a real mosquitto: one broker with a listener for each kind of certificate.
#include "mqtt/resolver.hpp"
#include "mqtt/tls.hpp"
#include "tests/mqtt/broker.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace batgw;
using namespace batgw::test;
using namespace std::chrono_literals;

namespace {

// A house authority, another one, and certificates of every kind.
struct Certificates {
    Directory d;
    Certificates()
    {
        authority("ca");
        authority("other");
        signed_by_ca("good", "DNS:localhost,IP:127.0.0.1", "30");
        signed_by_ca("wrong-name", "DNS:elsewhere.example", "30");
        signed_by_ca("expired", "DNS:localhost,IP:127.0.0.1", "-1");
        signed_by_ca("client", "DNS:gateway", "30");
        d.write("psk", "gate:0011223344556677\n");
        d.write("key.right", "0011223344556677\n");
        d.write("key.wrong", "0011223344556678\n");
        d.write("key.bad", "xyz\n");
    }
    void authority(const std::string& name) const
    {
        REQUIRE(run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "30", "-subj", "/CN=" + name, "-keyout", d.file(name + ".key"), "-out", d.file(name + ".crt")}) == 0);
    }
    void signed_by_ca(const std::string& name, const std::string& names, const std::string& days) const
    {
        d.write(name + ".ext", "subjectAltName=" + names + "\n");
        REQUIRE(run_program({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=" + name, "-keyout", d.file(name + ".key"), "-out", d.file(name + ".csr")}) == 0);
        REQUIRE(run_program({"openssl", "x509", "-req", "-in", d.file(name + ".csr"), "-CA", d.file("ca.crt"), "-CAkey",
                    d.file("ca.key"), "-CAcreateserial", "-days", days, "-extfile", d.file(name + ".ext"), "-out",
                    d.file(name + ".crt")}) == 0);
    }
};

struct Listeners {
    Certificates certificates;
    std::uint16_t good = free_port(), expired = free_port(), wrong_name = free_port(), client = free_port(), psk = free_port();
    std::unique_ptr<Broker> broker;
    Listeners()
    {
        const Directory& d = certificates.d;
        std::string text = "per_listener_settings true\n";
        const auto listener = [&](std::uint16_t port, const std::string& rest) {
            text += "listener " + std::to_string(port) + " 127.0.0.1\nallow_anonymous true\n" + rest;
        };
        const auto server = [&](const std::string& name) {
            return "cafile " + d.file("ca.crt") + "\ncertfile " + d.file(name + ".crt") + "\nkeyfile " + d.file(name + ".key") +
                "\n";
        };
        listener(good, server("good"));
        listener(expired, server("expired"));
        listener(wrong_name, server("wrong-name"));
        listener(client, server("good") + "require_certificate true\n");
        listener(psk, "psk_hint house\npsk_file " + d.file("psk") + "\n");
        broker = std::make_unique<Broker>(text, true);
        Broker::wait_for(psk);
    }
};

}  // namespace

// MQTT-071
TEST_CASE("TLS: who is let in, and who is refused for which reason")
{
    Listeners l;
    const auto file = [&](const char* name) { return l.certificates.d.file(name); };
    struct Row {
        const char* what;
        std::uint16_t port;
        std::function<void(TlsConfig&)> set;
        const char* refusal;  // null: connects
        const char* host = "127.0.0.1";
    };
    const std::vector<Row> rows{
        {"right authority, address in the certificate", l.good, [&](TlsConfig& t) { t.ca = file("ca.crt"); }, nullptr},
        {"right authority, name in the certificate", l.good, [&](TlsConfig& t) { t.ca = file("ca.crt"); }, nullptr, "localhost"},
        {"TLS 1.3 at least", l.good, [&](TlsConfig& t) { t.ca = file("ca.crt"), t.min = "1.3"; }, nullptr},
        {"another authority", l.good, [&](TlsConfig& t) { t.ca = file("other.crt"); }, "certificate"},
        {"the system's authorities", l.good, [](TlsConfig&) {}, "certificate"},
        {"no verification", l.good, [&](TlsConfig& t) { t.ca = file("other.crt"), t.verify = false; }, nullptr},
        {"expired", l.expired, [&](TlsConfig& t) { t.ca = file("ca.crt"); }, "certificate has expired"},
        {"wrong name", l.wrong_name, [&](TlsConfig& t) { t.ca = file("ca.crt"); }, "mismatch", "localhost"},
        {"wrong address", l.wrong_name, [&](TlsConfig& t) { t.ca = file("ca.crt"); }, "mismatch"},
        {"another name that is expected", l.wrong_name,
            [&](TlsConfig& t) { t.ca = file("ca.crt"), t.server_name = "elsewhere.example"; }, nullptr},
        {"another name that is not there", l.good,
            [&](TlsConfig& t) { t.ca = file("ca.crt"), t.server_name = "elsewhere.example"; }, "mismatch"},
        {"client certificate", l.client,
            [&](TlsConfig& t) { t.ca = file("ca.crt"), t.cert = file("client.crt"), t.key = file("client.key"); }, nullptr},
        {"client certificate missing", l.client, [&](TlsConfig& t) { t.ca = file("ca.crt"); }, ""},
        {"client key of another", l.client,
            [&](TlsConfig& t) { t.ca = file("ca.crt"), t.cert = file("client.crt"), t.key = file("good.key"); }, "tls.key"},
        {"pre-shared key", l.psk, [&](TlsConfig& t) { t.psk_identity = "gate", t.psk_file = file("key.right"); }, nullptr},
        {"pre-shared key, wrong", l.psk, [&](TlsConfig& t) { t.psk_identity = "gate", t.psk_file = file("key.wrong"); }, ""},
        {"pre-shared key, unknown identity", l.psk, [&](TlsConfig& t) { t.psk_identity = "eve", t.psk_file = file("key.right"); },
            ""},
        {"pre-shared key that is none", l.psk, [&](TlsConfig& t) { t.psk_identity = "gate", t.psk_file = file("key.bad"); },
            "hexadecimal"},
        {"authority file missing", l.good, [&](TlsConfig& t) { t.ca = file("nothing"); }, "tls.ca"},
        {"ciphers that do not exist", l.good, [&](TlsConfig& t) { t.ca = file("ca.crt"), t.ciphers = "NONSENSE"; },
            "tls.ciphers"},
    };
    OutsideLoop loop;
    std::vector<std::unique_ptr<Gateway>> gateways;
    for (const Row& row : rows) {
        MqttConfig config = plain_config(row.port);
        config.host = row.host;
        config.tls.on = true;
        row.set(config.tls);
        gateways.push_back(std::make_unique<Gateway>(loop, config));
        // Each begins in a turn of its own, as the only client of a program would: reading the system's authorities takes its
        // time.
        loop.until([] { return false; }, 50ms);
    }
    loop.until(
        [&] {
            for (std::size_t i = 0; i < rows.size(); ++i)
                if (rows[i].refusal ? gateways[i]->client->counters().failures == 0
                                    : gateways[i]->client->counters().connects == 0)
                    return false;
            return true;
        },
        30s,
        [&] {
            for (auto& g : gateways) g->bridge();
        });
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const Gateway& g = *gateways[i];
        const std::string what = rows[i].what, log = g.log.empty() ? "" : g.log.back();
        CAPTURE(what);
        CAPTURE(log);
        CHECK(g.client->connected() == (rows[i].refusal == nullptr));
        if (rows[i].refusal) {
            CHECK(g.client->counters().connects == 0);
            CHECK(g.client->counters().failures >= 1);
            CHECK(g.logged(rows[i].refusal));
        }
    }
    CHECK(gateways[5]->logged("tls.verify is off"));
    CHECK(loop.longest < blocked);
    // It speaks in earnest.
    CHECK(gateways[0]->until([&] { return gateways[0]->client->counters().sent > 15; }));
    CHECK(gateways[0]->stop());
}

TEST_CASE("TLS: a connection refused at once is none, so that the next address of a name gets its turn")
{
    OutsideLoop loop;
    MqttConfig config = plain_config(free_port());
    config.tls.on = true;
    config.tls.verify = false;
    Gateway gateway{loop, config};
    REQUIRE(gateway.until([&] { return gateway.client->counters().failures >= 1; }));
    CHECK(gateway.logged("no connection"));
    CHECK_FALSE(gateway.logged("closed by the broker"));
}

// MQTT-071
TEST_CASE("certificates are read again at each connection")
{
    Listeners l;
    OutsideLoop loop;
    const Directory& d = l.certificates.d;
    MqttConfig config = plain_config(l.good);
    config.tls.on = true;
    config.tls.ca = d.file("house.crt");
    std::filesystem::copy_file(d.file("other.crt"), d.file("house.crt"));
    Gateway gateway{loop, config};
    REQUIRE(gateway.until([&] { return gateway.client->counters().failures >= 1; }));
    std::filesystem::copy_file(d.file("ca.crt"), d.file("house.crt"), std::filesystem::copy_options::overwrite_existing);
    CHECK(gateway.connect());
}

// MQTT-060, MQTT-071
TEST_CASE("a connection that has to be waited for comes about, with TLS and without, and waiting costs nothing")
{
    Listeners l;
    Broker plain;
    plain.wait();
    for (const bool tls : {false, true}) {
        CAPTURE(tls);
        OutsideLoop loop;
        const SlowWay way{tls ? l.good : plain.port()};
        MqttConfig config = plain_config(way.port());
        config.tls.on = tls;
        config.tls.ca = l.certificates.d.file("ca.crt");
        const std::clock_t before = std::clock();
        Gateway gateway{loop, config};
        CHECK(gateway.until([&] { return gateway.client->counters().sent > 15; }, 9s));
        CHECK(gateway.client->counters().failures == 0);
        CHECK(std::clock() - before < CLOCKS_PER_SEC / 2);
        CHECK(loop.longest < blocked);
    }
}

// MQTT-071
TEST_CASE("a broker that hangs up or says nonsense within the TLS handshake does not make the loop spin")
{
    for (const bool hang_up : {true, false}) {
        OutsideLoop loop;
        FakeBroker broker;
        broker.reads = false;  // what comes is no MQTT
        broker.on_connection = [&] {
            if (!hang_up) broker.send("nonsense nonsense nonsense");
        };
        MqttConfig config = plain_config(broker.port());
        config.tls.on = true;
        config.tls.verify = false;
        Gateway gateway{loop, config};
        REQUIRE(loop.until([&] { return broker.connections == 1; }, 5s, [&] { broker.poll(); }));
        const std::clock_t before = std::clock();
        loop.until([] { return false; }, 300ms);  // the handshake has begun
        if (hang_up) broker.hang_up();
        CHECK(loop.until([&] { return gateway.client->counters().failures >= 1; }, 5s));
        loop.until([] { return false; }, 300ms);
        CHECK((std::clock() - before) < CLOCKS_PER_SEC / 3);
    }
}

// MQTT-072
TEST_CASE("private addresses are told from public ones, and a public one without TLS is warned of")
{
    for (const char* home : {"127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "172.31.255.1", "192.168.1.1", "169.254.1.1",
             "100.64.0.1", "::1", "fd00::1", "fe80::1", "fe80::1%lo"})
        CHECK(mqtt::is_private_address(home));
    for (const char* away :
        {"8.8.8.8", "172.32.0.1", "172.15.0.1", "192.169.0.1", "11.0.0.1", "100.128.0.1", "2001:db8::1", "::2", "::", "name"})
        CHECK_FALSE(mqtt::is_private_address(away));
    OutsideLoop loop;
    MqttConfig config = plain_config(1883);
    config.host = "192.0.2.1";  // a documentation address: nobody is there
    Gateway plain{loop, config};
    CHECK(plain.logged("not a private address"));
    config.tls.on = true;
    config.tls.verify = false;
    Gateway secure{loop, config};
    CHECK_FALSE(secure.logged("not a private address"));
}
