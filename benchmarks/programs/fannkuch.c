#include <stdint.h>
#include <stdio.h>

enum { N = 9 };

static int64_t fannkuch(int64_t* out_most) {
    int64_t p[N], q[N], s[N], sign = 1, most = 0, sum = 0;
    for (int i = 0; i < N; i++) p[i] = s[i] = i;
    for (;;) {
        int64_t q0 = p[0];
        if (q0) {
            for (int i = 1; i < N; i++) q[i] = p[i];
            for (int64_t flips = 1;; flips++) {
                int64_t qq = q[q0];
                if (!qq) {
                    sum += sign * flips;
                    if (flips > most) most = flips;
                    break;
                }
                q[q0] = q0;
                if (q0 >= 3)
                    for (int64_t i = 1, j = q0 - 1; i < j; i++, j--) {
                        int64_t t = q[i];
                        q[i] = q[j];
                        q[j] = t;
                    }
                q0 = qq;
            }
        }
        if (sign == 1) {
            int64_t t = p[0];
            p[0] = p[1];
            p[1] = t;
            sign = -1;
            continue;
        }
        int64_t t = p[1];
        p[1] = p[2];
        p[2] = t;
        sign = 1;
        for (int i = 2; i < N; i++) {
            if (s[i]) {
                s[i]--;
                break;
            }
            if (i == N - 1) {
                *out_most = most;
                return sum;
            }
            s[i] = i;
            int64_t first = p[0];
            for (int j = 0; j <= i; j++) p[j] = p[j + 1];
            p[i + 1] = first;
        }
    }
}

int main(void) {
    int64_t sums = 0, most = 0;
    for (int round = 0; round < 3; round++) sums += fannkuch(&most);
    printf("%lld %lld\n", (long long)sums, (long long)most);
    return 0;
}
