// The two ways between the bridge's thread and the outside: neither ever waits, neither ever allocates after start.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace batgw {

// The newest value only: one writer, one reader, a newer value overwrites an unread one (triple buffer).
template <class T>
class Mailbox {
public:
    Mailbox() : slots_(3) {}
    // Writer: fill in, then publish.
    T& draft() { return slots_[write_]; }
    void publish() { write_ = middle_.exchange(write_ | fresh, std::memory_order_acq_rel) & 3U; }
    void publish(const T& value)
    {
        draft() = value;
        publish();
    }
    // Reader: true when something newer than last time is in newest().
    bool take()
    {
        if ((middle_.load(std::memory_order_acquire) & fresh) == 0) return false;
        read_ = middle_.exchange(read_, std::memory_order_acq_rel) & 3U;
        return true;
    }
    const T& newest() const { return slots_[read_]; }

private:
    static constexpr unsigned fresh = 4;
    std::vector<T> slots_;
    unsigned write_ = 0, read_ = 1;
    std::atomic<unsigned> middle_{2};
};

// A bounded queue: one writer, one reader. Full refuses and counts.
template <class T, std::size_t N>
class Ring {
    static_assert((N & (N - 1)) == 0, "a power of two");

public:
    Ring() : items_(std::make_unique<std::array<T, N>>()) {}
    bool push(const T& value)
    {
        const std::size_t head = head_.load(std::memory_order_relaxed);
        if (head - tail_.load(std::memory_order_acquire) == N) {
            lost_.fetch_add(1, std::memory_order_relaxed);
            return false;
        }
        (*items_)[head & (N - 1)] = value;
        head_.store(head + 1, std::memory_order_release);
        return true;
    }
    bool pop(T& value)
    {
        const std::size_t tail = tail_.load(std::memory_order_relaxed);
        if (tail == head_.load(std::memory_order_acquire)) return false;
        value = (*items_)[tail & (N - 1)];
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }
    // For the writer: the next push() will not be refused.
    bool room() const { return head_.load(std::memory_order_relaxed) - tail_.load(std::memory_order_acquire) < N; }
    std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

private:
    std::unique_ptr<std::array<T, N>> items_;
    alignas(64) std::atomic<std::size_t> head_{0};
    alignas(64) std::atomic<std::size_t> tail_{0};
    std::atomic<std::uint64_t> lost_{0};
};

}  // namespace batgw
