"""The CUDA kernel that counts activations, with edges of bins and counts in shared memory."""

SOURCE = r"""
// Given by the compiler's caller: BINS, CLASSES, NEURONS (of a block), THREADS, DTYPE (0: float32, 1: float16,
// 2: bfloat16), SHARED_COUNTS (whether counts fit into shared memory).
#ifndef SHARED_MEMORY
#define SHARED_MEMORY(name) extern __shared__ unsigned int name[]
#endif
#define EDGES (BINS - 1)
#define PADDED 511  // edges, for a search in nine steps
#define ROW_LANES (THREADS / NEURONS)
#define UNROLL 8  // rows of a thread that are searched side by side, to hide the time of shared memory
#define STAGED 480  // cells of a neuron that are written out at once; odd with one more, so banks differ

#if DTYPE == 0
typedef unsigned int Stored;
#else
typedef unsigned short Stored;
#endif

static __device__ __forceinline__ float as_float(Stored stored) {
#if DTYPE == 0
    return __uint_as_float(stored);
#elif DTYPE == 2
    return __uint_as_float((unsigned int)stored << 16);
#else
    unsigned int sign = (stored & 0x8000u) << 16, rest = (unsigned int)(stored & 0x7fffu) << 13;
    float scaled = __uint_as_float(rest) * 5.192296858534828e33f;  // 2^112, the difference of the exponents' biases
    unsigned int magnitude = rest >= 0x0f800000u ? rest | 0x7f800000u : __float_as_uint(scaled);
    return __uint_as_float(sign | magnitude);
#endif
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) count_activations(
    int* cells, int* nonfinite, unsigned long long* ignored, unsigned long long* invalid,
    const Stored* activations, const long long* labels, const float* edges,
    int rows, int neurons, int row_stride, int neuron_stride, int rows_of_block) {
    SHARED_MEMORY(memory);
    float* own_edges = (float*)memory;                  // [PADDED][NEURONS]: a lane's bank is its neuron's
    unsigned int* counts = memory + PADDED * NEURONS;   // [CLASSES][256][NEURONS]: bins b and b + 256 in one word
    unsigned int* flag = counts + (SHARED_COUNTS ? CLASSES * 256 * NEURONS : 0);
    const int thread = threadIdx.x, lane = thread % NEURONS;
    const int first_neuron = blockIdx.x * NEURONS, neuron = first_neuron + lane;
    const bool is_neuron = neuron < neurons;
    const int first = blockIdx.y * rows_of_block;
    const int last = rows - first < rows_of_block ? rows : first + rows_of_block;

    if (thread == 0) *flag = 0;
    __syncthreads();
    bool unordered = false;
    for (int edge = thread / NEURONS; edge < PADDED; edge += ROW_LANES) {
        float value = __uint_as_float(0x7f800000u);
        if (is_neuron && edge < EDGES) value = edges[(long long)neuron * EDGES + edge];
        unordered |= value != value;
        own_edges[edge * NEURONS + lane] = value;
    }
    if (unordered) *flag = 1;
#if SHARED_COUNTS
    for (int word = thread; word < CLASSES * 256 * NEURONS; word += THREADS) counts[word] = 0;
#endif
    __syncthreads();
    unordered = *flag != 0;  // edges that are NaN: the search is then done step by step as torch does it

    int broken = 0;
    for (int start = first + thread / NEURONS; start < last; start += ROW_LANES * UNROLL) {
        Stored stored[UNROLL];
        long long label[UNROLL];
        float value[UNROLL];
        int bin[UNROLL];
#pragma unroll
        for (int u = 0; u < UNROLL; u++) {
            int row = start + u * ROW_LANES;
            bool is_there = row < last && is_neuron;
            stored[u] = 0;
            label[u] = -1;
            if (is_there) {
                stored[u] = activations[(long long)row * row_stride + (long long)neuron * neuron_stride];
                label[u] = labels[row];
            }
        }
#pragma unroll
        for (int u = 0; u < UNROLL; u++) {
            value[u] = as_float(stored[u]);
            broken += (__float_as_uint(value[u]) & 0x7fffffffu) >= 0x7f800000u;
            bin[u] = 0;
        }
        if (!unordered) {
#pragma unroll
            for (int step = 256; step > 0; step /= 2) {
#pragma unroll
                for (int u = 0; u < UNROLL; u++) {
                    if (!(own_edges[(bin[u] + step - 1) * NEURONS + lane] > value[u])) bin[u] += step;
                }
            }
        } else {
            for (int u = 0; u < UNROLL; u++) {
                int low = 0, high = EDGES;
                while (low < high) {
                    int middle = (low + high) / 2;
                    if (!(own_edges[middle * NEURONS + lane] > value[u])) low = middle + 1;
                    else high = middle;
                }
                bin[u] = low;
            }
        }
#pragma unroll
        for (int u = 0; u < UNROLL; u++) {
            if (label[u] < 0 || label[u] >= CLASSES) continue;
            int of_class = (int)label[u];
#if SHARED_COUNTS
            atomicAdd(counts + (of_class * 256 + (bin[u] & 255)) * NEURONS + lane, bin[u] & 256 ? 65536u : 1u);
#else
            int kept = bin[u] < BINS ? bin[u] : BINS - 1;
            atomicAdd(cells + ((long long)neuron * BINS + kept) * CLASSES + of_class, 1);
#endif
        }
    }
    if (broken > 0) atomicAdd(nonfinite + neuron, broken);
    if (blockIdx.x == 0) {
        int left_out = 0, wrong = 0;
        for (int row = first + thread; row < last; row += THREADS) {
            left_out += labels[row] == -100;
            wrong += labels[row] != -100 && (labels[row] < 0 || labels[row] >= CLASSES);
        }
        if (left_out > 0) atomicAdd(ignored, (unsigned long long)left_out);
        if (wrong > 0) atomicAdd(invalid, (unsigned long long)wrong);
    }
#if SHARED_COUNTS
    // Through the memory of the edges, so that neighbouring threads add to neighbouring cells.
    for (int part = 0; part < BINS * CLASSES; part += STAGED) {
        __syncthreads();
        for (int index = thread; index < STAGED * NEURONS; index += THREADS) {
            int of_part = index / NEURONS, cell = part + of_part, of_bin = cell / CLASSES, of_class = cell % CLASSES;
            unsigned int number = 0;
            if (cell < BINS * CLASSES) {
                const unsigned int* of_classes = counts + of_class * 256 * NEURONS + lane;
                number = of_classes[(of_bin & 255) * NEURONS] >> (of_bin & 256 ? 16 : 0) & 0xffffu;
                // NaN and infinity are above the edge that is there for the nine steps.
                if (of_bin == BINS - 1) number += of_classes[255 * NEURONS] >> 16;
            }
            memory[lane * (STAGED + 1) + of_part] = number;
        }
        __syncthreads();
        for (int index = thread; index < STAGED * NEURONS; index += THREADS) {
            int of_tile = index / STAGED, of_part = index % STAGED;
            unsigned int number = memory[of_tile * (STAGED + 1) + of_part];
            if (number > 0) {
                long long own = (long long)(first_neuron + of_tile) * (BINS * CLASSES);
                atomicAdd(cells + own + part + of_part, (int)number);
            }
        }
    }
#endif
}
"""
