/* The same through a function pointer: what a computation that asks for every value costs at least. */
#include <stdint.h>
#include <stdio.h>

static int64_t seen;

static int64_t answer(int64_t value) {
    seen++;
    return value * 2 + seen % 3;
}

int64_t (*volatile yield)(int64_t) = answer;

int main(void) {
    int64_t sum = 0;
    for (int64_t i = 0; i < 2000000; i++) sum += yield(i);
    printf("%lld\n%lld\n", (long long)sum, (long long)seen);
    return 0;
}
