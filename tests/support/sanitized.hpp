#pragma once

// Instrumented by a sanitizer: several times slower, and with books of its own about all memory ever allocated. g++ tells it by
// macros, clang by features.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BATGW_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BATGW_SANITIZED 1
#endif
#endif

namespace batgw::test {

#ifdef BATGW_SANITIZED
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace batgw::test
