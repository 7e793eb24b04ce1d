// What texts of the file must look like.
#pragma once

#include "conf/keys.hpp"

namespace batgw {

std::optional<Complaint> check_interface(std::string_view text);
std::optional<Complaint> check_gpio_chip(std::string_view text);
std::optional<Complaint> check_topic(std::string_view text);
std::optional<Complaint> check_host(std::string_view text);
std::optional<Complaint> check_path(std::string_view text);  // absolute
std::optional<Complaint> check_path_or_empty(std::string_view text);
std::optional<Complaint> check_mqtt_text(std::string_view text);  // what a broker is told: up to 1024 bytes
std::optional<Complaint> check_client_id(std::string_view text);
std::optional<Complaint> check_name_or_empty(std::string_view text);  // 253 printable characters without blanks

}  // namespace batgw
