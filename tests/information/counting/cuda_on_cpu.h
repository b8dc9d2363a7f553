// What a CUDA kernel needs to run on a CPU: blocks one after the other, each thread of a block as a thread.
#include <barrier>
#include <bit>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __syncthreads() meeting->arrive_and_wait()
#define SHARED_MEMORY(name) unsigned int* name = shared_memory

struct Index {
    int x, y;
};
static thread_local Index threadIdx;
static Index blockIdx;
static unsigned int* shared_memory;
static std::barrier<>* meeting;

static float __uint_as_float(unsigned int bits) { return std::bit_cast<float>(bits); }
static unsigned int __float_as_uint(float value) { return std::bit_cast<unsigned int>(value); }
template <typename Number>
static Number atomicAdd(Number* address, Number value) {
    return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}

template <typename Kernel, typename... Arguments>
static void launch(Kernel kernel, int columns, int rows, int threads, size_t shared_words, Arguments... arguments) {
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++) {
            std::vector<unsigned int> memory(shared_words, 0xdeadbeef);
            std::barrier<> all(threads);
            std::vector<std::thread> running;
            blockIdx = {x, y};
            shared_memory = memory.data();
            meeting = &all;
            for (int thread = 0; thread < threads; thread++)
                running.emplace_back([=] {
                    threadIdx = {thread, 0};
                    kernel(arguments...);
                });
            for (auto& each : running) each.join();
        }
}
