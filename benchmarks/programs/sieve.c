#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t sieve(int64_t n) {
    bool* prime = malloc((size_t)n + 1);
    int64_t count = 0;
    if (!prime) exit(1);
    memset(prime, true, (size_t)n + 1);
    for (int64_t i = 2; i <= n; i++) {
        if (!prime[i]) continue;
        count++;
        for (int64_t j = i * i; j <= n; j += i) prime[j] = false;
    }
    free(prime);
    return count;
}

int main(void) {
    printf("%lld\n", (long long)sieve(4000000));
    return 0;
}
