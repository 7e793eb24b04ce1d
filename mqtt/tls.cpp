#include "mqtt/tls.hpp"

#include "mqtt/secret.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace batgw::mqtt {
namespace {

bool is_address(const std::string& host)
{
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 || inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

std::string library_reason()
{
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    return reason ? reason : "cannot be read";
}

Tls* self_of(const SSL* ssl) { return static_cast<Tls*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl))); }

}  // namespace

Tls::~Tls() { SSL_CTX_free(context_); }

std::unique_ptr<Tls> Tls::make(const TlsConfig& config, const std::string& host, std::string& problem)
{
    std::unique_ptr<Tls> tls{new Tls};
    ERR_clear_error();
    problem = tls->set_up(config, host);
    ERR_clear_error();
    if (!problem.empty()) tls.reset();
    return tls;
}

std::string Tls::set_up(const TlsConfig& config, const std::string& host)
{
    context_ = SSL_CTX_new(TLS_client_method());
    if (!context_) return "tls: no context";
    SSL_CTX_set_app_data(context_, this);
    name_ = config.server_name.empty() ? host : config.server_name;
    name_is_address_ = is_address(name_);
    SSL_CTX_set_mode(context_, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context_, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_info_callback(context_, on_info);
    const int lowest = config.min == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (SSL_CTX_set_min_proto_version(context_, lowest) != 1) return "tls.min: not supported";
    if (!config.ciphers.empty() && SSL_CTX_set_cipher_list(context_, config.ciphers.c_str()) != 1)
        return "tls.ciphers: " + library_reason();
    return config.psk_identity.empty() ? set_up_certificates(config) : set_up_key(config);
}

std::string Tls::set_up_certificates(const TlsConfig& config)
{
    if (config.verify) {
        SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, on_verify);
        X509_VERIFY_PARAM* const rules = SSL_CTX_get0_param(context_);
        X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        const int named = name_is_address_ ? X509_VERIFY_PARAM_set1_ip_asc(rules, name_.c_str())
                                           : X509_VERIFY_PARAM_set1_host(rules, name_.c_str(), name_.size());
        if (named != 1) return "tls.server_name: no name to check";
    } else
        SSL_CTX_set_verify(context_, SSL_VERIFY_NONE, nullptr);

    if (config.ca.empty()) {
        if (SSL_CTX_set_default_verify_paths(context_) != 1) return "tls: the system's certificates: " + library_reason();
    } else if (SSL_CTX_load_verify_file(context_, config.ca.c_str()) != 1)
        return fmt::format("tls.ca: {}: {}", config.ca, library_reason());
    if (config.cert.empty()) return {};
    if (SSL_CTX_use_certificate_chain_file(context_, config.cert.c_str()) != 1)
        return fmt::format("tls.cert: {}: {}", config.cert, library_reason());
    const std::string& key = config.key.empty() ? config.cert : config.key;
    if (SSL_CTX_use_PrivateKey_file(context_, key.c_str(), SSL_FILETYPE_PEM) != 1)
        return fmt::format("tls.key: {}: {}", key, library_reason());
    if (SSL_CTX_check_private_key(context_) != 1) return "tls.key: does not belong to tls.cert";
    return {};
}

// A key that both sides know, instead of certificates. TLS 1.2: what brokers of today speak with such keys.
std::string Tls::set_up_key(const TlsConfig& config)
{
    const auto text = read_secret(config.psk_file);
    if (!text) return fmt::format("tls.psk_file: {}: cannot be read", config.psk_file);
    const auto digit = [](char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    };
    if (text->empty() || text->size() % 2 != 0 || std::any_of(text->begin(), text->end(), [&](char c) { return digit(c) < 0; }))
        return fmt::format("tls.psk_file: {}: not an even number of hexadecimal digits", config.psk_file);
    for (std::size_t i = 0; i < text->size(); i += 2) psk_ += static_cast<char>(digit((*text)[i]) * 16 + digit((*text)[i + 1]));
    psk_identity_ = config.psk_identity;
    SSL_CTX_set_psk_client_callback(context_, on_psk);
    SSL_CTX_set_max_proto_version(context_, TLS1_2_VERSION);
    if (config.ciphers.empty() && SSL_CTX_set_cipher_list(context_, "PSK") != 1) return "tls: no cipher for a pre-shared key";
    if (config.min == "1.3") return "tls.min: 1.3 and psk_identity do not go together";
    return {};
}

// The connection is made by address, and libmosquitto would ask for that: put the name in its place before the handshake.
void Tls::on_info(const SSL* ssl, int where, int)
{
    if ((where & SSL_CB_HANDSHAKE_START) == 0) return;
    const Tls* self = self_of(ssl);
    std::string name = self->name_is_address_ ? std::string{} : self->name_;  // addresses are not asked for by name
    // The callback is handed the connection as const, though setting it up is what it is for.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
    SSL_set_tlsext_host_name(const_cast<SSL*>(ssl), name.empty() ? nullptr : name.data());
}

int Tls::on_verify(int fine, X509_STORE_CTX* store)
{
    if (fine == 1) return 1;
    const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    if (ssl) self_of(ssl)->refusal_ = X509_verify_cert_error_string(X509_STORE_CTX_get_error(store));
    return 0;
}

unsigned int Tls::on_psk(
    SSL* ssl, const char*, char* identity, unsigned int identity_max, unsigned char* key, unsigned int key_max)
{
    const Tls* self = self_of(ssl);
    if (self->psk_identity_.size() + 1 > identity_max || self->psk_.size() > key_max) return 0;
    std::copy(self->psk_identity_.begin(), self->psk_identity_.end(), identity);
    identity[self->psk_identity_.size()] = '\0';
    std::transform(self->psk_.begin(), self->psk_.end(), key, [](char c) { return static_cast<unsigned char>(c); });
    return static_cast<unsigned int>(self->psk_.size());
}

}  // namespace batgw::mqtt
