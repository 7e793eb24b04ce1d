// A vector that lives in place and never allocates. Full is an answer, not a growth.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

namespace batgw {

template <class T, std::size_t N>
class FixedVector {
public:
    constexpr bool push_back(const T& value)
    {
        if (size_ == N) return false;
        items_[size_++] = value;
        return true;
    }
    constexpr void pop_back() { --size_; }
    // Order is not kept.
    constexpr void erase(std::size_t i) { items_[i] = items_[--size_]; }
    constexpr void erase_ordered(std::size_t i)
    {
        for (--size_; i < size_; ++i) items_[i] = items_[i + 1];
    }
    constexpr void clear() { size_ = 0; }

    constexpr std::size_t size() const { return size_; }
    constexpr bool empty() const { return size_ == 0; }
    constexpr bool full() const { return size_ == N; }
    static constexpr std::size_t capacity() { return N; }
    constexpr T& operator[](std::size_t i) { return items_[i]; }
    constexpr const T& operator[](std::size_t i) const { return items_[i]; }
    constexpr T* begin() { return items_.data(); }
    constexpr T* end() { return items_.data() + size_; }
    constexpr const T* begin() const { return items_.data(); }
    constexpr const T* end() const { return items_.data() + size_; }
    constexpr T& back() { return items_[size_ - 1]; }
    constexpr operator std::span<const T>() const { return {items_.data(), size_}; }
    friend constexpr bool operator==(const FixedVector& a, const FixedVector& b)
    {
        return std::equal(a.begin(), a.end(), b.begin(), b.end());
    }

private:
    std::array<T, N> items_{};
    std::size_t size_ = 0;
};

}  // namespace batgw
