#include <stdint.h>
#include <stdio.h>

static int64_t run(int64_t n) {
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum = (sum * 31 + i) % 1000003;
    return sum;
}

int main(void) {
    printf("%lld\n", (long long)run(100000000));
    return 0;
}
