// The library fmt as an archive: Debian has it shared only, and a shared one needs the shared C++ library (BATGW_STATIC_CXX).
// What is instantiated here, its header declares as instantiated elsewhere.
#include <fmt/format-inl.h>

template auto fmt::detail::thousands_sep_impl<char>(locale_ref) -> thousands_sep_result<char>;
template auto fmt::detail::decimal_point_impl<char>(locale_ref) -> char;
