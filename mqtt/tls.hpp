// TLS as the configuration wants it (MQTT-071). Files are read anew for every connection.
#pragma once

#include "model/config.hpp"

#include <memory>
#include <string>

#include <openssl/types.h>

namespace batgw::mqtt {

class Tls {
public:
    // Null, with a line in `problem`, when a file is missing or wrong. `host`: the broker's name, checked against its certificate
    // and asked for by SNI, unless `server_name` is another.
    static std::unique_ptr<Tls> make(const TlsConfig& config, const std::string& host, std::string& problem);
    ~Tls();
    Tls(const Tls&) = delete;
    Tls& operator=(const Tls&) = delete;

    SSL_CTX* context() const { return context_; }
    // Why the broker's certificate was refused, in plain words; empty when it was not.
    const std::string& refusal() const { return refusal_; }

private:
    Tls() = default;
    std::string set_up(const TlsConfig& config, const std::string& host);
    std::string set_up_certificates(const TlsConfig& config);
    std::string set_up_key(const TlsConfig& config);
    static void on_info(const SSL* ssl, int where, int value);
    static int on_verify(int fine, X509_STORE_CTX* store);
    static unsigned int on_psk(
        SSL* ssl, const char* hint, char* identity, unsigned int identity_max, unsigned char* key, unsigned int key_max);

    SSL_CTX* context_ = nullptr;
    std::string name_;  // to check and to ask for
    bool name_is_address_ = false;
    std::string psk_identity_, psk_;
    std::string refusal_;
};

}  // namespace batgw::mqtt
